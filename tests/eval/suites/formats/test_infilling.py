from typing import Any

import pytest

from bytelm.toolkit import InputError
from eval.suites.formats.infilling import problem

ROW: dict[str, Any] = {
    "task_id": "SingleLineInfilling/Own/0/L0",
    "prompt": "def f(x):\n",
    "suffix": "    return y\n",
    "canonical_solution": "    y = x + 1\n",
    "test": "def check(f):\n    assert f(1) == 2\n",
    "entry_point": "f",
}


def test_the_suffix_follows_the_completion(row_of: Any, passes: Any) -> None:
    found = problem(row_of(ROW))
    assert found.program("    y = 2\n") == "def f(x):\n    y = 2\n    return y\n"
    assert passes(found, found.canonical_solution)
    assert not passes(found, "    y = x\n")


def test_a_line_ends_with_its_newline_and_a_span_by_itself(row_of: Any) -> None:
    line = problem(row_of(ROW))
    assert (line.stops, line.closing) == (("\n",), "\n")
    for name in ("MultiLineInfilling/Own/0/L0_L1", "RandomSpanInfilling/Own/0/1", "own/0"):
        span = problem(row_of(ROW, task_id=name))
        assert (span.stops, span.closing) == ((), "")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"suffix": None}, r"f\.jsonl:7: .* text under suffix \(human-eval-infilling's format\)"),
        ({"suffix": ["a"]}, r"f\.jsonl:7: a problem needs text under suffix"),
        ({"entry_point": 1}, r"f\.jsonl:7: a problem needs text under entry_point"),
    ],
)
def test_a_wrong_row_is_named(row_of: Any, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        problem(row_of(ROW, **changes))
