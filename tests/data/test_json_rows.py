"""Rows of JSON: each is decoded by itself, and files of any size take little memory."""

import io
import itertools
import json
import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data import json_rows as module
from data.json_rows import json_rows
from data.rows import DamagedFileError, LeftOut, Row


def read(content: bytes, column: str = "t") -> list[bytes | str]:
    """The texts, and the reasons of rows without one."""
    return [shown(row) for row in json_rows(io.BytesIO(content), column)]


def shown(row: Row) -> bytes | str:
    return row.reason if isinstance(row, LeftOut) else row


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        (b"", []),
        (b"\xef\xbb\xbf\n", []),
        (b'{"t": "a"}\r\n\r\n {"t": "b"} \n{"t": "c"}', [b"a", b"b", b"c"]),
        (b'{"t": "a"} {"t": "b"}\n{"t": "c"}{', [b"a", b"b", "not JSON"]),
        (b'{"t": "a"},\n{"t": "b"}\n', ["not JSON", b"b"]),
        (b'{"t": "a"}\n\xef\xbb\xbf{"t": "b"}\n', [b"a", b"b"]),
        (b'{"n": ' + b"9" * 5000 + b', "t": "a"}\n', [b"a"]),
        (b'{"n": NaN, "t": "a"}\n{"n": null, "t": "b"}\n{"n": "x", "t": "c"}', [b"a", b"b", b"c"]),
        (b'{"t": ' + b"[" * 200_000 + b'\n{"t": "b"}\n', ["not JSON", b"b"]),
        (b'{"t": 7}\n{"t": 1e5}\n{"t": true}\n{"t": ["a"]}\n{"t": {}}\n', ["not text"] * 5),
        (b'{"t": "NA"}\n{"t": "007"}\n{"t": "2020-01-02"}\n', [b"NA", b"007", b"2020-01-02"]),
        (b'{"t": "\\ud83d\\ude00"}\n', ["\U0001f600".encode()]),
        (b'{"t": "a\xe2\x80\xa8b"}\n', [b"a\xe2\x80\xa8b"]),
        (b'{"s": "\xff", "t": "a"}\n{"s": "\\ud800", "t": "b"}\n', [b"a", b"b"]),
        (b'1\n"a"\nnull\n[1]\n', ["not an object"] * 4),
        (b" [\n]", []),
        (b'\xef\xbb\xbf[{"t": "a"}, {"u": 1}, 5 ,{"t":"b"}]\n',
         [b"a", "no column", "not an object", b"b"]),
        (b'{\n "t": "a"\n}\n{\n "t": "b"\n}\n', [b"a", b"b"]),
    ],
)  # fmt: skip
def test_what_is_read(content: bytes, rows: list[bytes | str]) -> None:
    assert read(content) == rows


def test_texts_in_an_array_are_a_column_of_their_own() -> None:
    assert read(b'["a", "b"]', "text") == [b"a", b"b"]
    assert read(b'["a", "b"]', "t") == ["no column", "no column"]


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        (b'[{"t": "a"}, {"t": "b', 1),
        (b'[{"t": "a"}', 1),
        (b"[", 0),
        (b'[{"t": "a"} {"t": "b"}]', 1),
        (b'[{"t": "a"}, {"t": bad, "u": ' + b"1" * 50 + b"}]", 1),
        (b'["a", "b"]\n["c"]\n', 2),
        (b'{\n"t": "a"\n}\n{\n"t": \n}', 1),
        (b"[" * 200_000, 0),
    ],
)
def test_a_broken_array_keeps_the_rows_before(content: bytes, rows: int) -> None:
    reading = json_rows(io.BytesIO(content), "t")
    assert len([*itertools.islice(reading, rows)]) == rows
    with pytest.raises(DamagedFileError):
        next(reading)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.dictionaries(st.sampled_from("tuv"), st.text(max_size=9) | st.floats() | st.none())
    ),
    st.integers(1, 40),
    st.sampled_from([None, 1]),
)
def test_where_pieces_end_does_not_matter(
    rows: list[dict[str, object]], piece: int, indent: int | None
) -> None:
    whole = json.dumps(rows, indent=indent, ensure_ascii=False)
    content = whole.encode("utf-8", "surrogatepass")
    expected = read(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_PIECE", piece)
        assert read(content) == expected
    by_line = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    assert read(by_line) == expected


class _Endless(io.RawIOBase):
    """A stream of many bytes that are made when they are read."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        super().__init__()
        self._pieces = pieces

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer)  # type: ignore[arg-type]
        piece = next(self._pieces, b"")[: len(view)]
        view[: len(piece)] = piece
        return len(piece)


@pytest.mark.medium
@pytest.mark.parametrize("array", [False, True])
def test_memory_is_that_of_a_row(array: bool) -> None:
    row = b'{"t": "' + b"x" * 4000 + b'"}' + (b", " if array else b"\n")
    pieces = (b"[" * array + row if n == 0 else row for n in range(5000))
    tracemalloc.start()
    try:
        stream = io.BufferedReader(_Endless(pieces))
        count = 0
        try:
            for row_read in json_rows(stream, "t"):
                count += isinstance(row_read, bytes)
        except DamagedFileError:
            assert array
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 5000
    assert peak < 12 << 20


def test_a_row_above_the_limit_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_ROW_BYTES", 30)
    monkeypatch.setattr(module, "_PIECE", 16)
    long = b'{"t": "' + b"a" * 50 + b'"}\n'
    assert read(long + b'{"t": "b"}\n' + long + long[:-1]) == [
        "too large", b"b", "too large", "too large",
    ]  # fmt: skip
    with pytest.raises(DamagedFileError, match="more than 30 bytes"):
        read(b"[" + long + b"]")
