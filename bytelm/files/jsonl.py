"""The one reader of JSON lines: prompts, problems, samples, verdicts.

It takes plain and gzipped files, pipes, UTF-8 with or without a byte order mark, and lines that end
in \\n or \\r\\n. A file is read once, so its hash is that of the rows.
"""

import codecs
import gzip
import hashlib
import json
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bytelm.base.errors import InputError


@dataclass(frozen=True)
class JsonLines:
    """The rows of a file. `rows`: for each line that is not blank, its number (from 1) and object.

    `sha256`: of the file's bytes, before they are unpacked.
    """

    path: Path
    rows: list[tuple[int, dict[str, Any]]]
    sha256: str


def read_jsonl(path: Path) -> JsonLines:
    """Read a file of JSON objects, one a line; `.gz` is unpacked.

    Raises InputError, with file and line, for a file that cannot be read, is damaged gzip, or has a
    line that is no JSON object in UTF-8.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}; is the path right?") from error
    sha256 = hashlib.sha256(content).hexdigest()
    if path.suffix == ".gz":
        content = _unpacked(path, content)
    lines = content.removeprefix(codecs.BOM_UTF8).split(b"\n")
    rows = [(n, _row(f"{path}:{n}", line)) for n, line in enumerate(lines, 1) if line.strip()]
    return JsonLines(path, rows, sha256)


def _unpacked(path: Path, content: bytes) -> bytes:
    try:
        return gzip.decompress(content)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(
            f"{path}: damaged gzip ({error}); fetch or write the file again"
        ) from error


def _row(where: str, raw: bytes) -> dict[str, Any]:
    try:
        row = json.loads(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise InputError(f"{where}: not UTF-8 ({error.reason} at byte {error.start})") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: not JSON ({error}); is the line cut off?") from error
    if not isinstance(row, dict):
        raise InputError(f"{where}: a JSON object is needed, this is {type(row).__name__}")
    return row


def text_of(row: dict[str, Any], key: str, where: str) -> str:
    """The text under `key`, which UTF-8 can hold. Raises InputError; `where` is the file and line.

    JSON can hold half of a surrogate pair ("\\\\ud800"), which is no character.
    """
    value = row.get(key)
    if not isinstance(value, str):
        raise InputError(f"{where}: text is needed under {key}")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"{where}: {key} holds half of a surrogate pair (character {error.start}); "
            "mend the line or leave it out"
        ) from error
    return value
