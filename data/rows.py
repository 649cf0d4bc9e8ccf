"""A row of a dataset's file: the bytes of its text, or why it has none."""

import csv
import lzma
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

# No row takes more memory than this, whatever a file holds.
MOST_ROW_BYTES = 256 << 20


@dataclass(frozen=True)
class LeftOut:
    """A row without a text. `reason` is what is counted, and `why` says more about this row.

    `columns`: the columns that the row has, if it lacks the one that was asked for.
    """

    reason: str
    why: str = ""
    columns: tuple[str, ...] = ()


Row = bytes | LeftOut

_DAMAGE = (EOFError, zlib.error, lzma.LZMAError, csv.Error)


class DamagedFileError(Exception):
    """A file cannot be read from here on. Its rows up to here are good. The text says why."""


class NoColumnError(Exception):
    """A table has no such column. `columns`: those that it has."""

    def __init__(self, columns: tuple[str, ...]) -> None:
        super().__init__(columns)
        self.columns = columns


def row_of(value: object) -> Row:
    """The row whose asked column holds `value`, which is taken as it is. Only texts are texts.

    Bytes that are no UTF-8 come as lone surrogates (`surrogateescape`), which no text may hold.
    """
    if isinstance(value, str):
        try:
            value = value.encode()
        except UnicodeEncodeError as error:
            return LeftOut("not UTF-8", f"at character {error.start}")
    if not isinstance(value, bytes):
        return LeftOut("not text", "null" if value is None else type(value).__name__)
    return value or LeftOut("empty")


def short(error: BaseException) -> str:
    """The first line of an error's message, or its type's name."""
    return (str(error).splitlines() or [""])[0][:200] or type(error).__name__


@contextmanager
def damage_named(kind: str, *errors: type[BaseException]) -> Iterator[None]:
    """Inside the block, these errors and those of damaged files become a DamagedFileError.

    An OSError with a number is the system's, not the file's, and stays.
    """
    damage: tuple[type[BaseException], ...] = (*errors, *_DAMAGE, OSError)
    try:
        yield
    except damage as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise DamagedFileError(f"it cannot be read as {kind}: {short(error)}") from error
