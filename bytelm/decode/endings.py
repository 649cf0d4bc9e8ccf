"""Find stops in a completion, and the bytes that may already be shown.

A stop may lie inside an accepted block or span several. The stop that is complete first ends the
completion, as if bytes were decoded one by one. The result therefore does not depend on how many
bytes a step accepts. Of two stops that are complete at the same byte, the longer one counts.
"""

from collections.abc import Sequence


def find_stop(text: bytes | bytearray, stops: Sequence[bytes], seen: int) -> int | None:
    """The index where the first complete stop begins, or None.

    `seen`: no stop is complete within the first `seen` bytes, so the search can skip them.
    """
    best: tuple[int, int] | None = None
    for stop in stops:
        start = text.find(stop, max(0, seen - len(stop) + 1))
        if start >= 0 and (best is None or (start + len(stop), start) < best):
            best = (start + len(stop), start)
    return None if best is None else best[1]


def undecided(text: bytes | bytearray, stops: Sequence[bytes]) -> int:
    """How many bytes at the end of `text` may be the beginning of a stop."""
    longest = max((len(stop) for stop in stops), default=0)
    for size in range(min(longest - 1, len(text)), 0, -1):
        if any(stop.startswith(text[-size:]) for stop in stops if len(stop) > size):
            return size
    return 0


def incomplete_utf8(text: bytes) -> int:
    """How many bytes at the end of `text` are an incomplete UTF-8 character."""
    for size in range(1, min(3, len(text)) + 1):
        lead = text[-size]
        if lead & 0xC0 == 0x80:
            continue
        wanted = 2 if 0xC2 <= lead <= 0xDF else 3 if lead & 0xF0 == 0xE0 else 0
        wanted = 4 if 0xF0 <= lead <= 0xF4 else wanted
        return size if size < wanted and _may_begin(text[-size:]) else 0
    return 0


def _may_begin(piece: bytes) -> bool:
    """Whether a valid UTF-8 character can begin with `piece` (Unicode standard, table 3-7)."""
    if len(piece) < 2:
        return True
    ranges = {0xE0: (0xA0, 0xBF), 0xED: (0x80, 0x9F), 0xF0: (0x90, 0xBF), 0xF4: (0x80, 0x8F)}
    low, high = ranges.get(piece[0], (0x80, 0xBF))
    return low <= piece[1] <= high


class Utf8Gate:
    """Passes bytes on in whole UTF-8 characters. Invalid bytes pass unchanged."""

    def __init__(self) -> None:
        self._held = b""

    def push(self, piece: bytes) -> bytes:
        """Add `piece`; returns the bytes that can be shown now."""
        text = self._held + piece
        cut = len(text) - incomplete_utf8(text)
        self._held = text[cut:]
        return text[:cut]

    def flush(self) -> bytes:
        """Return the bytes that are left at the end of the text."""
        held, self._held = self._held, b""
        return held
