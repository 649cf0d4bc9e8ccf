"""What each task counts, in a file of its own, for the manifest.

A work folder is shared by all tasks:

    counts/STEP-RANK.json   what a step of a task counted, written when the step ends
    parts/NAME/             documents; see data.packages.part
"""

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bytelm.toolkit import InputError, write_json

STEPS = ("read", "steps", "parts")
"""The steps that write counts. Of these, `parts` must be in every pipeline."""


def write_counts(work: Path, step: str, rank: int, tasks: int, counts: dict[str, Any]) -> None:
    """Keep what a step of task `rank` of `tasks` counted."""
    folder = work / "counts"
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / f"{step}-{rank:05d}.json", {"tasks": tasks, **counts})


def read_counts(work: Path, step: str) -> list[dict[str, Any]]:
    """What a step counted, task by task; [] if the pipeline had no such step.

    Raises InputError if a task has not ended, or if tasks of two runs are mixed.
    """
    found = {path: _read(path) for path in sorted((work / "counts").glob(f"{step}-*.json"))}
    if not found:
        return []
    tasks = {counts["tasks"] for counts in found.values()}
    if len(tasks) > 1:
        raise InputError(
            f"{work} holds counts of runs with {' and '.join(map(str, sorted(tasks)))} tasks; "
            "remove it and run all tasks again"
        )
    [count] = tasks
    missing = [
        rank for rank in range(count) if work / "counts" / f"{step}-{rank:05d}.json" not in found
    ]
    if missing:
        raise InputError(
            f"{work}: {len(missing)} of {count} tasks have not ended, the first of them task "
            f"{missing[0]}; run them, and merge then"
        )
    return list(found.values())


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error}); run its task again") from error
    if not isinstance(found, dict) or not isinstance(found.get("tasks"), int):
        raise InputError(f"{path} holds no counts; run its task again")
    return found


def summed(counts: Iterable[dict[str, Any]], key: str) -> Counter[str]:
    """The counts under `key` of all tasks together."""
    total = Counter[str]()
    for one in counts:
        total.update(one.get(key, {}))
    return total
