"""Which walls can be put up on this machine: tried, not guessed."""

import sys
from collections.abc import Callable, Sequence
from typing import Literal

from eval.sandbox.runner import Backend, Limits, Program, RefusedError, Runner
from eval.sandbox.walls import landlock, seccomp

SandboxName = Literal["auto", "namespaces", "landlock"]
_ORDER: tuple[Backend, ...] = ("namespaces", "landlock")

# What a program behind walls must not be able to do. It returns the names of what it could.
_TRIES = """
import os, posix, socket, ctypes
def f():
    could = []
    def attempt(name, action):
        try:
            action()
        except BaseException:
            return
        could.append(name)
    attempt("read files", lambda: open("/etc/passwd").read())
    attempt("list files", lambda: os.listdir("/proc"))
    attempt("write files", lambda: open(os.__file__, "r+"))
    attempt("use the network", lambda: socket.socket(socket.AF_INET))
    attempt("start processes", lambda: posix.fork() or posix._exit(0))
    attempt("send signals", lambda: posix.kill(posix.getppid(), 0))
    return could
"""
_PROBES = (
    Program("def f(x):\n    return 2 * x\n", "def check(f):\n    assert f(21) == 42\n", "f"),
    Program(_TRIES, "def check(f):\n    found = f()\n    assert found == [], found\n", "f"),
)
_HELP = (
    "what helps: unprivileged user namespaces (in Docker: --security-opt seccomp=unconfined, or "
    "root with --cap-add SYS_ADMIN), or Linux 6.2 or newer with Landlock; for programs that you "
    "trust: --unsafe-no-sandbox"
)


def find_backend(
    wanted: SandboxName = "auto", start: Callable[[Backend], Runner] = Runner
) -> Backend:
    """The first backend that works here, or the wanted one.

    Raises RefusedError, which says of each what it lacks.
    """
    if not sys.platform.startswith("linux"):
        raise RefusedError(
            f"programs can be walled in on Linux only, not on {sys.platform}: none is run; "
            "for programs that you trust: --unsafe-no-sandbox"
        )
    reasons = []
    for backend in _ORDER if wanted == "auto" else (wanted,):
        reason = why_not(backend, start)
        if not reason:
            return backend
        reasons.append(f"{backend}: {reason}")
    raise RefusedError(
        f"no sandbox works on this machine, so no program is run ({'; '.join(reasons)}); {_HELP}"
    )


def why_not(backend: Backend, start: Callable[[Backend], Runner] = Runner) -> str:
    """Empty if the backend's walls hold here; otherwise what is missing."""
    lacking = seccomp.supported()
    if lacking:
        return lacking
    if backend == "landlock":
        version = landlock.version()
        if version < landlock.LEAST_VERSION:
            has = f"is of version {version}" if version else "is not in this kernel"
            return f"Landlock {has}, and version {landlock.LEAST_VERSION} (Linux 6.2) is needed"
    return _try_out(start(backend), _PROBES)


def _try_out(runner: Runner, probes: Sequence[Program]) -> str:
    with runner:
        for program in probes:
            try:
                verdict = runner.run(program, Limits(seconds=10.0))
            except RefusedError as error:
                return str(error)
            if verdict != "passed":
                return f"a program behind these walls could {verdict.partition(': ')[2]}"
    return ""
