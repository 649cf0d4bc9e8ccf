"""Runners that are stopped, killed, refused and closed: nothing hangs, and nothing is left."""

import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from sandboxes import (
    SHORT,
    alive,
    cell_of,
    descendants,
    left_in,
    parent_of,
    programs_of,
    run_alone,
    run_function,
    warden_of,
    works,
)
from support import ROOT, wait_until

from eval.sandbox import runner as runner_module
from eval.sandbox.runner import Backend, CancelledError, Limits, Program, RefusedError, Runner
from eval.sandbox.verdict import Verdict

FOREVER = Limits(3600.0)  # only to be stopped can end it
LOOP = "while True: pass"


OTHERS = [pytest.param(name, marks=pytest.mark.slow) for name in ("landlock", "none")]


@pytest.fixture(params=["namespaces", *OTHERS])
def own(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Runner]:
    """A runner of this test alone, which has started; its temporary files lie in `tmp_path`."""
    backend: Backend = request.param
    if not works(backend):
        pytest.skip("these walls cannot be put up here")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with Runner(backend) as runner:
        assert run_alone(runner, "x = 1") == "passed"
        yield runner


def ended(*pids: int) -> None:
    """See processes end: a busy machine may take its time."""
    wait_until(lambda: not any(map(alive, pids)), 20)


def all_dead(runner: Runner) -> None:
    """See the programs of a runner end, and their judges."""
    warden = warden_of(runner)
    wait_until(lambda: not programs_of(warden), 20)


@contextmanager
def running(
    runner: Runner, source: str, limits: Limits
) -> Iterator[tuple[list[Verdict], set[int]]]:
    """A program that has begun, and its processes. Its verdict is in the list at the end."""
    all_dead(runner)
    warden = warden_of(runner)
    verdicts, stop = list[Verdict](), threading.Event()
    program = Program(source, joined=source, check=False)

    def run() -> None:
        with suppress(CancelledError):
            verdicts.append(runner.run(program, limits, stop))

    thread = threading.Thread(target=run)
    thread.start()
    try:
        wait_until(lambda: len(programs_of(warden)) == 3)  # its two processes, and its judge
        yield verdicts, programs_of(warden)
    except BaseException:
        stop.set()
        raise
    finally:
        thread.join()


def test_nothing_of_a_program_is_left(own: Runner, tmp_path: Path) -> None:
    for source in ("x = 1", "open('a', 'w').write('x')", "import os; os._exit(1)", LOOP, "1 / 0"):
        run_alone(own, source, SHORT)
        all_dead(own)
        assert left_in(tmp_path) == []
    own.close()
    assert list(tmp_path.iterdir()) == []


def opened(pid: int) -> list[str]:
    """The kinds of a process's open descriptors."""
    found = []
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # the one that lists them
            found.append(str(entry.readlink()).split(":")[0])
    return sorted(found)


def test_nothing_of_ours_leaks(own: Runner) -> None:
    all_dead(own)
    warden, cell = warden_of(own), cell_of(warden_of(own))
    before = {pid: opened(pid) for pid in (os.getpid(), warden, cell)}
    for _ in range(3):
        for source in ("x = 1", "import os; os._exit(1)", "import os; os.closerange(0, 99)"):
            run_alone(own, source, SHORT)
    all_dead(own)
    assert {pid: opened(pid) for pid in (os.getpid(), warden, cell)} == before
    own.close()
    own.close()
    ended(warden, cell)
    assert len(opened(os.getpid())) == len(before[os.getpid()]) - 3  # two pipes, and its stderr
    assert signal.getsignal(signal.SIGCHLD) == signal.SIG_DFL


def test_stop_ends_a_program_at_once(own: Runner) -> None:
    all_dead(own)
    stop, seen, warden = threading.Event(), set[int](), warden_of(own)
    program = Program(LOOP, joined=LOOP, check=False)

    def stop_when_running() -> None:
        wait_until(lambda: len(programs_of(warden)) == 3)
        seen.update(descendants(warden), {warden})
        stop.set()

    watcher = threading.Thread(target=stop_when_running)
    watcher.start()
    with pytest.raises(CancelledError):
        own.run(program, FOREVER, stop)
    watcher.join()
    assert len(seen) == 5
    ended(*seen)
    with pytest.raises(CancelledError):
        own.run(program, FOREVER, stop)


