"""Syntax by the share of bytes under errors: good code is kept, and nothing hangs the check."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wheels import code

from bytelm.shards import read_manifest
from data.build import Build
from data.steps import syntax
from data.steps.judge import Choices, is_python
from data.steps.syntax import MOST_ERROR_PERCENT, error_share, syntax_reason
from data.walk import Found

GOOD = code(1).encode()


@pytest.mark.parametrize(
    "content",
    [GOOD, b"", b"\n", b"# only a comment", GOOD.replace(b"\n", b"\r\n"), b"\xef\xbb\xbf" + GOOD,
     "match x:\n    case [é, *_]:\n        pass\n".encode(), b"def f[T](x: T) -> T: return x\n",
     b"try:\n    pass\nexcept* OSError:\n    pass\n", b"f'{x!r:>{width}} {{}}'\n"],
)  # fmt: skip
def test_good_code_has_no_error(content: bytes) -> None:
    assert error_share(content) == 0.0
    assert syntax_reason(content, 0.0) is None


def test_the_share_is_that_of_the_bytes_under_errors() -> None:
    assert error_share(b"$" * 50) == 1.0
    half = error_share(b"x = 1\n" * 50 + b"? ! $ !" * 40 + b"\n")
    assert 0.3 < half < 0.7
    # A missing node has no bytes, and counts as one.
    assert error_share(b"x = [1, 2\n") > 0
    small = error_share(GOOD * 30 + b"x = = 1\n" + GOOD * 30)
    assert 0 < 100 * small < MOST_ERROR_PERCENT
    assert syntax_reason(GOOD * 30 + b"x = = 1\n" + GOOD * 30, MOST_ERROR_PERCENT) is None
    assert syntax_reason(GOOD + b"x = = = 1\n", MOST_ERROR_PERCENT) == "syntax"


@given(st.binary(max_size=300))
def test_any_bytes_have_a_share(content: bytes) -> None:
    assert 0.0 <= error_share(content) <= 1.0


@pytest.mark.medium
@pytest.mark.parametrize(
    ("content", "share"),
    [(b"(" * 100_000, 1.0), (b"[" * 100_000 + b"]" * 100_000, 0.0), (b"f(" * 100_000, 1.0),
     (b"f'{" * 100_000, 1.0), (b"not " * 100_000, 1.0), (b"lambda:" * 100_000, 1.0),
     (b"'" * 1_000_001, 1.0), (b"\0" * 1_000_000, 1.0), (b"x" * 1_000_000, 0.0),
     (b"".join(b" " * depth + b"if x:\n" for depth in range(1000)), None)],
    ids=["open", "closed", "calls", "strings", "not", "lambda", "quotes", "nul", "x", "indented"],
)  # fmt: skip
def test_deep_nesting_ends(content: bytes, share: float | None) -> None:
    found = error_share(content)
    assert 0.0 <= found <= 1.0
    assert share is None or found == pytest.approx(share, abs=0.001)


def test_50_mb_on_one_line_are_not_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    def parsed(_: bytes) -> float:
        raise AssertionError("it was parsed")

    monkeypatch.setattr(syntax, "error_share", parsed)
    for content in (b"(" * 50_000_000, b"x" * 50_000_000):
        assert syntax_reason(content, 100.0) == "too large to parse"


def test_which_documents_are_python() -> None:
    assert is_python(Found("a/b.py", b""))
    assert is_python(Found("b.pyi", b""))
    assert is_python(Found("rows.jsonl:7", b"", row=True))
    assert not is_python(Found("b.c", b""))
    assert not is_python(Found("py", b""))


def test_the_limit_is_in_the_manifest_where_it_is_used() -> None:
    assert Choices().about() == {}
    assert Choices(syntax="drop").about() == {
        "syntax": "drop", "most_error_percent": MOST_ERROR_PERCENT
    }  # fmt: skip


def test_a_build_counts_what_it_left_out(tmp_path: Path) -> None:
    source = tmp_path / "src"
    source.mkdir()
    for index in range(9):
        (source / f"good{index}.py").write_text(code(index))
    (source / "bad.py").write_text("def broken(:\n    return = 1\n")
    (source / "bad.c").write_text("int main(void) { return 0; }\n")
    arguments = {"path": source, "suffixes": ()}
    kept = Build(out=tmp_path / "kept", **arguments).run()  # type: ignore[arg-type]
    assert (kept["documents"], kept["rejected"]) == (11, {})
    figures = Build(out=tmp_path / "out", syntax="drop", **arguments).run()  # type: ignore[arg-type]
    assert (figures["documents"], figures["rejected"]) == (10, {"syntax": 1})
    manifest = read_manifest(tmp_path / "out")
    assert manifest["rejected"] == {"syntax": {"documents": 1, "bytes": 28}}
    assert manifest["steps"]["most_error_percent"] == MOST_ERROR_PERCENT
    lax = Build(out=tmp_path / "lax", syntax="drop", most_error_percent=100.0, **arguments).run()  # type: ignore[arg-type]
    assert lax["rejected"] == {}
