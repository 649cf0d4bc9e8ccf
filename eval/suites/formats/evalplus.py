"""EvalPlus: HumanEval+ and MBPP+, `{task_id, prompt, canonical_solution, entry_point, base_input,
plus_input, atol}`.

EvalPlus runs its reference solution on all inputs, and compares a sample's values with its values.
So does the test that is made here: check() holds the reference and the inputs, and compares as
evalplus 0.3.1 does. The base inputs are those of HumanEval and MBPP.

There are two differences. EvalPlus limits the time of each input; here there is only the limit of
the whole program. EvalPlus compares numbers by numpy, which is not needed here.

Sources: evalplus 0.3.1: evalplus/eval/__init__.py, evaluate.py, gen/util/__init__.py.
"""

import json
import textwrap
from typing import Literal

from eval.suites.formats.evalplus_cases import ARGUMENTS, COMPARE, EQUAL
from eval.suites.formats.problem import Problem
from eval.suites.formats.rows import Row

FORM = "EvalPlus's format"
TEXTS = ("task_id", "prompt", "canonical_solution", "entry_point")
INPUTS = ("base_input", "plus_input")
KEYS = (*TEXTS, *INPUTS)

_TEST = """\
import copy
import json
import math

REFERENCE = {reference!r}
INPUTS = {inputs!r}


def all_tuples(value):
    return tuple(map(all_tuples, value)) if isinstance(value, list) else value


def is_floats(value):
    if isinstance(value, (list, tuple)) and value:
        return all(isinstance(one, float) for one in value)
    return isinstance(value, float)


def is_close(out, expected, atol):
    if isinstance(expected, (list, tuple)):
        same = isinstance(out, (list, tuple)) and len(out) == len(expected)
        return same and all(is_close(one, two, atol) for one, two in zip(out, expected))
    if not all(isinstance(value, (int, float, complex)) for value in (out, expected)):
        return False
    near = abs(expected) < math.inf and abs(out - expected) <= atol + 1e-07 * abs(expected)
    return near or out == expected


def check(candidate):
    names = {{}}
    exec(REFERENCE, names)
    reference, atol = names[{entry_point!r}], {atol!r}
    for given in json.loads(INPUTS):
        inputs = {arguments}
        expected = reference(*copy.deepcopy(inputs))
        out = candidate(*inputs)
{compare}
        if atol == 0 and is_floats(expected):
            atol = 1e-6
        if not same and atol != 0:
            same = type(out) is type(expected) and is_close(out, expected, atol)
        assert same, inputs
"""


def problem(row: Row, tests: Literal["base", "plus"] = "plus") -> Problem:
    """The problem of a row. `tests`: with the base inputs alone, or (plus) with all of them.

    Raises InputError for a missing key, or a value of another kind.
    """
    row.need(FORM, text=TEXTS)
    task_id, prompt, reference, entry_point = (row.text(key) for key in TEXTS)
    dataset = task_id.partition("/")[0]
    test = _TEST.format(
        reference=prompt + reference,
        # As text, since a long literal takes Python seconds to compile.
        inputs=json.dumps(
            [one for key in INPUTS[: 1 + (tests == "plus")] for one in _of(row, key)]
        ),
        entry_point=entry_point,
        atol=_atol(row),
        arguments=ARGUMENTS.get(task_id, "given"),
        compare=textwrap.indent(COMPARE.get(dataset, {}).get(entry_point, EQUAL), " " * 8),
    )
    return Problem(task_id, prompt, reference, test, entry_point)


def _of(row: Row, key: str) -> list[list[object]]:
    """The inputs under a key, each a list of arguments. Some files have {} for no inputs."""
    inputs = row.values.get(key)
    if inputs == {}:
        return []
    if not isinstance(inputs, list) or not all(isinstance(one, list) for one in inputs):
        raise row.wrong(f"a problem needs a list of lists of arguments under {key}", FORM)
    return inputs


def _atol(row: Row) -> float:
    value = row.values.get("atol", 0)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise row.wrong("a problem needs a number under atol", FORM)
    return value
