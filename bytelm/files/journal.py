"""A journal of finished rows, so that a command that was stopped can go on.

The file `OUT.partial` is JSON lines: first an object that describes the work, then one object for
each finished row. A row is written when it is finished, so a killed process loses only the rows
that it was working on.
"""

import fcntl
import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any

from bytelm.base import ranks
from bytelm.base.errors import InputError
from bytelm.files.atomic import append_line
from bytelm.files.streams import say


class Journal:
    """The finished rows of a command that writes `out`. Use it as a context manager.

    `about` describes the work: whatever decides the content of the rows. `rows` holds those of an
    earlier process, then the new ones too. `finish` removes the journal, when all rows are in
    `out`. Without `out` (for stdout), there is no file.

    Every rank has its own journal, and reads those of all ranks. A journal of other work is moved
    aside. Raises InputError if another process writes the journal.
    """

    def __init__(self, out: Path | None, about: dict[str, Any]) -> None:
        self._about = json.loads(json.dumps(about))
        self._out = out or Path(os.devnull)
        # A device or a pipe has no place for a file beside it.
        self._keeps = self._out.is_file() or not self._out.exists()
        self.path = _path(self._out, ranks.rank())
        self.rows: list[dict[str, Any]] = []
        self._failed = False

    def __enter__(self) -> "Journal":
        if not self._keeps:
            return self
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # Unbuffered, so that bytes refused by a full disk do not stay in a buffer.
        self._file = self.path.open("ab", buffering=0)
        try:
            self._lock()
            for path in sorted(self._out.parent.glob(f"{_escaped(self._out.name)}.partial*")):
                self.rows += self._read(path)
        except BaseException:
            self._file.close()
            if not self.path.stat().st_size:
                self.path.unlink()
            raise
        # All ranks must read before the first one appends.
        ranks.barrier()
        self._cut()
        return self

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                f"another process is writing {self._out}: wait for it, stop it, or choose another"
            ) from None
        except OSError:
            # Some network file systems have no locks. Then the file is used without one.
            pass

    def _read(self, path: Path) -> list[dict[str, Any]]:
        """The rows in `path`; none if it is of other work. An own journal is then moved aside."""
        whole = [line for line in path.read_bytes().splitlines(True) if line.endswith(b"\n")]
        if not whole:
            return []
        try:
            about, *rows = [json.loads(line) for line in whole]
            before = about["work"]
            changed = [
                key for key in {*before, *self._about} if before.get(key) != self._about.get(key)
            ]
        except (ValueError, KeyError, TypeError, AttributeError):
            changed = ["content"]
        if not changed:
            return [row for row in rows if isinstance(row, dict)]
        if path == self.path:
            old = _path(self._out, ranks.rank(), "old-partial")
            say(f"begun anew: {path} has another {min(changed)}, and is kept as {old}", True)
            old.write_bytes(path.read_bytes())
            self._file.truncate(0)
        return []

    def _cut(self) -> None:
        """Remove a line that was cut, and write the first line of a new journal."""
        content = self.path.read_bytes()
        self._file.truncate(content.rfind(b"\n") + 1)
        if b"\n" not in content:
            self._append({"work": self._about})

    def append(self, row: dict[str, Any]) -> None:
        """Add a finished row. If the disk is full, say so once, and go on without the file."""
        self.rows.append(row)
        if self._keeps:
            self._append(row)

    def _append(self, row: dict[str, Any]) -> None:
        try:
            append_line(self._file, row, self.path)
        except OSError as error:
            if not self._failed:
                say(f"{self.path}: {error.strerror}: if this is stopped now, rows are lost")
            self._failed = True

    def finish(self) -> None:
        """Remove all journals. The first rank calls this when it has written `out`."""
        if self._keeps:
            for path in self._out.parent.glob(f"{_escaped(self._out.name)}.partial*"):
                path.unlink(missing_ok=True)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._keeps:
            return
        self._file.close()
        if kind is not None and self.path.exists() and not self._failed:
            rows = len(self.path.read_bytes().splitlines()) - 1
            if rows > 0:
                say(
                    f"{rows} finished rows are in {self.path}; the same command goes on from there",
                    all_ranks=True,
                )
            else:
                self.path.unlink()


def _path(out: Path, rank: int, ending: str = "partial") -> Path:
    return out.with_name(f"{out.name}.{ending}" + (f".{rank}" if rank else ""))


def _escaped(name: str) -> str:
    """`name` as a pattern of `Path.glob` that matches nothing else."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)