def test_a_runner_that_was_stopped_can_run_again(own: Runner) -> None:
    stop = threading.Event()
    stop.set()
    program = Program("x = 1", check=False)
    with pytest.raises(CancelledError):
        own.run(program, SHORT, stop)
    assert own.run(program, SHORT, threading.Event()) == "passed"
    stop.clear()
    assert own.run(program, SHORT, stop) == "passed"
    stop.set()
    assert own.run(program, SHORT) == "passed"  # no stop was given


def test_a_program_behind_namespaces_is_another_user(own: Runner) -> None:
    """Where we are root. Limits count processes by user: so each runner's programs have one."""
    if own._config["cell"]["backend"] != "namespaces" or os.geteuid() != 0:
        return
    users = []
    with Runner("namespaces") as another:
        assert run_alone(another, "x = 1") == "passed"
        for runner in (own, another):
            with running(runner, LOOP, SHORT) as (_, processes):
                parents = {parent_of(pid) for pid in processes}
                [inner] = [pid for pid in processes - parents if parent_of(pid) in processes]
                users.append(Path(f"/proc/{inner}").stat().st_uid)
    assert 0 not in users
    assert len(set(users)) == 2


@pytest.mark.medium
def test_a_killed_warden_is_started_anew(own: Runner) -> None:
    with running(own, LOOP, Limits(0.5)) as (verdicts, processes):
        warden = warden_of(own)
        os.kill(warden, signal.SIGKILL)
        ended(warden, *processes)
    assert verdicts == ["timed out"]
    assert warden_of(own) != warden
    assert run_alone(own, "x = 1") == "passed"


def test_a_killed_warden_leaves_no_scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not works("landlock"):
        pytest.skip("these walls cannot be put up here")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with Runner("landlock") as runner:
        assert run_alone(runner, "x = 1") == "passed"
        with running(runner, f"open('a', 'w').write('x')\n{LOOP}", SHORT):
            os.kill(warden_of(runner), signal.SIGKILL)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.medium
def test_a_killed_interpreter_is_started_anew(own: Runner) -> None:
    with running(own, LOOP, Limits(0.5)) as (verdicts, _):
        warden, cell = warden_of(own), cell_of(warden_of(own))
        os.kill(cell, signal.SIGKILL)
    assert verdicts == ["timed out"]
    assert warden_of(own) == warden
    cells = {cell, cell_of(warden)}
    os.kill(cell_of(warden), signal.SIGKILL)  # and one between two programs
    assert run_alone(own, "x = 1") == "passed"
    assert len({*cells, cell_of(warden)}) == 3


def test_a_killed_program_and_a_killed_judge_have_a_verdict(own: Runner) -> None:
    with running(own, LOOP, FOREVER) as (verdicts, processes):
        parents = {parent_of(pid) for pid in processes}
        [inner] = [pid for pid in processes - parents if parent_of(pid) in processes]
        os.kill(inner, signal.SIGKILL)
    assert verdicts[0].kind == "memory"  # the kernel kills so where there is none left
    with running(own, LOOP, FOREVER) as (verdicts, processes):
        [judge] = [pid for pid in processes if parent_of(pid) == warden_of(own)]
        os.kill(judge, signal.SIGKILL)
    assert verdicts == ["timed out"]
    all_dead(own)


def test_a_grader_that_is_killed_leaves_no_process(tmp_path: Path) -> None:
    """The warden hears that it is gone."""
    seen = tmp_path / "pid"
    code = (
        f"from eval.sandbox.runner import *\nfrom pathlib import Path\nr = Runner('none')\n"
        f"r.start()\nPath({str(seen)!r}).write_text(str(r._process.pid))\n"
        f"r.run(Program({LOOP!r}, joined={LOOP!r}, check=False), Limits(3600.0))"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path)}  # its runner's folder is left
    grader = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env=environment)
    try:
        wait_until(lambda: seen.exists() and bool(seen.read_text()))
        warden = int(seen.read_text())
        wait_until(lambda: len(descendants(warden)) == 4)
        everything = {warden, *descendants(warden)}
    finally:
        grader.kill()
        grader.wait()
    ended(*everything)


WARDEN = """
import sys
sys.path.insert(0, {root!r})
from eval.sandbox import run, warden
{change}
sys.exit(warden.main())
"""
CELL = """
import sys
sys.path.insert(0, {root!r})
from eval.sandbox.inside import cell
from eval.sandbox.walls import kernel, landlock, seccomp
def refuse(*_):
    raise PermissionError(1, "unshare: not allowed here")
{change}
sys.exit(cell.main())
"""


