from typing import Any

import pytest

from bytelm.toolkit import InputError
from eval.suites.formats.cruxeval import problem

CODE = "def f(text, n=1):\n    return (text, n)"
ROW: dict[str, Any] = {"code": CODE, "input": "'a', n=2", "output": "('a', 2)", "id": "sample_9"}


def test_the_output_is_predicted(row_of: Any, passes: Any) -> None:
    found = problem(row_of(ROW))
    assert found.prompt == f"{CODE}\nassert f('a', n=2) =="
    assert (found.task_id, found.entry_point, found.kind) == ("sample_9", "completed", "asserts")
    assert found.test == "assert completed() == ('a', 2)"
    assert found.stops == ("\n",)
    compile(found.prompt + found.canonical_solution + found.suffix, "f", "exec")
    assert passes(found, found.canonical_solution)
    assert passes(found, " tuple('a') + (2,)  # done")


@pytest.mark.parametrize(
    "completion",
    ["", " ('a', 3)", " f('a', n=2)", " 'a', 2", " ('a', 2", "\n", " raise", " None"],
)
def test_wrong_outputs_fail(row_of: Any, passes: Any, completion: str) -> None:
    assert not passes(problem(row_of(ROW)), completion)


@pytest.mark.parametrize("output", ["()", "[]", "None", "''"])
def test_no_completion_is_no_value(row_of: Any, passes: Any, output: str) -> None:
    found = problem(row_of(ROW, code="def f(x):\n    return x", input=output, output=output))
    assert passes(found, f" {output}")
    for completion in ("", " ", " # nothing"):
        assert not passes(found, completion)


def test_the_input_is_predicted(row_of: Any, passes: Any) -> None:
    found = problem(row_of(ROW), predict="input")
    assert found.prompt == f"{CODE}\n# f(??) == ('a', 2)\nassert f("
    assert found.suffix == ") == ('a', 2)\n"
    exec(found.prompt + found.canonical_solution + found.suffix, {})
    assert passes(found, found.canonical_solution)
    assert passes(found, "n=2, text=str('a')")
    assert found.stops[0] == ") =="
    for wrong in ("", "'a'", "'a', 2) == ('a', 2)", "'b', 2", "1 2"):
        assert not passes(found, wrong)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"id": None}, r"a problem needs text under id \(CRUXEval's format\)"),
        ({"input": 1, "output": 2}, "a problem needs text under input, output"),
    ],
)
def test_a_wrong_row_is_named(row_of: Any, changes: dict[str, Any], message: str) -> None:
    for predict in ("input", "output"):
        with pytest.raises(InputError, match=rf"^f\.jsonl:7: {message}"):
            problem(row_of(ROW, **changes), predict=predict)
