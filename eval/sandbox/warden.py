"""One worker's process: it starts the walled-in interpreter, and runs one program at a time.

Started by runner.py as `python -s -P warden.py CONFIG`; jobs come in on stdin and reports leave on
stdout, each as eight bytes of length and JSON. The end of stdin means: kill everything and leave.
For each program it forks a judge, and watches both: output, time and memory. A report is given
only when every process of the program is dead.

Time counts where it is used: CPU time of the program and of its judge, each against the limit.
The wall clock is the backstop, less the time that they waited for a processor, so that a loaded
machine fails nobody and a program that sleeps is stopped all the same.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from typing import Any

if __name__ == "__main__":  # a file of the package, run by its path
    sys.path.insert(0, os.path.abspath(__file__).removesuffix("/eval/sandbox/warden.py"))

from eval.sandbox.answers import same_output
from eval.sandbox.run import MESSAGE_BYTES, Run, WornOutError
from eval.sandbox.scratch import Scratch

START_S = 60.0  # for an interpreter to start: long, as the machine may be very busy


class RefusedError(Exception):
    """A wall cannot be put up here."""


class Warden:
    """A walled-in interpreter, and how programs are run in it."""

    def __init__(self, config: dict[str, Any]) -> None:
        self._config = config
        self._cell: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the interpreter. Raises RefusedError where it cannot put up its walls."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        environment = {"PYTHONHASHSEED": "0", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        environment["LC_ALL"] = "C.UTF-8"
        # Each arena reserves 64 MiB of address space: a few threads would use up the limit.
        environment["MALLOC_ARENA_MAX"] = "1"
        for name in ("LD_LIBRARY_PATH", "PYTHONHOME"):  # some interpreters do not start without
            if name in os.environ:
                environment[name] = os.environ[name]
        path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "inside", "cell.py")
        command = [sys.executable, "-s", "-S", "-P", "-B", path, str(theirs.fileno())]
        self._cell = subprocess.Popen(
            [*command, json.dumps(self._config)],
            env=environment,
            stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
        )
        theirs.close()
        self._jobs = ours
        ours.settimeout(START_S)
        try:
            message = json.loads(ours.recv(MESSAGE_BYTES) or b'{"refused": "it did not start"}')
        except TimeoutError:
            message = {"refused": "it did not start"}
        ours.settimeout(None)
        if "refused" in message:
            self.close()
            raise RefusedError(str(message["refused"]))

    def close(self) -> None:
        """See the interpreter dead, and with it all that it began."""
        if self._cell is not None:
            self._jobs.close()
            self._cell.kill()
            self._cell.wait()
            self._cell = None

    def run(self, job: dict[str, Any]) -> dict[str, Any]:
        """The report of a program. Raises RefusedError; retried by the caller: WornOutError."""
        if self._cell is None:
            self.start()
        try:
            if job["examples"] is None:
                return self._once(job, None)
            return self._examples(job)
        except (OSError, WornOutError):
            self.close()
            raise

    def _examples(self, job: dict[str, Any]) -> dict[str, Any]:
        """A program that reads its stdin is run on each example until one fails."""
        report: dict[str, Any] = {"kind": "failed", "reason": "the problem has no examples"}
        for number, (given, wanted) in enumerate(job["examples"]):
            report = self._once(job, given)
            if report["kind"] == "ended":
                printed = report.pop("stdout").decode("utf-8", "replace")
                right = report.pop("status") == 0 and same_output(wanted, printed)
                report["kind"] = "passed" if right else "failed"
                report["reason"] = "" if right else f"example {number + 1}"
            report.pop("stdout", None)
            if report["kind"] != "passed":
                break
        return report

    def _once(self, job: dict[str, Any], stdin: str | None) -> dict[str, Any]:
        assert self._cell is not None
        with contextlib.ExitStack() as stack:
            scratch = stack.enter_context(Scratch(job, self._config["backend"] != "namespaces"))
            run = Run(job, stdin, scratch)
            stack.callback(run.close)
            run.begin(self._jobs)
            run.watch()
            return run.end()


def read_frame(descriptor: int) -> Any:
    """A message of the grader's; None at the end."""
    head = _exactly(descriptor, 8)
    return json.loads(_exactly(descriptor, int.from_bytes(head, "little"))) if head else None


def write_frame(descriptor: int, message: Any) -> None:
    """Send a message to the grader."""
    body = json.dumps(message).encode()
    left = memoryview(len(body).to_bytes(8, "little") + body)
    while left:
        left = left[os.write(descriptor, left) :]


def _exactly(descriptor: int, size: int) -> bytes:
    found = bytearray()
    while len(found) < size:
        piece = os.read(descriptor, min(size - len(found), 1 << 20))
        if not piece:
            return b""
        found += piece
    return bytes(found)


def main() -> int:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is the grader's to answer
    config = json.loads(sys.argv[1])
    for name in config["judge_preload"]:
        with contextlib.suppress(ImportError):
            __import__(name)
    wardens = {False: Warden({**config["cell"], "tools": None})}
    wardens[True] = Warden({**config["cell"], "tools": config["tools"]})
    tempfile.gettempdir()
    try:
        wardens[False].start()
    except RefusedError as error:
        write_frame(1, {"refused": str(error)})
        return 1
    write_frame(1, {"ready": True})
    try:
        while (job := read_frame(0)) is not None:
            try:
                report = wardens[bool(job["commands"])].run(job)
            except (OSError, WornOutError, RefusedError) as error:
                report = {"kind": "infra_error", "reason": f"{type(error).__name__}: {error}"}
            write_frame(1, report)
    finally:
        for warden in wardens.values():
            warden.close()
        # The runner's folder for scratches: it may be gone, or the runner may be.
        with contextlib.suppress(OSError):
            os.rmdir(os.environ["TMPDIR"])
    return 0


if __name__ == "__main__":
    sys.exit(main())
