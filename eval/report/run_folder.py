"""A run folder as records: read and checked, so that the report can rely on them.

Any file of `results/` may be missing. A file that is there must be whole.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from bytelm.toolkit import (
    InputError,
    read_jsonl,
)
from eval.records import (
    BitsResult,
    CompleteResult,
    GradeResult,
    MetricsRow,
    R,
    Record,
    RunConfig,
    Sample,
    SolutionsResult,
    SpeedResult,
    TrainingSummary,
    as_record,
    finite,
    read_record,
)
from eval.suites.problems import SUITES


class Timings(Record):
    """results/timings.json: seconds of each stage, as `make run` times them; values not checked."""


@dataclass(frozen=True)
class SuiteRun:
    """What a run made of one suite; None, or empty, where a stage was not run."""

    score: GradeResult | None
    complete: CompleteResult | None
    solutions: SolutionsResult | None
    """The bits of the reference solutions."""
    samples: list[Sample]
    """With verdicts where they were graded."""
    outdated: bool
    """Whether the score is of other samples than those in the folder."""


@dataclass(frozen=True)
class Run:
    """The files of a run folder; None, or empty, where a file is absent."""

    path: Path
    config: RunConfig | None
    metrics: list[MetricsRow]
    summary: TrainingSummary | None
    bits: BitsResult | None
    speed: SpeedResult | None
    timings: dict[str, object]
    suites: dict[str, SuiteRun]
    """By the suite's name, every known suite."""


def read_run(folder: Path) -> Run:
    """Read a run folder.

    Raises InputError where nothing was trained in it, or one of its files is damaged.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give a run folder such as runs/tiny")
    metrics = _read_metrics(folder / "metrics.jsonl")
    summary = _read_optional(folder / "summary.json", TrainingSummary)
    if not metrics and not summary:
        raise InputError(
            f"{folder}: nothing was trained here (neither metrics.jsonl nor summary.json); "
            "train first, or give another run folder"
        )
    results = folder / "results"
    timings = _read_optional(results / "timings.json", Timings)
    return Run(
        path=folder,
        config=_read_optional(folder / "config.json", RunConfig),
        metrics=metrics,
        summary=summary,
        bits=_read_optional(results / "bits.json", BitsResult),
        speed=_read_optional(results / "speed.json", SpeedResult),
        timings=timings.to_dict() if timings else {},
        suites={suite: _read_suite(results, suite) for suite in SUITES},
    )


def _read_optional(path: Path, kind: type[R]) -> R | None:
    """The record in a file; None where there is no file, or only `{}` in it."""
    if not path.exists():
        return None
    record = read_record(path, kind)
    return record if record.model_fields_set else None


def _read_metrics(path: Path) -> list[MetricsRow]:
    if not path.exists():
        return []
    lines = path.read_bytes().splitlines(keepends=True)
    if lines and not lines[-1].endswith(b"\n"):
        # A run that was killed leaves half a row; so does one that is writing now.
        lines.pop()
    remedy = "resume the training, which writes it again from its checkpoint"
    rows = []
    for number, line in enumerate(lines, 1):
        where = f"{path}:{number}"
        try:
            row = finite(json.loads(line))
        except (ValueError, RecursionError) as error:
            raise InputError(f"{where}: damaged, not JSON ({error}); {remedy}") from error
        rows.append(as_record(row, MetricsRow, where, remedy))
    return rows


def _read_suite(results: Path, suite: str) -> SuiteRun:
    score = _read_optional(results / f"{suite}.json", GradeResult)
    path = results / f"{suite}.jsonl"
    graded = score.samples_sha256 if score else None
    return SuiteRun(
        score=score,
        complete=_read_optional(results / f"{suite}.complete.json", CompleteResult),
        solutions=_read_optional(results / f"solutions-{suite}.json", SolutionsResult),
        samples=_read_samples(results, suite),
        outdated=bool(graded) and path.is_file() and graded != _sha256(path),
    )


def _read_samples(results: Path, suite: str) -> list[Sample]:
    for name in (f"{suite}.jsonl_results.jsonl", f"{suite}.jsonl"):
        path = results / name
        if path.exists():
            return [
                as_record(finite(row), Sample, f"{path}:{number}", "complete the suite again")
                for number, row in read_jsonl(path).rows
            ]
    return []


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
