"""EvalPlus's tests as a check(): the reference decides, with evalplus's exceptions."""

from typing import Any

import pytest

from bytelm.toolkit import InputError
from eval.suites.formats.evalplus import problem

ROW: dict[str, Any] = {
    "task_id": "HumanEval/900",
    "prompt": 'def half(x):\n    """Halve it."""\n',
    "entry_point": "half",
    "canonical_solution": "    return x / 2\n",
    "base_input": [[2], [4]],
    "plus_input": [[-3]],
    "atol": 0,
    "contract": "\n    assert True\n",
}


def _task(row_of: Any, name: str, number: int, reference: str, *inputs: list[Any]) -> Any:
    """A problem of MBPP+ with these inputs, whose reference returns `reference`."""
    changes = {
        "task_id": f"Mbpp/{number}",
        "prompt": '"""\nDo it.\n"""\n',
        "entry_point": name,
        "canonical_solution": f"\ndef {name}(*a):\n    return {reference}\n",
        "base_input": list(inputs),
        "plus_input": [],
    }
    return problem(row_of(ROW, **changes))


def test_all_inputs_are_run_or_the_base_inputs_alone(row_of: Any, passes: Any) -> None:
    found, base = problem(row_of(ROW)), problem(row_of(ROW), tests="base")
    assert (found.task_id, found.kind, found.prompt) == ("HumanEval/900", "check", ROW["prompt"])
    for one in (found, base):
        assert passes(one, one.canonical_solution)
        assert not passes(one, "    return x\n")
    wrong_for_negatives = "    return abs(x) / 2\n"
    assert passes(base, wrong_for_negatives)
    assert not passes(found, wrong_for_negatives)


def test_floats_may_be_off_by_a_millionth(row_of: Any, passes: Any) -> None:
    found = problem(row_of(ROW))
    assert passes(found, "    return x / 2 + 9e-7\n")
    assert not passes(found, "    return x / 2 + 1e-5\n")
    assert passes(problem(row_of(ROW, atol=0.01)), "    return x / 2 + 9e-3\n")
    # Another type is no close value.
    assert not passes(problem(row_of(ROW, atol=5)), "    return round(x / 2)\n")


@pytest.mark.parametrize(
    ("reference", "out", "same"),
    [
        ("[1.0, 2.0]", "[1.0, 2.0000001]", True),
        ("[1.0, 2.0]", "[1.0]", False),
        ("[1.0, 2.0]", "(1.0, 2.0)", False),
        ("[[1.0], [2.0]]", "[[1.0], [2.0000001]]", False),
        ("float('inf')", "float('inf')", True),
        ("float('inf')", "1.0", False),
        ("1.0", "'a'", False),
        ("{'a': [1]}", "{'a': [1]}", True),
        ("(1, 2)", "[1, 2]", False),
    ],
)
def test_values_are_compared_as_evalplus_does(
    row_of: Any, passes: Any, reference: str, out: str, same: bool
) -> None:
    found = _task(row_of, "value", 900, reference, [1])
    assert passes(found, found.canonical_solution)
    assert passes(found, f"\ndef value(x):\n    return {out}\n") == same


def test_the_candidate_cannot_change_the_references_inputs(row_of: Any, passes: Any) -> None:
    found = _task(row_of, "last", 900, "a[0][-1]", [[1, 2]])
    assert not passes(found, "\ndef last(values):\n    values[-1] = 7\n    return 7\n")


@pytest.mark.parametrize(
    ("name", "reference", "inputs", "right", "wrong"),
    [
        ("sum_div", "5", [9], "0", "4"),
        ("are_equivalent", "True", [1, 2], "'anything'", None),
        ("surface_Area", "-1", [3, 4], "35", "34"),
        ("digit_distance_nums", "-1", [5, 14], "2", "3"),
        ("check_str", "'a match'", ["x"], "True", "None"),
        ("text_match_three", "None", ["x"], "False", "True"),
        ("larg_nnum", "[3, 2]", [[1], 2], "[2, 3, 3]", "[2]"),
    ],
)
def test_special_cases_of_mbpp(
    row_of: Any,
    passes: Any,
    name: str,
    reference: str,
    inputs: list[Any],
    right: str,
    wrong: str | None,
) -> None:
    found = _task(row_of, name, 900, reference, inputs)
    assert passes(found, f"\ndef {name}(*a):\n    return {right}\n")
    if wrong:
        assert not passes(found, f"\ndef {name}(*a):\n    return {wrong}\n")


def test_a_root_is_tried_by_the_polynomial(row_of: Any, passes: Any) -> None:
    changes = {
        "entry_point": "find_zero",
        "prompt": "def find_zero(xs):\n",
        "canonical_solution": "    return 99\n",
        "base_input": [[[1, 2]]],
        "plus_input": [],
        "atol": 1e-4,
    }
    found = problem(row_of(ROW, **changes))
    assert passes(found, "    return -0.5\n")
    assert not passes(found, "    return 0.5\n")


@pytest.mark.parametrize(
    ("number", "given", "made"),
    [
        (2, [[1, 2], [3]], "[(1, 2), (3,)]"),
        (63, [[[1, 2], [3]]], "[[(1, 2), (3,)]]"),
        (75, [[[1], [2]], 3], "[[(1,), (2,)], 3]"),
        (106, [[1], [2]], "[[1], (2,)]"),
        (115, [[[1, 1], [], {"a": 1}]], "[[{1}, {}, {}]]"),
        (124, ["1.5", "2+3j"], "[1.5, 2+3j]"),
        (250, [[1], 2], "[(1,), 2]"),
        (259, [[[1, 2]], [[3]]], "[((1, 2),), ((3,),)]"),
        (278, [[1, [2]]], "[(1, (2,))]"),
        (307, [[1], 2, 3], "[(1,), 2, 3]"),
        (722, [{"a": [1]}, 2], "[{'a': (1,)}, 2]"),
        (252, ["1j"], "[1j]"),
        (580, [[1, [2, [3]]]], "[(1, (2, (3,)))]"),
        (900, [[1], {"a": [2]}], "[[1], {'a': [2]}]"),
    ],
)
def test_inputs_that_json_cannot_hold(
    row_of: Any, passes: Any, number: int, given: list[Any], made: str
) -> None:
    found = _task(row_of, "same", number, f"list(a) == {made}", given)
    assert passes(found, "\ndef same(*a):\n    return True\n")
    assert not passes(found, "\ndef same(*a):\n    return False\n")


def test_no_inputs_may_be_an_empty_object(row_of: Any, passes: Any) -> None:
    found = problem(row_of(ROW, plus_input={}))
    assert passes(found, found.canonical_solution)


def test_infinity_is_an_input(row_of: Any, passes: Any) -> None:
    found = problem(row_of(ROW, base_input=[[float("inf")]]))
    assert passes(found, "    return x / 2\n")
    assert not passes(found, "    return min(x / 2, 1e300)\n")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"prompt": None}, r"a problem needs text under prompt \(EvalPlus's format\)"),
        ({"base_input": None}, "needs a list of lists of arguments under base_input"),
        ({"plus_input": [1]}, "needs a list of lists of arguments under plus_input"),
        ({"plus_input": {"a": 1}}, "needs a list of lists of arguments under plus_input"),
        ({"atol": "0"}, "a problem needs a number under atol"),
        ({"atol": True}, "a problem needs a number under atol"),
    ],
)
def test_a_wrong_row_is_named(row_of: Any, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=rf"^f\.jsonl:7: a problem .*{message.split('needs')[1]}"):
        problem(row_of(ROW, **changes))
