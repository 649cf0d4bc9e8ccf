"""metrics.jsonl: one row per step. On resume, rows after the checkpoint's step are removed."""

import json
from pathlib import Path
from typing import Any

from bytelm.files.atomic import append_line, write_bytes
from bytelm.files.streams import say


class Metrics:
    """Appends rows to a file. On opening, rows after `step` and damaged rows are removed."""

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
    """The rows up to `step`. Damaged rows are left out, and counted on stderr."""
    kept, damaged = [], 0
    for line in path.read_bytes().splitlines(keepends=True):
        row_step = _step_of(line)
        if row_step is None:
            damaged += line.endswith(b"\n")
        elif row_step <= step:
            kept.append(line)
    if damaged:
        say(f"{path} is damaged: {damaged} rows without a step were left out")
    return kept


def _step_of(line: bytes) -> int | None:
    """The step of a row; None if the row is incomplete or damaged."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    step = row.get("step") if isinstance(row, dict) else None
    whole = line.endswith(b"\n") and isinstance(step, int) and not isinstance(step, bool)
    return step if whole else None
