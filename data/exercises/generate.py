"""The curriculum as documents, made on all cores: the same bytes however many there are."""

import os
import signal
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from typing import Any, get_args

from bytelm.toolkit import usable_cores
from data.exercises.clean import Checks
from data.exercises.documents import Block, Kind, block
from data.exercises.exercise import WORDINGS
from data.exercises.grammar.meaning import LEVELS
from data.exercises.grammar.meaning import count as count_meanings
from data.exercises.grammar.scalars import SCALARS
from data.walk import Found

LAST_STAGE = 2
# The first stage has functions of one operation alone: one block for each of so many bytes of text,
# and no more than are needed to learn them. The second has twice as many blocks of all exercises.
# In the last, other text may lie between the exercises.
OPERATION_BLOCKS, BYTES_PER_OPERATION_BLOCK = 7, 1_100_000
# Blocks that are begun ahead of the one that is needed next, for each process.
AHEAD = 3


@dataclass
class Curriculum:
    """Blocks of exercises until they have `wanted_bytes` together.

    `tests`: benchmarks' tests; meanings that pass one are left out. After reading, `about` has the
    counts for the manifest.
    """

    wanted_bytes: int
    seed: int
    tests: Checks
    processes: int = 0
    """0: all cores."""
    rejected: Counter[str] = field(default_factory=Counter)
    rejected_bytes: Counter[str] = field(default_factory=Counter)
    about: dict[str, Any] = field(default_factory=dict)

    @property
    def operations(self) -> int:
        """How many blocks the first stage has."""
        return min(OPERATION_BLOCKS, self.wanted_bytes // BYTES_PER_OPERATION_BLOCK)

    def files(self) -> Iterator[Found]:
        counts, made = _Counts(), 0
        for found in self._blocks():
            counts.add(found)
            stage = sum(found.number >= end for end in (self.operations, 3 * self.operations))
            yield from (replace(document, stage=stage) for document in found.documents)
            made += sum(len(document.content) for document in found.documents)
            # Whole blocks, so that the counts are those of the documents.
            if made >= self.wanted_bytes:
                self.about |= counts.figures()
                return

    def _blocks(self) -> Iterator[Block]:
        make = partial(block, self.seed, tests=self.tests, operations=self.operations)
        processes = self.processes or usable_cores()
        if processes == 1:
            yield from map(make, count())
            return
        begin = partial(_begin_worker, os.getpid(), make)
        with ProcessPoolExecutor(processes, initializer=begin) as pool:
            pending: deque[Future[Block]] = deque()
            try:
                for number in count():
                    pending.append(pool.submit(_made, number))
                    if len(pending) > AHEAD * processes:
                        yield pending.popleft().result()
            finally:
                pool.shutdown(wait=True, cancel_futures=True)


_make: list[Callable[[int], Block]] = []


def _begin_worker(parent: int, make: Callable[[int], Block]) -> None:
    """Leave signals to the parent process, and end with it even if it is killed.

    `make` is sent once, not with each block: so a worker keeps what it knows of meanings and tests.
    """
    _make[:] = [make]
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _made(number: int) -> Block:
    return _make[0](number)


def _end_with(parent: int) -> None:
    # A pool's workers wait for work for ever where their parent was killed.
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


class _Counts:
    def __init__(self) -> None:
        self.meanings = {kind: set[bytes]() for kind in get_args(Kind)}
        self.families, self.levels = Counter[str](), Counter[int]()
        self.exercises = self.tests_run = 0
        self.left_out: dict[str, str] = {}

    def add(self, found: Block) -> None:
        self.meanings[found.kind] |= found.meanings
        self.families += found.families
        self.levels += found.levels
        self.exercises += found.exercises
        self.tests_run += found.tests_run
        self.left_out |= found.left_out

    def figures(self) -> dict[str, Any]:
        return {
            "exercises": self.exercises,
            "meanings": {
                "train": len(self.meanings["train"]),
                "held_out": len(self.meanings["held_out"]),
                "in_held_out_wordings": len(self.meanings["wordings"]),
                "of_the_grammar": {level: count_meanings(level) for level in LEVELS},
                "written_by_hand": len(SCALARS),
            },
            "wordings": {split: len(found) for split, found in WORDINGS.items()},
            "families": len(self.families),
            "levels": {level: self.levels[level] for level in LEVELS},
            "benchmarks": {
                "tests_run": self.tests_run,
                "left_out": dict(sorted(self.left_out.items())),
            },
        }
