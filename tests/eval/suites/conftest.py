"""Run problems as a grader does, in this process: only for programs that the tests wrote."""

import contextlib
import io
import sys
from collections.abc import Callable
from typing import Any

import pytest

from eval.suites.formats.problem import Problem
from eval.suites.formats.rows import Row

Passes = Callable[[Problem, str], bool]
RowOf = Callable[..., Row]


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> Passes:
    """Whether a completion passes the problem's tests."""

    def run(problem: Problem, completion: str) -> bool:
        program = problem.program(completion)
        if problem.kind == "stdio":
            return all(_prints(program, *pair, monkeypatch) for pair in problem.examples)
        assert problem.kind in ("check", "asserts")
        names: dict[str, Any] = {"__name__": "program"}
        try:
            exec(f"{program}\n{problem.test}", names)
            if problem.kind == "check":
                names["check"](names[problem.entry_point])
        except Exception:
            return False
        return True

    return run


def _prints(program: str, given: str, wanted: str, monkeypatch: pytest.MonkeyPatch) -> bool:
    monkeypatch.setattr(sys, "stdin", io.StringIO(given))
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(program, {"__name__": "__main__"})
    return printed.getvalue().split() == wanted.split()


@pytest.fixture
def row_of() -> RowOf:
    """A row at f.jsonl:7 of `values` with changes; a change to None takes the key away."""

    def make(values: dict[str, Any], **changes: Any) -> Row:
        changed = {**values, **changes}
        return Row("f.jsonl:7", {key: value for key, value in changed.items() if value is not None})

    return make
