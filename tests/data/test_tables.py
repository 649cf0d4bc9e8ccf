"""Rows of tables: cells are texts as they are written, and other columns do not matter."""

import csv
import datetime
import io
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from data import tables as module
from data.rows import DamagedFileError, LeftOut, NoColumnError
from data.tables import csv_rows, parquet_rows, tsv_rows


@pytest.fixture(autouse=True)
def _limit_of_fields() -> Iterator[None]:
    """The limit is the whole process's: importlib.metadata reads tables too."""
    before = csv.field_size_limit()
    yield
    csv.field_size_limit(before)


def read_csv(content: bytes, column: str = "t", read: Any = csv_rows) -> list[bytes | str]:
    rows = read(io.BytesIO(content), column)
    return [row.reason if isinstance(row, LeftOut) else row for row in rows]


def read_parquet(table: pa.Table, column: str = "t", **options: Any) -> list[bytes | str]:
    file = io.BytesIO()
    parquet.write_table(table, file, **options)
    rows = parquet_rows(file, column)
    return [row.reason if isinstance(row, LeftOut) else row for row in rows]


@pytest.mark.parametrize("cell", ["NA", "null", "None", "007", "2020-01-02", "1e5", "True", "nan"])
def test_cells_are_not_interpreted(cell: str) -> None:
    assert read_csv(f"n,t\n1,{cell}\n,{cell}\nx,{cell}\n".encode()) == [cell.encode()] * 3


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        (b"t\n", []),
        (b"\n\nt\n\na\n \nb", [b"a", b"b"]),
        (b"\xef\xbb\xbft,n\r\na,1\r\nb,2\r\n", [b"a", b"b"]),
        (b"t,n\ra,1\rb,2\r", [b"a", b"b"]),
        (b't,n\n"a\n""b"", c",1\n', [b'a\n"b", c']),
        (b't\n"a\r\nb"\n', [b"a\r\nb"]),
        (b"t,n\na\nb,1,2\nc,3\n", [b"a", "wrong number of cells", b"c"]),
        (b"n,t\na\n1,b\n", ["wrong number of cells", b"b"]),
        (b"n,t\n1,\n2,b\n", ["empty", b"b"]),
        (b'n,t\n1,a\n2,"b\nc', [b"a", "cut off"]),
        (b"n,t\n\xff,a\n1,\xff\n", [b"a", "not UTF-8"]),
        (b"t,t\na,b\n", [b"a"]),
        (b"t\na\0b\n", [b"a\0b"]),
        (b't\n"x""y"\n""\nz\n', [b'x"y', "empty", b"z"]),
    ],
)
def test_what_is_read_of_csv(content: bytes, rows: list[bytes | str]) -> None:
    assert read_csv(content) == rows


def test_tabs() -> None:
    assert read_csv(b"n\tt\n1\ta,b\n", read=tsv_rows) == [b"a,b"]


def test_a_csv_file_without_the_column() -> None:
    with pytest.raises(NoColumnError) as caught:
        read_csv(b"a,b\n1,2\n")
    assert caught.value.columns == ("a", "b")


def test_cells_above_the_limit_end_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    import csv

    monkeypatch.setattr(module, "MOST_ROW_BYTES", 20)
    with pytest.raises(DamagedFileError, match="more than 20"):
        read_csv(b"t\nab\n" + b"c" * 30)
    with pytest.raises(csv.Error, match="field larger"):
        read_csv(b't\nab\n"' + b"c\n" * 30)


@pytest.mark.parametrize(
    "kind",
    [
        pa.string(), pa.large_string(), pa.binary(), pa.large_binary(), pa.string_view(),
        pa.dictionary(pa.int32(), pa.string()), pa.binary(3),
    ],
    ids=str,
)  # fmt: skip
def test_texts_of_every_type(kind: Any) -> None:
    values = ["abc", None, "d\u00e9", "abc"] * 100
    array = pa.array(values, pa.string())
    if pa.types.is_fixed_size_binary(kind):
        array = array.cast(pa.binary())
    table = pa.table({"n": pa.array(range(400)), "t": array.cast(kind)})
    assert read_parquet(table) == [b"abc", "not text", "dé".encode(), b"abc"] * 100
    if kind == pa.string():
        assert read_parquet(table, row_group_size=7, use_dictionary=False) == read_parquet(table)


@pytest.mark.parametrize(
    "values",
    [[1, 2], [1.5, 2.5], [True, False], [None, None], [["a"], ["b"]], [{"a": "x"}, {"a": "y"}],
     [datetime.date(2020, 1, 2)] * 2],
    ids=str,
)  # fmt: skip
def test_other_types_are_no_texts(values: list[object]) -> None:
    assert read_parquet(pa.table({"t": values})) == ["not text"] * 2


def test_texts_that_are_no_utf8_are_counted_row_by_row() -> None:
    raw = pa.array([b"a", b"\xff", b"\xed\xa0\x80", b"b"], pa.binary())
    text = pa.Array.from_buffers(pa.string(), len(raw), raw.buffers())
    assert read_parquet(pa.table({"t": text})) == [b"a", "not UTF-8", "not UTF-8", b"b"]
    # Bytes are bytes.
    assert read_parquet(pa.table({"t": raw})) == [b"a", b"\xff", b"\xed\xa0\x80", b"b"]


def test_names_with_dots_and_parts_of_columns() -> None:
    table = pa.table({"a": [{"b": "x"}], "a.b": ["y"], "t": ["z"]})
    assert read_parquet(table, "a.b") == [b"y"]
    with pytest.raises(NoColumnError) as caught:
        read_parquet(pa.table({"a": [{"b": "x"}]}), "a.b")
    assert caught.value.columns == ("a",)


def test_damage_keeps_the_rows_before() -> None:
    file = io.BytesIO()
    texts = [f"{n:0100d}" for n in range(1000)]
    table = pa.table({"t": texts})
    parquet.write_table(table, file, row_group_size=100, use_dictionary=False)
    content = bytearray(file.getvalue())
    middle = len(content) // 2
    content[middle : middle + 2000] = b"\xff" * 2000
    seen: list[Any] = []
    reading = parquet_rows(io.BytesIO(content), "t")
    with pytest.raises(DamagedFileError, match="cannot be read as parquet"):
        seen.extend(reading.__next__() for _ in texts)
    assert len(seen) >= 100
    assert seen == [text.encode() for text in texts[: len(seen)]]


def test_damage_of_other_columns_does_not_matter() -> None:
    file = io.BytesIO()
    texts = ["some text"] * 10
    table = pa.table({"t": texts, "other": ["x" * 50_000 + str(n) for n in range(10)]})
    parquet.write_table(table, file, compression="none", use_dictionary=False)
    content = file.getvalue().replace(b"x" * 1000, b"\xff" * 1000)
    content = content[:60_000] + b"\0" * 300_000 + content[360_000:]
    rows = list(parquet_rows(io.BytesIO(content), "t"))
    assert rows == [text.encode() for text in texts]
