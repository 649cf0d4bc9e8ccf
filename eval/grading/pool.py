"""Run many programs, several at a time, and give each its verdict."""

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, replace

from bytelm.toolkit import Journal, progress_bar
from eval.sandbox.runner import Limits, Program, Runner
from eval.sandbox.verdict import Verdict, verdict_of

REFERENCE_TIMES = 5.0
"""A program may take so many times the time of the reference solution, if that is more."""
_MOST_SECONDS = 600.0
_LOOP_STEPS = 100_000
_LOOP_NOMINAL_S = 0.010  # an ordinary 2020s core takes 0.005 to 0.010 s for the loop
_MOST_SCALE = 10.0


def measure_time_scale() -> float:
    """How many times slower than an ordinary machine this one is at Python: 1.0 to 10.0.

    Time limits are multiplied by it. Measured in CPU time, so that a busy machine counts as the
    machine that it is.
    """

    def loop() -> float:
        start, total = time.process_time(), 0
        for number in range(_LOOP_STEPS):
            total += number * number % 7
        return time.process_time() - start

    return min(_MOST_SCALE, max(1.0, min(loop() for _ in range(5)) / _LOOP_NOMINAL_S))


@dataclass(frozen=True)
class Task:
    """A program to run, and the reference solution's, if there is one, which measures its time."""

    program: Program
    reference: Program | None = None


class Grader:
    """Runners, and how long the reference solutions take here.

    `start` makes a runner; at most `workers` of them are alive at a time.
    """

    def __init__(self, start: Callable[[], Runner], limits: Limits, workers: int) -> None:
        self._start, self._limits, self._workers = start, limits, workers
        self._idle: queue.SimpleQueue[Runner] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._reference_s: dict[Program, float] = {}

    def grade(self, tasks: Sequence[Task], journal: Journal | None = None) -> list[Verdict]:
        """The verdict of each task, in order.

        Equal programs are run once. Programs whose verdicts are in `journal` are not run again;
        the verdicts of the others are added to it, but for those that say that the grader failed.
        On any exception, such as Ctrl-C, running programs are killed and no others are started.
        Raises RefusedError where no wall can be put up.
        """
        found = self._kept(tasks, journal)
        distinct: dict[Program, int] = {}
        for index, task in enumerate(tasks):
            distinct.setdefault(task.program, index)
        left = [index for program, index in distinct.items() if program not in found]
        with (
            self._pool() as pool,
            progress_bar(
                total=len(distinct), initial=len(found), desc="grade", unit="program"
            ) as bar,
        ):
            futures = {pool.submit(self.verdict, tasks[index]): index for index in left}
            for future in as_completed(futures):
                index, verdict = futures[future], future.result()
                found[tasks[index].program] = verdict
                if journal and verdict.kind != "infra_error":
                    journal.append({"index": index, **verdict.told})
                bar.update()
        return [found[task.program] for task in tasks]

    def _kept(self, tasks: Sequence[Task], journal: Journal | None) -> dict[Program, Verdict]:
        rows = journal.rows if journal else []
        return {tasks[row["index"]].program: verdict_of(row) for row in rows}

    @contextmanager
    def _pool(self) -> Iterator[ThreadPoolExecutor]:
        """Threads, each with a runner while it has a program. All runners are closed at the end."""
        with ThreadPoolExecutor(self._workers, "grade") as pool:
            try:
                yield pool
            except BaseException:
                self._stop.set()
                pool.shutdown(wait=True, cancel_futures=True)
                raise
            finally:
                while not self._idle.empty():
                    self._idle.get().close()

    def verdict(self, task: Task) -> Verdict:
        """The verdict of one task, on an idle runner or on a new one."""
        try:
            runner = self._idle.get_nowait()
        except queue.Empty:
            runner = self._start()
        try:
            return self._on(runner, task)
        finally:
            self._idle.put(runner)

    def _on(self, runner: Runner, task: Task) -> Verdict:
        verdict = runner.run(task.program, self._limits, self._stop)
        if verdict.kind != "timed_out" or task.reference is None or not verdict.ran_out:
            return verdict
        # Only now does the reference's time matter: most programs end long before the limit.
        seconds = REFERENCE_TIMES * self._reference_time(runner, task.reference)
        if seconds <= self._limits.seconds:
            return verdict
        longer = replace(self._limits, seconds=min(seconds, _MOST_SECONDS))
        return runner.run(task.program, longer, self._stop)

    def _reference_time(self, runner: Runner, reference: Program) -> float:
        """CPU seconds of the reference solution and of the test; 0 if it does not pass."""
        if reference not in self._reference_s:
            longer = replace(self._limits, seconds=_MOST_SECONDS / REFERENCE_TIMES)
            verdict = runner.run(reference, longer, self._stop)
            self._reference_s[reference] = verdict.seconds if verdict.kind == "passed" else 0.0
        return self._reference_s[reference]
