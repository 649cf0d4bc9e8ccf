"""MultiPL-E: `{name, language, prompt, tests, stop_tokens}`, programs in other languages.

Prompt, completion, a newline and `tests` are a whole program. There are no reference solutions.

Source: nuprl/MultiPL-E, evaluation/src/containerized_eval.py and the files of prompts.
"""

from eval.suites.formats.problem import Problem
from eval.suites.formats.rows import Row

FORM = "MultiPL-E's format"
KEYS = ("name", "language", "prompt", "tests")

LANGUAGES = {
    "go_test.go": "go", "javascript": "js", "notypes.py": "python", "pl": "perl", "py": "python",
}  # fmt: skip
"""Our names for languages where MultiPL-E has others, or several for one."""


def problem(row: Row) -> Problem:
    """The problem of a row. Raises InputError for a missing key, or a value of another kind."""
    row.need(FORM, text=KEYS, texts=("stop_tokens",))
    language = row.text("language")
    return Problem(
        task_id=row.text("name"),
        prompt=row.text("prompt"),
        canonical_solution="",
        test=row.text("tests"),
        entry_point="",
        kind="program",
        language=LANGUAGES.get(language, language),
        # An empty stop would end every completion at once.
        stops=tuple(filter(None, row.texts("stop_tokens"))),
    )
