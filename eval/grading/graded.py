"""Graded samples as `eval table1` reads them: the tallies of each run, temperature and problem."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bytelm.toolkit import InputError, read_jsonl
from eval.grading.pass_at_k import Tally
from eval.grading.scores import is_temperature

Tallies = dict[float, dict[str, Tally]]
"""The tallies of a run, by temperature and problem."""


@dataclass(frozen=True)
class Graded:
    """The verdicts of a label's samples: `runs` has those of each of its `checkpoints`."""

    label: str
    paths: list[Path]
    sha256s: list[str]
    checkpoints: list[str]
    runs: list[Tallies]

    def of(self, problems: Collection[str]) -> "Graded":
        """The same of these problems alone."""
        return replace(
            self,
            runs=[
                {
                    temperature: {task: tally for task, tally in own.items() if task in problems}
                    for temperature, own in run.items()
                }
                for run in self.runs
            ],
        )


def read_graded(label: str, paths: Sequence[Path]) -> Graded:
    """Read the files that `eval grade` wrote for a label.

    The checkpoint that a row names is its run. A row without a temperature is greedy: its
    temperature is 0. Raises InputError for a row that has no verdict, and for a sample that comes
    twice.
    """
    counts: dict[str, dict[float, dict[str, list[int]]]] = {}
    seen: set[tuple[str, str, float, int]] = set()
    sha256s = []
    for path in paths:
        lines = read_jsonl(path)
        sha256s.append(lines.sha256)
        if not lines.rows:
            raise InputError(f"{path}: no samples in it; `eval grade` writes such files")
        for number, row in lines.rows:
            task, temperature, sample = _key_of(row, f"{path}:{number}")
            named = row.get("checkpoint_sha256")
            run = named if isinstance(named, str) else ""
            if sample >= 0 and (run, task, temperature, sample) in seen:
                raise InputError(
                    f"{path}:{number}: sample {sample} of {task} at temperature {temperature:g} "
                    f"comes a second time under the label {label}, of one checkpoint"
                )
            seen.add((run, task, temperature, sample))
            own = counts.setdefault(run, {}).setdefault(temperature, {})
            count = own.setdefault(task, [0, 0])
            count[0] += 1
            count[1] += row["passed"]
    runs = [
        {
            temperature: {task: Tally(*count) for task, count in sorted(own.items())}
            for temperature, own in sorted(of_run.items())
        }
        for of_run in counts.values()
    ]
    if not set.intersection(*(set(run) for run in runs)):
        raise InputError(
            f"the {len(runs)} checkpoints of {label} have no temperature in common; give each a "
            "label of its own, or sample all of them at the same temperatures"
        )
    return Graded(label, list(paths), sha256s, [run for run in counts if run], runs)


def _key_of(row: Mapping[str, Any], where: str) -> tuple[str, float, int]:
    """A row's problem, temperature and number; -1 where it has no number."""
    task_id, temperature, sample = row.get("task_id"), row.get("temperature", 0), row.get("sample")
    if not isinstance(task_id, str):
        raise InputError(f"{where}: text is needed under task_id")
    if not isinstance(row.get("passed"), bool):
        raise InputError(
            f"{where}: no verdict (true or false) under passed; run `eval grade` on these samples, "
            "and give the file that ends in _results.jsonl"
        )
    if not is_temperature(temperature):
        raise InputError(f"{where}: temperature is no number from 0 to 10^6")
    if isinstance(sample, bool) or not isinstance(sample, int) or sample < 0:
        sample = -1
    return task_id, float(temperature), sample


def check_alike(graded: Sequence[Graded]) -> list[str]:
    """The problems, in order. Raises InputError unless all samples are of the same problems."""
    first = graded[0]
    problems = set().union(*first.runs[0].values())
    for one in graded:
        for temperature, own in (pair for run in one.runs for pair in run.items()):
            here, there = f"{one.label} at temperature {temperature:g}", first.label
            for task in sorted(problems ^ set(own)):
                has, lacks = (here, there) if task in own else (there, here)
                raise InputError(
                    f"{lacks} has no sample of {task}, but {has} has; checkpoints and temperatures "
                    "are compared on the same problems"
                )
    return sorted(problems)
