"""The documents of a local dataset: the rows of its parquet, JSON and csv files.

Every file and every row is read or counted. A bad one ends nothing. Files are opened by their
names, which are no patterns; nothing is copied, cached or fetched.
"""

import bz2
import gzip
import io
import lzma
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path, PurePath
from typing import Any, BinaryIO, cast

from bytelm.toolkit import InputError, option, say, some
from data.json_rows import json_rows
from data.rows import DamagedFileError, LeftOut, NoColumnError, Row, damage_named
from data.tables import csv_rows, parquet_rows, tsv_rows
from data.walk import Found

_READERS: dict[str, Callable[[BinaryIO, str], Iterator[Row]]] = {
    ".parquet": parquet_rows,
    ".jsonl": json_rows,
    ".ndjson": json_rows,
    ".json": json_rows,
    ".csv": csv_rows,
    ".tsv": tsv_rows,
}
# A parquet file is read from its end, and compresses by itself.
_PLAIN_ONLY = {".parquet"}
# How many of each reason are named on screen, and how many columns an error names.
_FEW, _MANY = 3, 30
# Rows that are left out for these have the column.
_OF_THE_COLUMN = {"not text", "empty", "not UTF-8", "wrong number of cells", "cut off"}
# What macOS stores beside a file x on other systems, as ._x.
_APPLE = b"\x00\x05\x16\x07"
_ORDINARY = re.compile(r"\.[a-z][a-z0-9_-]{0,15}")


def _unzstd(file: BinaryIO) -> BinaryIO:
    import pyarrow

    return io.BufferedReader(_Raw(pyarrow.CompressedInputStream(file, "zstd")))


class _Raw(io.RawIOBase):
    """A stream of pyarrow for Python's readers."""

    def __init__(self, stream: Any) -> None:
        super().__init__()
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece: bytes = self._stream.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)


_UNPACK: dict[str, Callable[[BinaryIO], BinaryIO]] = {
    "": lambda file: file,
    ".gz": lambda file: cast(BinaryIO, gzip.GzipFile(fileobj=file)),
    ".bz2": lambda file: cast(BinaryIO, bz2.BZ2File(file)),
    ".xz": lambda file: cast(BinaryIO, lzma.LZMAFile(file)),  # noqa: SIM115
    ".zst": _unzstd,
}
READS = f"{', '.join([*_READERS][:-1])} or {[*_READERS][-1]}"


def ending_of(name: str) -> tuple[str, str]:
    """The ending of a file's name in small letters, and that of its compression or "": (.csv, .gz).

    A compressed file without a second ending has the ending "".
    """
    path = PurePath(name.lower())
    if path.suffix not in _UNPACK:
        return path.suffix, ""
    return PurePath(path.stem).suffix, path.suffix


def _is_read(name: str) -> bool:
    ending, packing = ending_of(name)
    return ending in _READERS and not (packing and ending in _PLAIN_ONLY)


