"""CodeContests: `{name, description, public_tests, ...}`; programs that read stdin and print.

The tests of all three lists are run: public, private and generated ones. The prompt is the
description as a docstring at the head of the program, and the completion is the whole program. The
description is not part of it, since it may hold quotation marks and backslashes.

Source: deepmind/code_contests on Hugging Face, and contest_problem.proto on GitHub.
"""

from typing import Any

from eval.suites.formats.problem import LeftOut, Problem
from eval.suites.formats.rows import Row, is_text

FORM = "CodeContests' format"
KEYS = ("name", "description", "public_tests")
TESTS = ("public_tests", "private_tests", "generated_tests")
PYTHON3 = 3
"""The number of Python 3 among the languages of solutions."""


def problem(row: Row) -> Problem | LeftOut:
    """The problem of a row; one that reads or writes files, or has no tests, is left out.

    Raises InputError for a missing key, or a value of another kind.
    """
    row.need(FORM, text=("name", "description"))
    if row.text("input_file", "") or row.text("output_file", ""):
        return LeftOut("their programs read or write files")
    examples = tuple(pair for key in TESTS for pair in _pairs(row, key, "input", "output"))
    if not examples:
        return LeftOut("they have no tests")
    if not all(is_text(text) for pair in examples for text in pair):
        raise row.wrong(f"inputs and outputs must be texts under {', '.join(TESTS)}", FORM)
    solutions = _pairs(row, "solutions", "language", "solution")
    python = [text for language, text in solutions if language == PYTHON3 and is_text(text)]
    return Problem(
        task_id=row.text("name"),
        prompt=f'"""\n{row.text("description")}\n"""\n',
        canonical_solution=python[0] if python else "",
        test="",
        entry_point="",
        kind="stdio",
        examples=examples,
        frame=("", ""),
    )


def _pairs(row: Row, key: str, first: str, second: str) -> list[tuple[Any, Any]]:
    """The pairs under a key: an object of two lists, or a list of objects with both."""
    values = row.values.get(key) or []
    if isinstance(values, dict):
        ones, twos = values.get(first), values.get(second)
        if isinstance(ones, list) and isinstance(twos, list) and len(ones) == len(twos):
            return list(zip(ones, twos, strict=True))
    elif isinstance(values, list) and all(isinstance(entry, dict) for entry in values):
        return [(entry.get(first), entry.get(second)) for entry in values]
    raise row.wrong(f"lists of one length are needed under {first} and {second} of {key}", FORM)
