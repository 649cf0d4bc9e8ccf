"""The rows of JSON files, one at a time: lines of JSON, or an array of any size.

Each row is decoded by itself, so that no row decides how another is read. Of a row only the asked
column is looked at.
"""

import codecs
import json
import re
from collections.abc import Iterator
from typing import Any, BinaryIO

from data.rows import MOST_ROW_BYTES, DamagedFileError, LeftOut, Row, row_of, short

_PIECE = 1 << 20
# int() refuses whole numbers of more than 4,300 digits. No number is a text, whatever its value.
_DECODER = json.JSONDecoder(parse_int=float)
_SPACE = re.compile(r"[ \t\r\n]*")
_BOM = codecs.BOM_UTF8
# The longest JSON token that is no string, -Infinity, and some more.
_TOKEN = 12


def json_rows(file: BinaryIO, column: str) -> Iterator[Row]:
    """The rows of JSON lines, of an array, or of objects over several lines each.

    In an array of texts each text is a row with the column `text`. A line that cannot be decoded is
    one row. Raises DamagedFileError where an array, or an object over several lines, is broken.
    """
    head = file.readline(_PIECE).removeprefix(_BOM)
    while head and not head.strip():
        head = file.readline(_PIECE)
    start = head.strip()
    if start.startswith(b"["):
        yield from _array(_Text(head, file), column)
    elif start == b"{":
        text = _Text(head, file)
        while text.next():
            yield _cell(text.value(), column)
    elif start:
        for line in _lines(file, head):
            yield from _of_line(line, column)


def _lines(file: BinaryIO, head: bytes) -> Iterator[bytes | None]:
    """The lines that are not blank; None for one above MOST_ROW_BYTES. `head` begins the first."""
    line = head
    while line:
        if not line.endswith(b"\n") and len(line) < MOST_ROW_BYTES:
            line += file.readline(MOST_ROW_BYTES - len(line))
        if len(line) >= MOST_ROW_BYTES and not line.endswith(b"\n"):
            while line and not line.endswith(b"\n"):
                line = file.readline(_PIECE)
            yield None
        elif line.strip():
            yield line
        line = file.readline(MOST_ROW_BYTES)


def _of_line(line: bytes | None, column: str) -> Iterator[Row]:
    """The rows of a line: one, or several objects side by side."""
    if line is None:
        yield LeftOut("too large", f"more than {MOST_ROW_BYTES} bytes")
        return
    # Files that were put together may hold a byte order mark at the start of each.
    text = line.removeprefix(_BOM).decode("utf-8", "surrogateescape").strip(" \t\r\n")
    values, at = [], 0
    try:
        while at < len(text):
            value, at = _DECODER.raw_decode(text, at)
            values.append(value)
            at = _after_space(text, at)
    except (ValueError, RecursionError) as error:
        yield LeftOut("not JSON", short(error))
        return
    for value in values:
        yield _cell(value, column)


def _cell(value: Any, column: str) -> Row:
    if not isinstance(value, dict):
        return LeftOut("not an object", type(value).__name__)
    if column not in value:
        return LeftOut("no column", columns=tuple(value))
    return row_of(value[column])


def _after_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _array(text: "_Text", column: str) -> Iterator[Row]:
    text.next()
    text.take()
    following = text.next()
    while following != "]":
        value = text.value()
        yield _cell({"text": value} if isinstance(value, str) else value, column)
        following = text.next()
        if following == ",":
            text.take()
            text.next()
        elif following != "]":
            raise DamagedFileError(
                "the array is cut off" if not following else "a comma is missing"
            )
    text.take()
    if text.next():
        raise DamagedFileError("there is more after the array")


class _Text:
    """A text that is read in pieces. What has been taken is forgotten."""

    def __init__(self, head: bytes, file: BinaryIO) -> None:
        self._file = file
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._held, self._at = self._decoder.decode(head), 0

    def _more(self) -> bool:
        """Read more, at least as much as is held: so the time is linear in a value's size."""
        self._held, self._at = self._held[self._at :], 0
        piece = self._file.read(max(_PIECE, len(self._held)))
        self._held += self._decoder.decode(piece, not piece)
        return bool(piece)

    def next(self) -> str:
        """Go to the next character that is not white space, and return it; "" at the end."""
        while True:
            self._at = _after_space(self._held, self._at)
            if self._at < len(self._held):
                return self._held[self._at]
            if not self._more():
                return ""

    def take(self) -> None:
        """Go past one character."""
        self._at += 1

    def value(self) -> Any:
        """Take a value. Raises DamagedFileError if it is broken or cut off."""
        ended = False
        while True:
            try:
                value, end = _DECODER.raw_decode(self._held, self._at)
            except (ValueError, RecursionError) as error:
                if ended or not _cut(error):
                    raise DamagedFileError(f"no JSON from here on: {short(error)}") from error
            else:
                # A number at the very end of what was read may go on.
                if ended or end < len(self._held):
                    self._at = end
                    return value
            if len(self._held) - self._at > MOST_ROW_BYTES:
                raise DamagedFileError(f"a row of more than {MOST_ROW_BYTES} bytes")
            ended = not self._more()


def _cut(error: Exception) -> bool:
    """Whether a value may be whole once more text has been read."""
    if not isinstance(error, json.JSONDecodeError):
        return False
    return error.msg.startswith("Unterminated") or error.pos >= len(error.doc) - _TOKEN