@pytest.fixture
def changed(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose warden.py is the warden, with an inside/cell.py to be written."""
    folder = tmp_path_factory.mktemp("changed")
    (folder / "inside").mkdir()
    change = f"warden.__file__ = {str(folder / 'warden.py')!r}"
    (folder / "warden.py").write_text(WARDEN.format(root=str(ROOT), change=change))
    monkeypatch.setattr(runner_module, "_WARDEN", folder / "warden.py")
    return folder


@pytest.mark.slow
def test_a_stopped_interpreter_is_started_anew(
    own: Runner, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path_factory.mktemp("hasty") / "warden.py"
    path.write_text(WARDEN.format(root=str(ROOT), change="run.START_S = run.END_S = 0.5"))
    monkeypatch.setattr(runner_module, "_WARDEN", path)
    own.close()
    assert run_alone(own, "x = 1") == "passed"
    cell = cell_of(warden_of(own))
    os.kill(cell, signal.SIGSTOP)
    assert run_alone(own, "x = 2") == "passed"
    assert cell_of(warden_of(own)) != cell
    assert not alive(cell)


@pytest.mark.slow
def test_a_stopped_warden_does_not_hang_the_grader(
    own: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner_module, "_GRACE_S", -5.0)
    with running(own, LOOP, Limits(0.5)) as (verdicts, processes):
        warden = warden_of(own)
        os.kill(warden, signal.SIGSTOP)
        ended(warden, *processes)
    assert verdicts == ["timed out"]


@pytest.mark.slow
def test_a_stopped_judge_does_not_hang_the_grader(own: Runner) -> None:
    with running(own, "import time; time.sleep(4)", Limits(4.5)) as (verdicts, processes):
        [judge] = [pid for pid in processes if parent_of(pid) == warden_of(own)]
        os.kill(judge, signal.SIGSTOP)
    assert verdicts == ["timed out"]
    all_dead(own)


@pytest.mark.medium
@pytest.mark.parametrize("backend", ["namespaces", *OTHERS])
def test_no_wall_no_run(backend: Backend, changed: Path, tmp_path: Path) -> None:
    """A wall that cannot be put up is a refusal, or an error of the grader: nothing is run."""
    ran = tmp_path / "ran"
    source = f"open({str(ran)!r}, 'w')"

    def verdict(change: str) -> Verdict:
        (changed / "inside" / "cell.py").write_text(CELL.format(root=str(ROOT), change=change))
        with Runner(backend) as runner:
            return run_alone(runner, source)

    with pytest.raises(RefusedError, match="unshare: not allowed here"):
        verdict("cell.Cell.enter = refuse")
    for change in ("1 / 0", "sys.exit(0)", "import os; os._exit(3)"):
        with pytest.raises(RefusedError, match="did not start"):
            verdict(change)
    for change in ("cell.resource.setrlimit = refuse", "kernel.prctl = refuse",
                   "cell.Job._confine = refuse", "cell.os.setsid = refuse"):  # fmt: skip
        found = verdict(f"kernel.leave_with_parent = lambda: None\n{change}")
        assert found.kind == "infra_error", change
        assert "not allowed here" in found
    assert not ran.exists()


def test_a_warden_that_does_not_start_is_a_refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "warden.py"
    monkeypatch.setattr(runner_module, "_WARDEN", broken)
    noise = "print('hello')\nprint('x' * 100)"
    texts = {"raise ValueError('for no reason')": "the warden ended: ValueError: for no reason",
             "": "the warden ended", noise: "no sense"}  # fmt: skip
    for text, why in texts.items():
        broken.write_text(text)
        with Runner("none") as runner, pytest.raises(RefusedError, match=why) as raised:
            runner.start()
        assert raised.value.status == 3


def test_our_surroundings_do_not_change_a_verdict(
    namespaces: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not the folder that we are in, nor settings of Python, nor files that shadow modules."""
    (tmp_path / "json.py").write_text("1 / 0")
    (tmp_path / "eval.py").write_text("1 / 0")
    (tmp_path / "sitecustomize.py").write_text("1 / 0")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("PYTHONWARNINGS", "error")
    monkeypatch.setenv("PYTHONSTARTUP", str(tmp_path / "json.py"))
    monkeypatch.setenv("PYTHONHASHSEED", "77")
    with Runner("namespaces") as runner:
        source = "import json, sys\ndef f(x): return json.dumps([x, hash('a'), sys.flags.optimize])"
        test = "assert 0, candidate(1)"
        assert run_function(runner, source, test) == run_function(namespaces, source, test)
    assert sys.flags.optimize == 0
