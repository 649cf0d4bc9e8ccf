"""What each task counts, in a file of its own, for the manifest.

A work folder is shared by all tasks:

    counts/STEP-RANK.json   what a step of a task was told, and what it counted, when it ended
    parts/NAME/             documents; see data.packages.part
"""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bytelm.toolkit import InputError, some, write_json

_STEPS = ("read", "steps", "parts")
_ANEW = "remove it and run all tasks again"


@dataclass(frozen=True)
class Counts:
    """What the tasks of a step counted, in the order of the tasks. All had the same `settings`."""

    settings: dict[str, Any]
    tasks: list[dict[str, Any]]

    def summed(self, key: str) -> Counter[str]:
        """The counts under `key` of all tasks together."""
        total = Counter[str]()
        for counts in self.tasks:
            total.update(counts.get(key, {}))
        return total


def write_counts(
    work: Path,
    step: str,
    rank: int,
    tasks: int,
    settings: dict[str, Any],
    counts: dict[str, Any],
) -> None:
    """Keep what a step of task `rank` of `tasks` was told and saw, and what it counted."""
    assert step in _STEPS
    folder = work / "counts"
    folder.mkdir(parents=True, exist_ok=True)
    whole = {"tasks": tasks, "settings": settings, "counts": counts}
    write_json(folder / _name(step, rank), whole)


def read_counts(work: Path) -> dict[str, Counts]:
    """The counts of the pipeline's steps by name; `parts` is always there.

    Raises InputError if a task has not ended, and if tasks differ in settings or in number: their
    parts would not go together.
    """
    found = {step: _of_step(work, step) for step in _STEPS}
    if not found["parts"]:
        raise InputError(f"{work} holds no parts; run a pipeline with WriteParts first")
    numbers = {whole["tasks"] for files in found.values() for whole in files.values()}
    if len(numbers) > 1:
        those = " and ".join(map(str, sorted(numbers)))
        raise InputError(f"{work} holds counts of runs with {those} tasks; {_ANEW}")
    [tasks] = numbers
    for step, files in found.items():
        missing = [rank for rank in range(tasks) if _name(step, rank) not in files]
        if files and missing:
            raise InputError(
                f"{work}: {len(missing)} of {tasks} tasks have not ended, the first of them task "
                f"{missing[0]}; run them, and merge then"
            )
    return {step: _together(work, step, files) for step, files in found.items() if files}


def _name(step: str, rank: int) -> str:
    return f"{step}-{rank:05d}.json"


def _of_step(work: Path, step: str) -> dict[str, dict[str, Any]]:
    paths = (work / "counts").glob(f"{step}-*.json")
    return {path.name: _read(path) for path in sorted(paths)}


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error}); run its task again") from error
    if not isinstance(found, dict) or {*found} != {"tasks", "settings", "counts"}:
        raise InputError(f"{path} holds no counts; run its task again")
    return found


def _together(work: Path, step: str, files: dict[str, dict[str, Any]]) -> Counts:
    tasks = [files[_name(step, rank)] for rank in range(len(files))]
    first = tasks[0]["settings"]
    for rank, whole in enumerate(tasks):
        other = whole["settings"]
        differ = sorted(key for key in first | other if first.get(key) != other.get(key))
        if differ:
            raise InputError(
                f"{work}: tasks 0 and {rank} differ in {some(differ)} of the step {step!r}, so "
                f"their parts do not go together; {_ANEW}, with the same script on the same files"
            )
    return Counts(first, [whole["counts"] for whole in tasks])
