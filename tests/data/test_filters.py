"""Filters on ordinary code, on data, and on extremes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.benchmarks import Benchmarks, humaneval
from data.filters import reason_to_reject
from data.steps.literals import literal_share

CODE = b'''"""A module."""

import os


def walk(path):
    """Yield the files below path."""
    for name in sorted(os.listdir(path)):
        yield os.path.join(path, name)
'''


def test_ordinary_code_passes() -> None:
    assert reason_to_reject("a.py", CODE) is None
    assert reason_to_reject("a.py", CODE.replace(b"\n", b"\r\n")) is None
    assert reason_to_reject("a.py", "größe = 'naïve'\n".encode("latin-1")) is None


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"x = '" + b"a" * 1000 + b"'\n" + CODE, "longest line"),
        (b"x" * 1001, "longest line"),
        (b"abcdefghij" * 11, "mean line"),
        (b"\0" * 50, "few alphanumeric"),
        (b"+-*/ " * 10 + b"a\n", "few alphanumeric"),
        (b"\n\n\n", "few alphanumeric"),
    ],
)
def test_extremes(content: bytes, reason: str) -> None:
    assert reason_to_reject("a.txt", content) == reason


@given(st.binary(min_size=1, max_size=300))
def test_any_bytes_are_judged(content: bytes) -> None:
    assert reason_to_reject("a.py", content) in (
        None, "longest line", "mean line", "few alphanumeric", "data table",
    )  # fmt: skip


def digests(count: int) -> bytes:
    rows = b"".join(b"    '%064x',\n" % (n**9) for n in range(count))
    return b"HASHES = [\n" + rows + b"]\n"


def test_tables_of_data_are_left_out() -> None:
    table = (
        b"TABLE = {\n" + b"".join(b"    0x%04x: %d,\n" % (n, n * 7) for n in range(300)) + b"}\n"
    )
    calls = (
        b"x = decode(\n" + b"".join(b"    '\\x%02x'  # %d\n" % (n, n) for n in range(200)) + b")\n"
    )
    for content in (digests(300), table, calls):
        assert literal_share(content) > 0.9
        assert reason_to_reject("a.py", content) == "data table"
    # Other languages are not parsed as Python.
    assert reason_to_reject("a.txt", digests(300)) is None


def test_docstrings_and_small_tables_are_code() -> None:
    prose = b'"""' + b"Words that explain the module, line by line.\n" * 100 + b'"""\n'
    assert literal_share(prose + CODE) == 0
    assert literal_share(b"X = [1, 2, 3]\n" * 50) == 0
    assert literal_share(CODE * 30 + digests(50)) < 0.75


def test_code_in_a_long_list_is_no_table() -> None:
    calls = b"X = [\n" + b"".join(b"    make(%d, kind=None),\n" % n for n in range(100)) + b"]\n"
    assert literal_share(calls) == 0


@pytest.mark.medium
@pytest.mark.parametrize("opening", [b"(", b"[", b"f(", b"not ", b"{1:"])
def test_deep_nesting_kills_nobody(opening: bytes) -> None:
    assert 0 <= literal_share(opening * 100_000) <= 1


def test_syntax_errors_and_any_bytes_are_parsed() -> None:
    assert literal_share(b"") == 0
    assert literal_share(b"def (:\n\xff\xfe\0") == 0


PROBLEM = b'''from typing import List


def parse(text: str) -> List[str]:
    """Split the groups of nested parentheses into strings of their own."""
    found, depth, start = [], 0, 0
    for index, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
    return found
'''


def test_benchmark_texts_are_found_however_spaced() -> None:
    benchmarks = Benchmarks([PROBLEM])
    assert len(benchmarks) == 1
    assert benchmarks.found_in(CODE + PROBLEM + CODE)
    indented = b"\n".join(b"        " + line for line in PROBLEM.splitlines())
    assert benchmarks.found_in(indented.replace(b"\n", b"\r\n\r\n"))
    assert not benchmarks.found_in(CODE)
    # A part of 50 tokens is enough, and one of fewer is not.
    assert benchmarks.found_in(PROBLEM.replace(b"return found", b"return None"))
    assert not benchmarks.found_in(PROBLEM[: len(PROBLEM) // 2])


def test_short_solutions_are_nobodys() -> None:
    assert len(Benchmarks([b"    return a + b\n", b"x = 1\ny = 2\nz = 3\nreturn x\n"])) == 0


def test_humaneval_is_looked_for() -> None:
    benchmarks = humaneval()
    assert len(benchmarks) > 164
    assert not benchmarks.found_in(CODE * 20)
