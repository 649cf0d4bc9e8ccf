"""The rows of tables: csv, tsv and parquet. Only the asked column is read, and cells are texts."""

import csv
import io
from collections.abc import Iterator
from typing import Any, BinaryIO

from data.rows import (
    MOST_ROW_BYTES,
    DamagedFileError,
    LeftOut,
    NoColumnError,
    Row,
    damage_named,
    row_of,
)

# Rows of a parquet file that are held at once, and bytes that are read at once.
_BATCH, _PIECE = 64, 1 << 20
# A row that ends every csv file: if it is found inside a cell, the cell's quote was never closed.
_END = "\0end of file\0"


def csv_rows(file: BinaryIO, column: str) -> Iterator[Row]:
    """The rows of comma-separated values below a header. Cells are taken as they are written.

    Raises NoColumnError if the header lacks the column, and DamagedFileError.
    """
    return _separated(file, column, ",")


def tsv_rows(file: BinaryIO, column: str) -> Iterator[Row]:
    """The rows of values that are separated by tabs; see csv_rows."""
    return _separated(file, column, "\t")


def _separated(file: BinaryIO, column: str, delimiter: str) -> Iterator[Row]:
    csv.field_size_limit(MOST_ROW_BYTES)
    text = io.TextIOWrapper(file, "utf-8-sig", errors="surrogateescape", newline="")
    rows = filter(_filled, csv.reader(_lines(text), delimiter=delimiter))
    header = next(rows)
    if header == [_END]:
        return
    if _cut(header):
        raise DamagedFileError("a quote of the header is not closed")
    if column not in header:
        raise NoColumnError(tuple(header))
    at = header.index(column)
    for cells in rows:
        if cells == [_END]:
            return
        if _cut(cells):
            yield LeftOut("cut off", "a quote is not closed")
        # A row that is too short may still have this cell.
        elif at >= len(cells) or len(cells) > len(header):
            yield LeftOut("wrong number of cells", f"{len(cells)}, not {len(header)}")
        else:
            yield row_of(cells[at])


def _lines(text: io.TextIOWrapper) -> Iterator[str]:
    """The lines of a csv file with their ends, and one that ends the file."""
    while line := text.readline(MOST_ROW_BYTES):
        if len(line) >= MOST_ROW_BYTES:
            raise DamagedFileError(f"a line of more than {MOST_ROW_BYTES} characters")
        yield line
    yield f"{_END}\n"


def _filled(cells: list[str]) -> bool:
    """Whether a row is no blank line."""
    return len(cells) > 1 or (len(cells) == 1 and not cells[0].isspace())


def _cut(cells: list[str]) -> bool:
    return cells[-1].endswith(f"{_END}\n")


def parquet_rows(file: BinaryIO, column: str) -> Iterator[Row]:
    """The rows of a parquet file. Of other columns nothing is read but their names.

    Raises NoColumnError if the file lacks the column, and DamagedFileError.
    """
    import pyarrow
    from pyarrow import parquet

    # A name that is no UTF-8 is a ValueError.
    with damage_named("parquet", pyarrow.ArrowException, ValueError):
        # Pages are read as they are needed: a file may be one group of rows, of any size.
        table = parquet.ParquetFile(file, buffer_size=_PIECE, pre_buffer=False)
        names = table.schema_arrow.names
        if column not in names:
            raise NoColumnError(tuple(names))
        kind = table.schema_arrow.field(names.index(column)).type
        if not _is_text(kind):
            yield from (LeftOut("not text", str(kind)) for _ in range(table.metadata.num_rows))
            return
        for batch in table.iter_batches(_BATCH, columns=[column], use_threads=False):
            yield from map(_cell, batch.column(batch.schema.names.index(column)))


def _cell(scalar: Any) -> Row:
    try:
        return row_of(scalar.as_py())
    except UnicodeDecodeError as error:
        return LeftOut("not UTF-8", f"at byte {error.start}")


def _is_text(kind: Any) -> bool:
    """Whether a type of arrow holds texts or bytes. Dictionaries and extensions may hold them."""
    import pyarrow
    from pyarrow import types

    while isinstance(kind, pyarrow.BaseExtensionType):
        kind = kind.storage_type
    if types.is_dictionary(kind):
        kind = kind.value_type
    texts = (types.is_string, types.is_large_string, types.is_string_view)
    raw = (types.is_binary, types.is_large_binary, types.is_binary_view)
    return any(is_one(kind) for is_one in (*texts, *raw, types.is_fixed_size_binary))
