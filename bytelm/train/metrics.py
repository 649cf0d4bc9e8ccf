"""metrics.jsonl: a row per step, whole rows only, cut back to the checkpoint on resume."""

import json
from pathlib import Path
from typing import Any

from bytelm.files import write_bytes


class Metrics:
    """Appends rows to a file. Rows past `step` (of a run that was killed) are removed first."""

    def __init__(self, path: Path, step: int) -> None:
        self.path = path
        if path.exists():
            write_bytes(path, b"".join(_rows_until(path, step)))
        self._file = path.open("ab")

    def append(self, row: dict[str, Any]) -> None:
        """Write one row. On a full disk the file is left as it was, and OSError raised."""
        line = json.dumps(row).encode() + b"\n"
        end = self._file.tell()
        try:
            self._file.write(line)
            self._file.flush()
        except OSError as error:
            self._abandon(end)
            raise OSError(error.errno, error.strerror, str(self.path)) from error

    def _abandon(self, end: int) -> None:
        # The buffer still holds the row that failed: closing must not write it again.
        raw = self._file.detach()
        raw.truncate(end)
        raw.close()
        self._file = self.path.open("ab")

    def close(self) -> None:
        self._file.close()


def _rows_until(path: Path, step: int) -> list[bytes]:
    kept = []
    for line in path.read_bytes().splitlines(keepends=True):
        try:
            whole = line.endswith(b"\n") and json.loads(line)["step"] <= step
        except (ValueError, KeyError, TypeError):
            whole = False
        if not whole:
            break
        kept.append(line)
    return kept
