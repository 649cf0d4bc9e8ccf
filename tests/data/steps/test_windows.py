"""Texts are found in other layouts, by any window of theirs; other code is left alone."""

import re
import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import ROOT

from data.benchmarks import humaneval, humaneval_problems
from data.steps import windows as module
from data.steps.windows import LEAST_BYTES, Finder, bare, windows_of

CODE = b'''"""A module of its own."""

import os


def walk(path):
    """Yield the files below path."""
    for name in sorted(os.listdir(path)):
        yield os.path.join(path, name)
'''
STATEMENTS = [f"value_{n} = first_{n}(second) + {n}" for n in range(30)]


def planted(text: str) -> bytes:
    """The text in a class of somebody else's, with other comments, quotes and line ends."""
    lines = [re.sub(r"[ \t]*#.*", "", line) for line in text.splitlines()]
    other = [f"{line}  # line {n} of mine" if n % 3 == 0 and line.strip() and '"""' not in text
             else line for n, line in enumerate(lines)]  # fmt: skip
    body = textwrap.indent("\n".join(other), "\t    ").replace('"""', "'''")
    return b"class Mine:\r\n" + body.encode().replace(b"\n", b"\r\n\r\n") + b"\r\n" + CODE


@pytest.mark.medium
def test_all_prompts_and_solutions_of_humaneval_are_found() -> None:
    """But for solutions of a few tokens, which unrelated code has too; with their prompts, all."""
    finder = humaneval()
    short = 0
    for problem in humaneval_problems():
        prompt, solution = problem["prompt"], problem["canonical_solution"]
        assert finder.found_in(planted(prompt)), problem["task_id"]
        assert finder.found_in(planted(prompt + solution)), problem["task_id"]
        if windows_of(solution.encode()):
            assert finder.found_in(planted(solution)), problem["task_id"]
        else:
            short += 1
    assert short < 40


def test_a_part_of_a_long_text_is_enough() -> None:
    finder = Finder(["\n".join(STATEMENTS).encode()])
    for start in (0, 7, 17):
        part = "\n".join(STATEMENTS[start : start + 13])
        assert finder.found_in(planted(part))
        assert finder.found_in(part.replace("\n", "; ").replace("; ", "\n  ").encode())
    assert not finder.found_in("\n".join(STATEMENTS[:4]).encode())


def test_thirteen_lines_of_few_tokens_are_a_window() -> None:
    lines = [f"continue_with_{n}" for n in range(20)]
    finder = Finder(["\n".join(lines).encode()])
    assert finder.found_in("\n".join(lines[3:16]).encode())
    assert not finder.found_in("\n".join(lines[3:15]).encode())


def test_what_other_code_has_too_is_not_searched_for() -> None:
    short = [b"    return a + b\n", b"x = 1\ny = 2\nz = 3\nreturn x\n", b"", b"# " + b"words " * 50]
    assert len(Finder(short)) == 0
    assert not Finder(short).found_in(b"".join(short))
    assert not humaneval().found_in(CODE * 20)


def test_the_projects_own_code_holds_no_problem() -> None:
    finder = humaneval()
    for path in sorted((ROOT / "bytelm").rglob("*.py")):
        assert not finder.found_in(path.read_bytes()), path


def test_windows_over_the_edges_of_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PIECE", 64)
    text = "\n".join(STATEMENTS).encode()
    finder = Finder([text])
    for shift in range(70):
        assert finder.found_in(b"y" * shift + b"\n" + text)


@given(st.binary(max_size=400))
def test_any_bytes_are_searched(content: bytes) -> None:
    text = "\n".join(STATEMENTS).encode()
    finder = Finder([text])
    assert not finder.found_in(content)
    assert finder.found_in(content + b"\n" + text)
    assert not bare(content).translate(None, b" \t\r\n").count(b"'")


@given(st.text(max_size=300))
def test_a_text_that_is_searched_for_is_found_in_itself(text: str) -> None:
    content = text.encode("utf-8", "surrogatepass")
    finder = Finder([content])
    assert finder.found_in(content) == bool(windows_of(content))
    assert all(len(window) >= LEAST_BYTES for window in windows_of(content))
