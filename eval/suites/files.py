"""Rows of problems: out of JSON lines, a JSON list or parquet, or a data set on this machine.

A data set is read by the package `datasets`, if that is installed. It looks only at what is on this
machine already, unless HF_HUB_OFFLINE=0 lets it fetch.
"""

import hashlib
import importlib
import importlib.util
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bytelm.toolkit import InputError, read_jsonl
from eval.suites.formats.rows import Row


@dataclass(frozen=True)
class Rows:
    """Rows in their order. `source`: the file or data set. `sha256`: of the file's bytes; of a data
    set, of its rows as JSON lines."""

    source: str
    rows: list[Row]
    sha256: str


def read_rows(path: Path) -> Rows:
    """Read a file of rows: .parquet, .json with a list, or JSON lines (.gz is unpacked).

    Raises InputError, with file and line or item, for a file that cannot be read, is damaged, or
    holds something else than rows.
    """
    if path.suffix == ".parquet":
        return _read_parquet(path)
    if path.suffix == ".json":
        content = _bytes_of(path)
        if content.lstrip().startswith(b"["):
            return _numbered(str(path), _listed(path, content), hashlib.sha256(content).hexdigest())
    lines = read_jsonl(path)
    rows = [Row(f"{lines.path}:{number}", values) for number, values in lines.rows]
    return Rows(str(lines.path), rows, lines.sha256)


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}; is the path right?") from error


def _numbered(source: str, values: Iterable[Any], sha256: str) -> Rows:
    rows = []
    for number, row in enumerate(values, 1):
        where = f"{source}:{number}"
        if not isinstance(row, dict):
            raise InputError(f"{where}: a JSON object is needed, this is {type(row).__name__}")
        rows.append(Row(where, row))
    return Rows(source, rows, sha256)


def _listed(path: Path, content: bytes) -> list[Any]:
    try:
        return list(json.loads(content))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not JSON ({error}); is the file cut off?") from error


def _read_parquet(path: Path) -> Rows:
    # pyarrow takes half a second to import.
    from pyarrow import ArrowException, BufferReader
    from pyarrow.parquet import read_table

    content = _bytes_of(path)
    try:
        values = read_table(BufferReader(content)).to_pylist()
    except (ArrowException, OSError, ValueError) as error:
        first = str(error).partition("\n")[0]
        raise InputError(f"{path}: damaged parquet ({first}); fetch the file again") from error
    return _numbered(str(path), values, hashlib.sha256(content).hexdigest())


def read_dataset(name: str, config: str | None, split: str) -> Rows | str:
    """The rows of a data set's split by `datasets`, or the reason why there are none.

    Raises InputError for a row that is no object.
    """
    if importlib.util.find_spec("datasets") is None:
        return "the package datasets is not installed"
    # Reading a suite fetches nothing behind the user's back.
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    try:
        datasets = importlib.import_module("datasets")
        values = list(datasets.load_dataset(name, config, split=split))
    # What it raises depends on its version, and on what is missing.
    except Exception as error:
        first = str(error).strip().partition("\n")[0]
        return f"datasets has no copy of {name} ({type(error).__name__}: {first})"
    content = b"".join(json.dumps(row, sort_keys=True).encode() + b"\n" for row in values)
    return _numbered(f"{name}/{split}", values, hashlib.sha256(content).hexdigest())
