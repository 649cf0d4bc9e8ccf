"""Find texts inside documents, whatever their indentation, spacing, quotes and comments.

A text and a document are compared without white space and comments. A long text is found by any
window of it: 50 tokens, or 13 lines. A shorter one is found whole. Texts that unrelated code has
too, such as `return a + b`, are not searched for.

The search is linear in the size of the documents: a hash of each 32 bytes is looked up in a table,
and what is there is compared byte by byte.
"""

import hashlib
import re
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

TOKENS, LINES = 50, 13
# Shorter texts are not searched for.
LEAST_TOKENS, LEAST_BYTES = 20, 40
# A hash is of so many bytes: a power of two, and at most LEAST_BYTES.
_ANCHOR = 32
# Documents are searched in pieces of this size, so that the memory is the same for all.
_PIECE = 1 << 20
_TABLE_BITS = 22
_FACTOR = 0x9E3779B97F4A7C15

_COMMENT = re.compile(rb"#[^\r\n]*")
_TOKEN = re.compile(rb"[\w\x80-\xff]+|[^\w\s]")
_SPACE = b" \t\r\n\f\v"
# ''' and \"\"\" are the same to Python, and so are ' and ".
_QUOTES = bytes.maketrans(b"'", b'"')


def without_comments(content: bytes) -> bytes:
    """The bytes without what follows a `#`, inside a string too."""
    return _COMMENT.sub(b"", content)


def bare(content: bytes) -> bytes:
    """The bytes without comments and white space, with one kind of quotes.

    Texts and documents are treated alike, so strings that hold a `#` are found too.
    """
    return without_comments(content).translate(_QUOTES, delete=_SPACE)


def windows_of(text: bytes) -> set[bytes]:
    """The bare windows by which a text is found: none if it is too short."""
    uncommented = without_comments(text)
    tokens = [bare(token) for token in _TOKEN.findall(uncommented)]
    lines = [line for line in map(bare, uncommented.splitlines()) if line]
    whole = b"".join(tokens)
    if len(tokens) < LEAST_TOKENS or len(whole) < LEAST_BYTES:
        return set()
    found = _joined(tokens, TOKENS) | _joined(lines, LINES) or {whole}
    return {window for window in found if len(window) >= LEAST_BYTES}


def _joined(pieces: list[bytes], count: int) -> set[bytes]:
    starts = range(len(pieces) - count + 1)
    return {b"".join(pieces[start : start + count]) for start in starts}


class Finder:
    """Finds given texts inside documents. `len` is the number of texts that are searched for.

    `sha256` is that of all windows.
    """

    def __init__(self, texts: Iterable[bytes]) -> None:
        self._windows: dict[bytes, list[bytes]] = {}
        self._texts = 0
        known: set[bytes] = set()
        for text in dict.fromkeys(texts):
            windows = windows_of(text)
            self._texts += bool(windows)
            for window in windows - known:
                self._windows.setdefault(window[:_ANCHOR], []).append(window)
            known |= windows
        digest = hashlib.sha256(b"".join(sorted(known)))
        self.sha256 = digest.hexdigest()
        self._table = np.zeros(1 << _TABLE_BITS, dtype=bool)
        for anchor in self._windows:
            self._table[_hashes(anchor)] = True

    def __len__(self) -> int:
        return self._texts

    def found_in(self, content: bytes) -> bool:
        """Whether `content` contains one of the windows."""
        text = bare(content)
        for start in range(0, len(text) - _ANCHOR + 1, _PIECE):
            piece = text[start : start + _PIECE + _ANCHOR - 1]
            for at in np.flatnonzero(self._table[_hashes(piece)]):
                place = start + int(at)
                for window in self._windows.get(text[place : place + _ANCHOR], ()):
                    if text.startswith(window, place):
                        return True
        return False


def _hashes(text: bytes) -> npt.NDArray[np.uint64]:
    """A place in the table for each _ANCHOR bytes of `text`, of which there must be as many.

    The hash of 2 n bytes is made of the hashes of two times n.
    """
    hashes = np.frombuffer(text, dtype=np.uint8).astype(np.uint64)
    size = 1
    while size < _ANCHOR:
        factor = np.uint64(pow(_FACTOR, size, 1 << 64))
        hashes = hashes[:-size] * factor + hashes[size:]
        size *= 2
    return hashes >> np.uint64(64 - _TABLE_BITS)
