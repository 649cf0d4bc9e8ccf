"""metrics.jsonl: one row per step. On resume, rows after the checkpoint's step are removed."""

import json
from pathlib import Path
from typing import Any

from bytelm.base.files import append_line, write_bytes


class Metrics:
    """Appends rows to a file. On opening, rows after `step` and incomplete rows are removed."""

    def __init__(self, path: Path, step: int) -> None:
        self.path = path
        if path.exists():
            write_bytes(path, b"".join(_rows_until(path, step)))
        # Unbuffered, so that bytes refused by a full disk do not stay in a buffer.
        self._file = path.open("ab", buffering=0)

    def append(self, row: dict[str, Any]) -> None:
        """Write one row. On a full disk, raises OSError and leaves the file unchanged."""
        append_line(self._file, row, self.path)

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
