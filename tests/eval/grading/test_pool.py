"""Many programs: each has its own verdict, whatever its neighbours and its graders do."""

import itertools
import json
import threading
import time
from pathlib import Path

import pytest

from bytelm.toolkit import InputError, Journal
from eval.grading.pool import Grader, Task, measure_time_scale
from eval.sandbox.probe import find_backend
from eval.sandbox.runner import Limits, Program, RefusedError, Runner
from eval.sandbox.verdict import Verdict, verdict_of

DOUBLE = "def check(f):\n    assert f(2) == 4\n"


def program(body: str, test: str = DOUBLE) -> Program:
    return Program(f"def f(x):\n    {body}\n", test, "f")


def grader(workers: int = 2, seconds: float = 3.0) -> Grader:
    backend = find_backend()
    return Grader(lambda: Runner(backend), Limits(seconds), workers)


@pytest.mark.medium
def test_results_keep_their_places_beside_programs_that_attack() -> None:
    attack = "import posix\n    posix.kill(posix.getppid(), 9)\n    while True: pass"
    bodies = [attack if i % 3 == 1 else f"raise ValueError({i})" for i in range(9)]
    verdicts = grader(workers=3).grade([Task(program(body)) for body in bodies])
    assert [str(v) for v in verdicts if not v.startswith("failed: [Errno 1]")] == [
        f"failed: {i}" for i in range(9) if i % 3 != 1
    ]


@pytest.mark.medium
def test_four_times_as_many_workers_as_cores_fail_nobody() -> None:
    """Programs that use most of their time, programs that use too much, and quick ones."""
    busy = "import time\n    s = time.process_time()\n    while time.process_time() < s + {}: pass"
    bodies = {
        busy.format(0.4) + "\n    return x * 2": "passed",
        "import time; time.sleep(0.4)\n    return x * 2": "passed",
        "while True: pass": "timed out",
        "return x": "failed: ",
    }
    tasks = [Task(program(body)) for body in bodies]
    found = []
    for turn in range(2):
        # Equal programs are run once, so each turn's differ by a comment.
        own = [Task(Program(f"{t.program.source}# {turn} {i}", DOUBLE, "f"))
               for i in range(4) for t in tasks]  # fmt: skip
        found.append([str(v) for v in grader(workers=8, seconds=0.8).grade(own)])
    assert found == [list(bodies.values()) * 4] * 2


@pytest.mark.medium
def test_a_slow_reference_lends_its_time() -> None:
    slow = (
        "import time\n    s = time.process_time()\n    while time.process_time() < s + {}: pass\n"
        "    return x * 2"
    )
    reference = program(slow.format(0.3))
    judged = grader(seconds=0.5)
    tasks = [
        Task(program(slow.format(0.9)), reference),
        Task(program(slow.format(0.8))),
        Task(program("while True: pass"), reference),
        Task(program("import os; os._exit(0)"), reference),
        # A reference that does not pass says nothing about the time.
        Task(program(slow.format(0.7)), program("return x")),
    ]
    assert judged.grade(tasks) == ["passed", *["timed out"] * 4]


class Broken(Runner):
    """A runner whose warden never works."""

    def __init__(self) -> None:
        super().__init__("none")

    def run(self, program: Program, limits: Limits, stop: object = None) -> Verdict:
        return Verdict("infra error: gone", "infra_error")


def test_what_the_grader_failed_to_run_is_run_again_the_next_time(tmp_path: Path) -> None:
    out = tmp_path / "results.jsonl"
    with Journal(out, {"work": 1}) as journal:
        broken = Grader(Broken, Limits(), 1)
        assert broken.grade([Task(program("return x * 2"))], journal)[0].kind == "infra_error"
        assert journal.rows == []
    with Journal(out, {"work": 1}) as journal:
        backend = find_backend()
        whole = Grader(lambda: Runner(backend), Limits(), 1)
        assert whole.grade([Task(program("return x * 2"))], journal) == ["passed"]
        assert len(journal.rows) == 1
        # Kept: no runner is asked any more.
        assert broken.grade([Task(program("return x * 2"))], journal) == ["passed"]


def test_no_wall_no_run() -> None:
    def refuse() -> Runner:
        raise RefusedError("no wall")

    with pytest.raises(RefusedError, match="no wall"):
        Grader(refuse, Limits(), 2).grade([Task(program("return 1"))])
    assert issubclass(RefusedError, InputError)
    assert (RefusedError.status, InputError.status) == (3, 2)


def test_an_error_stops_the_other_programs() -> None:
    running = threading.Event()

    class Waits(Runner):
        def __init__(self) -> None:
            super().__init__("none")

        def run(
            self, program: Program, limits: Limits, stop: threading.Event | None = None
        ) -> Verdict:
            if program.source == "bad":
                running.wait(60)
                raise RefusedError("now")
            running.set()
            assert stop is not None
            assert stop.wait(60)  # set by the other one's error
            return Verdict("timed out")

    with pytest.raises(RefusedError, match="now"):
        Grader(Waits, Limits(), 2).grade([Task(Program("good")), Task(Program("bad"))])


@pytest.mark.parametrize(("loop_s", "scale"), [(0.001, 1.0), (0.01, 1.0), (0.05, 5.0), (3.0, 10.0)])
def test_slow_machines_get_more_time(
    monkeypatch: pytest.MonkeyPatch, loop_s: float, scale: float
) -> None:
    ticks = itertools.count()
    monkeypatch.setattr(time, "process_time", lambda: next(ticks) * loop_s)
    assert measure_time_scale() == pytest.approx(scale)


def test_a_verdict_is_kept_as_it_was_told(tmp_path: Path) -> None:
    told = Verdict("failed: x", "memory", "assert x", "printed").told
    assert json.loads(json.dumps(told)) == {
        "result": "failed: x",
        "assertion": "assert x",
        "verdict": "memory",
        "printed": "printed",
    }
    assert verdict_of(told).told == told
