"""A program's scratch on disk, where the wall is one without namespaces.

With namespaces the scratch lies in memory and goes with them. Here it is a temporary folder, which
is measured while the program runs and removed when it is dead.
"""

import os
import secrets
import tempfile
import time
from types import TracebackType
from typing import Any

_LOOK_S = 0.2
_MOST_DEPTH = 200


class Scratch:
    """A context with a new folder, or with none where `wanted` is false."""

    def __init__(self, job: dict[str, Any], wanted: bool) -> None:
        self._limits, self._wanted = job["limits"], wanted
        self.path = ""
        self._looked = 0.0

    def __enter__(self) -> "Scratch":
        if self._wanted:
            self.path = tempfile.mkdtemp(prefix="bytelm-program-")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        if self.path:
            remove(self.path)

    def is_full(self) -> bool:
        """Whether the folder holds more bytes or files than the program may have."""
        now = time.monotonic()
        if not self.path or now - self._looked < _LOOK_S:
            return False
        self._looked = now
        try:
            return self._measure() == -1
        except OSError:
            return False  # it changes while it is looked at

    def _measure(self) -> int:
        """Bytes in the folder; -1 where it holds too much, or folders nested too deeply."""
        files = used = 0
        left = [(self.path, 0)]
        while left:
            folder, depth = left.pop()
            with os.scandir(folder) as entries:
                for entry in entries:
                    files += 1
                    used += entry.stat(follow_symlinks=False).st_blocks * 512
                    if entry.is_dir(follow_symlinks=False):
                        left.append((entry.path, depth + 1))
            if files > self._limits["scratch_files"] or used > self._limits["scratch_bytes"]:
                return -1
            if depth > _MOST_DEPTH:
                return -1
        return used


def remove(folder: str) -> None:
    """Remove a folder that a program, now dead, has filled.

    No link is followed. Folders are moved up before they are emptied, so that no depth is too deep.
    """
    top = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        while names := os.listdir(top):
            for name in names:
                _remove_entry(top, name)
    finally:
        os.close(top)
    os.rmdir(folder)


def _remove_entry(top: int, name: str) -> None:
    try:
        os.unlink(name, dir_fd=top)
        return
    except OSError:
        pass  # a folder
    # Opened by its name only to name it in /proc: one without permissions can be opened so.
    handle = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_DIRECTORY, dir_fd=top)
    os.chmod(f"/proc/self/fd/{handle}", 0o700)
    inner = os.open(".", os.O_RDONLY | os.O_DIRECTORY, dir_fd=handle)
    os.close(handle)
    try:
        for entry in os.listdir(inner):
            try:
                os.unlink(entry, dir_fd=inner)
            except OSError:
                # A name that the program cannot have foreseen.
                os.rename(entry, f".{secrets.token_hex(16)}", src_dir_fd=inner, dst_dir_fd=top)
    finally:
        os.close(inner)
    os.rmdir(name, dir_fd=top)
