"""The formats that are known, by name, and how a file's format is recognised by its keys."""

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

from eval.suites.formats import (
    apps,
    code_contests,
    cruxeval,
    evalplus,
    human_eval,
    infilling,
    mbpp,
    multipl_e,
)
from eval.suites.formats.problem import LeftOut, Problem
from eval.suites.formats.rows import Row

Made = Problem | LeftOut | None
"""What becomes of a row. None: it does not belong to the part of the suite that was asked for."""


@dataclass(frozen=True)
class Format:
    """A format of problems.

    `problem(row, **options)` makes a problem of a row; the module's text says which options there
    are. `prompt` and `stops`: the prompt's form, and the name of the stops, where no suite says
    others. A row is taken for this format if it has these `keys`, and a task_id with this
    beginning.
    """

    problem: Callable[..., Made]
    keys: tuple[str, ...]
    prompt: str
    stops: str
    begins: str = ""

    def fits(self, row: Row) -> bool:
        """Whether a row is taken for this format."""
        named = str(row.values.get("task_id", "")).startswith(self.begins)
        return named and row.has(*self.keys)


def _format(module: ModuleType, prompt: str, stops: str, begins: str = "") -> Format:
    return Format(module.problem, module.KEYS, prompt, stops, begins)


FORMATS = {
    # The first one that fits is taken. So those with more keys come first.
    "infilling": _format(infilling, "prefix", "own"),
    "mbpp-plus": _format(evalplus, "evalplus", "evalplus-mbpp", begins="Mbpp/"),
    "evalplus": _format(evalplus, "evalplus", "evalplus"),
    "mbpp": _format(mbpp, "paper", "done"),
    "apps": _format(apps, "apps", "apps"),
    "code-contests": _format(code_contests, "docstring", "docstring"),
    "multipl-e": _format(multipl_e, "multipl-e", "own"),
    "cruxeval": _format(cruxeval, "assert", "own"),
    "human-eval": _format(human_eval, "human-eval", "paper"),
}


def recognised(row: Row) -> Format:
    """The format of a file with this first row; human-eval's where none fits."""
    found = (known for known in FORMATS.values() if known.fits(row))
    return next(found, FORMATS["human-eval"])
