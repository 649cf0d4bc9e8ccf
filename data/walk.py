"""Walk a folder: every regular file once, in a fixed order. Unreadable files are only counted.

Links are not followed. FIFOs, sockets and devices are never opened, because opening a FIFO would
wait for a writer. The walk uses a list instead of recursion, so folders may be nested to any depth.
"""

import os
import re
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# Folders that never hold sources: version control, caches, installed packages.
MACHINERY = frozenset({".git", ".hg", ".svn", "__pycache__", "node_modules", ".venv", ".tox"})


@dataclass(frozen=True)
class Found:
    """A file that was read: its path below the root, with forward slashes, and its bytes.

    `split`: `train` or `held_out` where the source decides that; otherwise a hash of the name does.
    """

    name: str
    content: bytes
    split: str = ""
    generated: bool = False
    """Whether this project made it: no filter applies."""
    stage: int = 0
    """Training reads lower stages first. A source gives its documents in the order of stages."""
    row: bool = False
    """Whether it is a row of a dataset, whose name says nothing about its language."""
    judged: bool = False
    """Whether the source took all steps, those against copies too."""


@dataclass
class Walk:
    """A walk below `root`. After it, `rejected` counts the skipped files by reason.

    `passed_over` counts the files whose names end in none of `suffixes`, which nobody asked for.

    Folders with a name in `skip_folders` are not entered, and neither is the folder `skip`.
    """

    root: Path
    suffixes: tuple[str, ...]
    max_file_bytes: int
    skip_folders: frozenset[str] = frozenset()
    skip: Path | None = None

    def __post_init__(self) -> None:
        self.rejected: Counter[str] = Counter()
        self.rejected_bytes: Counter[str] = Counter()
        self.passed_over = 0

    def files(self) -> Iterator[Found]:
        """The files of each folder in the order of their names, then its subfolders likewise."""
        pending = [os.fsencode(self.root)]
        while pending:
            folder = pending.pop()
            try:
                entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
            except OSError:
                self.rejected["unreadable folder"] += 1
                continue
            inner = []
            for entry in entries:
                if entry.is_symlink():
                    self.rejected["link"] += 1
                elif entry.is_dir(follow_symlinks=False):
                    if self._enters(entry):
                        inner.append(entry.path)
                else:
                    yield from self._file(entry)
            pending += reversed(inner)

    def _enters(self, entry: "os.DirEntry[bytes]") -> bool:
        if os.fsdecode(entry.name) in self.skip_folders:
            return False
        return not self._is_output(Path(os.fsdecode(entry.path)))

    def _is_output(self, folder: Path) -> bool:
        """Whether a folder is `skip`, or one that is written in its place (see `new_folder`)."""
        if self.skip is None:
            return False
        name = rf"\.{re.escape(self.skip.name)}\.[a-z0-9_]{{8}}(\.unfinished)?"
        aside = re.fullmatch(name, folder.name)
        return folder == self.skip or (bool(aside) and folder.parent == self.skip.parent)

    def _file(self, entry: "os.DirEntry[bytes]") -> Iterator[Found]:
        name = os.fsdecode(os.path.relpath(entry.path, os.fsencode(self.root)))
        name = name.replace(os.sep, "/")
        if self.suffixes and not name.endswith(self.suffixes):
            self.passed_over += 1
            return
        try:
            status = entry.stat(follow_symlinks=False)
            if not stat.S_ISREG(status.st_mode):
                self.rejected["not a file"] += 1
                return
            if status.st_size > self.max_file_bytes:
                self._reject("too large", status.st_size)
                return
            content = _read(entry.path, self.max_file_bytes)
        except OSError:
            self.rejected["unreadable"] += 1
            return
        if not content:
            self.rejected["empty"] += 1
        elif len(content) > self.max_file_bytes:
            self._reject("too large", len(content))
        else:
            yield Found(name, content)

    def _reject(self, reason: str, size: int) -> None:
        self.rejected[reason] += 1
        self.rejected_bytes[reason] += size


def below(path: Path, inner: Path) -> Path | None:
    """`inner` as a path that starts with `path`, or None if it is not inside."""
    try:
        return path / inner.resolve().relative_to(path.resolve())
    except ValueError:
        return None


def _read(path: bytes, limit: int) -> bytes:
    # A file may be replaced after it was checked: O_NONBLOCK keeps a FIFO from blocking, and
    # O_NOFOLLOW refuses a link.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    pieces, left = [], limit + 1
    with os.fdopen(descriptor, "rb") as file:
        # Not one read of `left` bytes, which would take that much memory whatever the file's size.
        while left > 0 and (piece := file.read(min(left, 1 << 20))):
            pieces.append(piece)
            left -= len(piece)
    return b"".join(pieces)
