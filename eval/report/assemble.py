"""From a run's files to its report: choose the figures, name what is missing, note what is off."""

from collections import Counter
from sys import float_info

from eval.measure.text import distinct_windows
from eval.records import (
    SEAL,
    BitsResult,
    CompleteResult,
    GradeResult,
    RunConfig,
    SolutionsResult,
    SpeedResult,
)
from eval.report.record import BitsSource, Report, SolutionScore, SuiteScore, Training
from eval.report.run_folder import Run, SuiteRun

# The report has these keys of bits.json beside its own key `bits`.
BESIDE = ("files", "compressors", "heads_bpb", "forecast")
KEPT = tuple(SolutionScore.model_fields)

Result = BitsResult | SpeedResult | CompleteResult | GradeResult | SolutionsResult


def assemble(run: Run) -> Report:
    """The report of a run; report.json is its `to_dict()`."""
    config, summary, bits = run.config or RunConfig(), run.summary, run.bits
    training = _training(run)
    source = bits.to_dict((*SEAL, *BESIDE)) if bits else None
    forecasts = [result.forecast for result in (bits, summary) if result and result.forecast]
    return Report(
        run=run.path.resolve().name,
        held_out_bpb=bits.heads_bpb if bits else training.held_out_bpb,
        forecast=next(iter(forecasts), None),
        compressors=bits.compressors if bits else None,
        bits=BitsSource.model_validate(source) if source else None,
        speed=run.speed.rows if run.speed else [],
        exercises=_score(run.suites["exercises"]),
        humaneval=_score(run.suites["humaneval"]),
        micro=_score(run.suites["micro"]),
        solution_bits=_solution_bits(run),
        training=training,
        data=config.data,
        stages=_stages(run, training.train_s),
        missing=_missing(run),
        notes=_notes(run),
        commands=_commands(run),
        checkpoint=summary.checkpoint if summary else None,
        checkpoint_sha256=summary.checkpoint_sha256 if summary else None,
        machine=config.machine or (summary.machine if summary else None),
        versions=config.versions or (summary.versions if summary else None),
    )


def _training(run: Run) -> Training:
    """What the summary says; of a run that has not ended, what its last step says."""
    config, summary = run.config or RunConfig(), run.summary
    last = run.metrics[-1] if run.metrics else None
    steps, seen, seconds = (last.step, last.bytes, last.elapsed_s) if last else (None, None, None)
    if summary:
        steps, seen = summary.steps, summary.bytes
        seconds = seconds if summary.train_s is None else summary.train_s
    return Training(
        preset=config.preset,
        steps=steps,
        bytes=seen,
        train_s=seconds,
        parameters=summary.parameters if summary else None,
        final_bpb=last.bpb if last else None,
        held_out_bpb=summary.held_out_bpb if summary else None,
        model=config.model,
        train=config.train,
    )


def _score(suite: SuiteRun) -> SuiteScore | None:
    """A suite's score, with the figures of its completions; None where it was not graded."""
    if suite.score is None:
        return None
    reasons = Counter(row.finish_reason for row in suite.samples if row.finish_reason)
    texts = [row.content for row in suite.samples]
    complete = suite.complete.to_dict(SEAL) if suite.complete else None
    return SuiteScore.model_validate(
        {
            **suite.score.to_dict(SEAL),
            "finish_reasons": suite.score.finish_reasons or dict(sorted(reasons.items())),
            "bytes_per_forward": suite.complete.bytes_per_forward if suite.complete else None,
            "distinct_windows": distinct_windows(texts) if texts else None,
            "complete": complete or None,
        }
    )


def _solution_bits(run: Run) -> dict[str, SolutionScore]:
    found = {name: suite.solutions for name, suite in run.suites.items() if suite.solutions}
    return {
        name: SolutionScore.model_validate(
            {key: value for key, value in result.to_dict(SEAL).items() if key in KEPT}
        )
        for name, result in found.items()
    }


def _stages(run: Run, train_s: float | None) -> dict[str, float | None]:
    """Seconds of each stage, None where they are not known. timings.json has the last word."""
    data = run.config.data if run.config else None
    stages: dict[str, object] = {
        "data": data.seconds if data else None,
        "train": train_s,
        "bits": run.bits.seconds if run.bits else None,
        "speed": run.speed.seconds if run.speed else None,
    }
    for name, suite in run.suites.items():
        stages[f"complete_{name}"] = suite.complete.seconds if suite.complete else None
        stages[f"grade_{name}"] = suite.score.seconds if suite.score else None
        stages[f"solutions_{name}"] = suite.solutions.seconds if suite.solutions else None
    return {name: _seconds(value) for name, value in (stages | run.timings).items()}


def _seconds(value: object) -> float | None:
    """`value` where it is a duration, else None: timings come from anywhere."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value) if 0 <= value <= float_info.max else None
    return None


def _missing(run: Run) -> list[str]:
    """The stages that left nothing, each with the file that it would have left."""
    found: dict[str, object] = {
        "config (config.json)": run.config,
        "the end of training (summary.json)": run.summary,
        "metrics (metrics.jsonl)": run.metrics,
        "bits (results/bits.json)": run.bits,
        "speed (results/speed.json)": run.speed,
    }
    for name, suite in run.suites.items():
        found[f"complete {name} (results/{name}.jsonl)"] = suite.samples
        found[f"grade {name} (results/{name}.json)"] = suite.score
        found[f"bits of {name}'s solutions (results/solutions-{name}.json)"] = suite.solutions
    return [name for name, content in found.items() if not content]


def _results(run: Run) -> dict[str, Result]:
    """The sealed results by the name of their stage."""
    results: dict[str, Result | None] = {"bits": run.bits, "speed": run.speed}
    for name, suite in run.suites.items():
        results |= {
            f"complete {name}": suite.complete,
            f"grade {name}": suite.score,
            f"bits of {name}'s solutions": suite.solutions,
        }
    return {stage: result for stage, result in results.items() if result is not None}


def _notes(run: Run) -> list[str]:
    """What a reader must know before believing the figures."""
    ours = run.summary.checkpoint_sha256 if run.summary else None
    notes = []
    for stage, result in _results(run).items():
        theirs = result.checkpoint_sha256
        if ours and theirs and theirs != ours:
            notes.append(
                f"The result of {stage} is of another checkpoint ({theirs[:12]}) than this run's "
                f"newest ({ours[:12]}): run that stage again."
            )
    notes += [
        f"The score of {name} is of other samples than results/{name}.jsonl: grade it again."
        for name, suite in run.suites.items()
        if suite.outdated
    ]
    if run.speed and not all(row.identical for row in run.speed.rows):
        notes.append(
            "Output with drafts DIFFERS from plain decoding in at least one row of the speed table."
        )
    return notes


def _commands(run: Run) -> dict[str, str]:
    """The command line of each stage that says it."""
    commands = {"train": run.config.command if run.config else None}
    commands |= {stage: result.command for stage, result in _results(run).items()}
    return {stage: command for stage, command in commands.items() if command}
