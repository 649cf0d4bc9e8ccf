"""metrics.jsonl: a row per step, whole rows only, cut back to the checkpoint on resume."""

import contextlib
import json
from pathlib import Path
from typing import Any

from bytelm.base.files import write_bytes


class Metrics:
    """Appends rows to a file. Rows past `step` (of a run that was killed) are removed first."""

    def __init__(self, path: Path, step: int) -> None:
        self.path = path
        if path.exists():
            write_bytes(path, b"".join(_rows_until(path, step)))
        # Unbuffered: what a full disk refuses must not linger and be written again later.
        self._file = path.open("ab", buffering=0)

    def append(self, row: dict[str, Any]) -> None:
        """Write one row. On a full disk the file is left as it was, and OSError raised."""
        line = json.dumps(row).encode() + b"\n"
        end = self._file.tell()
        try:
            # A disk that fills up takes a part first and refuses the rest at the next call.
            written = 0
            while written < len(line):
                written += self._file.write(line[written:])
        except OSError as error:
            with contextlib.suppress(OSError):
                self._file.truncate(end)
            raise OSError(error.errno, error.strerror, str(self.path)) from error

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
