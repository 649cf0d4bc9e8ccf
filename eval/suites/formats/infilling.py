"""human-eval-infilling: human-eval's keys and `suffix`, the text that follows the completion.

A line to fill in ends with its newline, and the suffix begins with the next line. Decoding ends at
the newline, which is no part of what it returns. So `closing` puts it back.

Source: openai/human-eval-infilling, README and human_eval_infilling/execution.py.
"""

from dataclasses import replace

from eval.suites.formats import human_eval
from eval.suites.formats.problem import Problem
from eval.suites.formats.rows import Row

FORM = "human-eval-infilling's format"
KEYS = (*human_eval.KEYS, "suffix")
SINGLE_LINE = "SingleLineInfilling/"
"""How the names of problems begin whose answer is one line."""


def problem(row: Row) -> Problem:
    """The problem of a row. Raises InputError for a missing key, or a value that is no text."""
    row.need(FORM, text=KEYS)
    found = replace(human_eval.problem(row), suffix=row.text("suffix"))
    if found.task_id.startswith(SINGLE_LINE):
        return replace(found, stops=("\n",), closing="\n")
    return found