class Dataset:
    """The rows of a local file, or of the files below a folder, in the order of the files' names.

    `column` holds the texts. The folder `skip` is not entered. After `files`, `rejected` counts by
    reason the files and rows that were left out; a few of each are named on screen. Raises
    InputError if there is no file to read.
    """

    def __init__(self, path: Path, column: str, skip: Path | None = None) -> None:
        self.path, self.column, self.skip = path, column, skip
        self.rejected: Counter[str] = Counter()
        self.rejected_bytes: Counter[str] = Counter()
        self._columns: dict[str, None] = {}
        self._has_column = False
        if not path.exists():
            raise InputError(
                f"{option('dataset')} {path} does not exist; it is a local file or folder"
            )
        self._root = path if path.is_dir() else path.parent
        if not path.is_dir():
            if not path.is_file() or not _is_read(path.name):
                raise InputError(f"{option('dataset')} {path} is no {READS} file")
            self._names = [path.name]
        else:
            self._names = self._list()
            if not self._names:
                found = ", ".join(f"{n} {reason}" for reason, n in self.rejected.most_common(8))
                raise InputError(
                    f"{option('dataset')} {path} holds no {READS} file ({found or 'it is empty'})"
                )

    def files(self) -> Iterator[Found]:
        """The documents, named `file:row`. Rows are counted from 0, bad ones too.

        Raises InputError at the end if no row has the column.
        """
        for name in self._names:
            yield from self._file(name)
        if self._columns and not self._has_column:
            raise InputError(
                f"{self.path} has no column {self.column!r}; it has: "
                f"{some([*self._columns], _MANY)}; choose one with --column"
            )

    def _list(self) -> list[str]:
        """The names below the root of the files to read, in order. Others are counted."""
        found, pending = [], [""]
        while pending:
            folder = pending.pop()
            try:
                entries = list(os.scandir(self._root / folder))
            except OSError as error:
                self._leave_out("unreadable folder", folder, error.strerror or "")
                continue
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    if self.skip is None or Path(entry.path) != self.skip:
                        pending.append(f"{folder}{entry.name}/")
                elif self._is_to_read(entry, f"{folder}{entry.name}"):
                    found.append(f"{folder}{entry.name}")
        return sorted(found, key=lambda name: name.split("/"))

    def _is_to_read(self, entry: "os.DirEntry[str]", name: str) -> bool:
        try:
            # Unlike the entry's own, this takes a link that leads nowhere for no file.
            is_file = Path(entry.path).is_file()
            size = entry.stat().st_size if is_file else 0
        except OSError as error:
            self._leave_out("unreadable", name, error.strerror or "")
            return False
        if not is_file:
            # Links to files are read: caches of datasets consist of them.
            self._leave_out("link" if entry.is_symlink() else "not a file", name)
            return False
        if not _is_read(entry.name):
            ending, packing = ending_of(entry.name)
            known = not ending or _ORDINARY.fullmatch(ending)
            label = f"ending {ending}{packing}" if known else "other ending"
            self._count("no ending" if label == "ending " else label, size)
            return False
        return True

    def _file(self, name: str) -> Iterator[Found]:
        index, path = -1, self._root / name
        try:
            size = path.stat().st_size
            with path.open("rb") as file:
                if path.name.startswith("._") and file.read(len(_APPLE)) == _APPLE:
                    self._leave_out("macOS metadata", name, size=size)
                    return
                file.seek(0)
                for index, row in enumerate(self._rows(file, path.name)):
                    if isinstance(row, bytes):
                        self._has_column = True
                        yield Found(f"{name}:{index}", row, row=True)
                    else:
                        self._leave_out_row(row, f"{name}:{index}")
            if index < 0:
                self._leave_out("empty file", name, size=size)
        except NoColumnError as error:
            self._remember(error.columns)
            self._leave_out("no column", name, f"{len(error.columns)} others", size)
        except DamagedFileError as error:
            where = f"{name}:{index + 1}" if index >= 0 else name
            self._leave_out("damaged file", where, str(error), size)
        except OSError as error:
            self._leave_out("unreadable", name, error.strerror or str(error))

    def _rows(self, file: BinaryIO, name: str) -> Iterator[Row]:
        if os.fstat(file.fileno()).st_size == 0:
            return
        ending, packing = ending_of(name)
        with damage_named(f"{ending}{packing}".lstrip(".")):
            yield from _READERS[ending](_UNPACK[packing](file), self.column)

    def _leave_out_row(self, row: LeftOut, name: str) -> None:
        self._has_column |= row.reason in _OF_THE_COLUMN
        self._remember(row.columns)
        self._leave_out(row.reason, name, row.why)

    def _remember(self, columns: tuple[str, ...]) -> None:
        if len(self._columns) < 1000:
            self._columns.update(dict.fromkeys(columns))

    def _leave_out(self, reason: str, name: str, why: str = "", size: int = 0) -> None:
        self._count(reason, size)
        if self.rejected[reason] <= _FEW:
            say(f"left out {name}: {reason}" + f" ({why})" * bool(why))
        elif self.rejected[reason] == _FEW + 1:
            say(f"left out {name} too: {reason}; from here on these are only counted")

    def _count(self, reason: str, size: int) -> None:
        self.rejected[reason] += 1
        if size:
            self.rejected_bytes[reason] += size
