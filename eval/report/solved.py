"""Solved and failed problems for the report, with their tests: which ones, and what is shown."""

from collections.abc import Sequence
from dataclasses import dataclass

from eval.records import Sample
from eval.suites.problems import Problem

COUNT = 3


@dataclass(frozen=True)
class Judged:
    """A completion beside its problem's test. `result`: the verdict, with the test that failed."""

    task_id: str
    level: str
    prompt: str
    completion: str
    reference: str
    test: str
    result: str


@dataclass(frozen=True)
class SideBySide:
    """As many solved problems as failed ones, where there are so many."""

    solved: list[Judged]
    failed: list[Judged]


def side_by_side(samples: Sequence[Sample], problems: Sequence[Problem]) -> SideBySide:
    """Up to COUNT solved and COUNT failed problems, evenly spread over the suite."""
    known = {problem.task_id: problem for problem in problems}
    graded = [row for row in samples if row.result is not None and row.task_id in known]
    return SideBySide(
        [_judged(row, known[row.task_id]) for row in _spread(graded, solved=True)],
        [_judged(row, known[row.task_id]) for row in _spread(graded, solved=False)],
    )


def _spread(rows: Sequence[Sample], solved: bool) -> list[Sample]:
    kept = [row for row in rows if (row.passed is True) == solved]
    count = min(COUNT, len(kept))
    return [kept[(2 * part + 1) * len(kept) // (2 * count)] for part in range(count)]


def _judged(row: Sample, problem: Problem) -> Judged:
    return Judged(
        task_id=row.task_id,
        level=problem.level,
        prompt=problem.prompt,
        completion=row.completion,
        reference=problem.canonical_solution,
        test=problem.test,
        result=_told(row),
    )


def _told(row: Sample) -> str:
    """The verdict; of a failed assertion, which the verdict says nothing of, its line."""
    return f"failed: {row.assertion}" if row.assertion else row.result or ""
