"""human-eval: `{task_id, prompt, canonical_solution, test, entry_point}`, and so our own suites.

A row may have `doctest` too: text with examples of the module doctest. Then these are the test, and
`test`, which other graders run, is not looked at: it may be anybody's code.
"""

from eval.sandbox.examples import count_examples
from eval.suites.formats.problem import Problem
from eval.suites.formats.rows import Row

FORM = "human-eval's format"
KEYS = ("task_id", "prompt", "canonical_solution", "test", "entry_point")


def problem(row: Row) -> Problem:
    """The problem of a row, which may have `level`, `family` and `doctest` too.

    Raises InputError for a missing key, a value that is no text, and a `doctest` without examples.
    """
    row.need(FORM, text=KEYS)
    task_id, prompt, solution, test, entry_point = (row.text(key) for key in KEYS)
    level, family = (str(row.values.get(name, "")) for name in ("level", "family"))
    if "doctest" not in row.values:
        return Problem(task_id, prompt, solution, test, entry_point, level, family)
    examples = row.text("doctest")
    try:
        found = count_examples(examples)
    except ValueError as error:
        first = str(error).partition("\n")[0]
        raise row.wrong(f"doctest cannot be read: {first}", FORM) from error
    if not found:
        raise row.wrong("doctest has no example that is run, so all would pass", FORM)
    return Problem(task_id, prompt, solution, examples, entry_point, level, family, kind="doctest")
