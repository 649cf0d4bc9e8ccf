"""How the documents of an epoch lie in blocks: as one stream that is cut, or whole.

A document is its bytes between a begin and an end id. A piece of it is (document, offset, length),
in ids. Documents come in stages: `ends` counts the documents up to the end of each stage.

Shapes: N document.
"""

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Piece = tuple[int, int, int]


class Layout(Protocol):
    """The blocks of an epoch. `stops`: how many there are up to the end of each stage."""

    stops: list[int]

    def pieces(self, block: int) -> Iterator[Piece]:
        """What lies in a block, and up to `ahead` ids more, which only labels read."""


class Stream:
    """Documents one after the other, cut into blocks wherever these end.

    What follows the last whole block is left out. A block that lies in two stages belongs to the
    first of them.
    """

    def __init__(
        self, lengths_N: Ints, documents_N: Ints, ends: Sequence[int], block: int, ahead: int
    ) -> None:
        self._documents, self._lengths = documents_N, lengths_N[documents_N]
        self._block, self._ids = block, block + ahead
        self._ends = np.cumsum(self._lengths)
        # The last label of the last head lies `ahead` ids after the block's last id.
        whole = (int(self._ends[-1]) - ahead) // block
        self.stops = [min(-(-int(self._ends[end - 1]) // block), whole) for end in ends]
        self.stops[-1] = whole

    def pieces(self, block: int) -> Iterator[Piece]:
        start, left = block * self._block, self._ids
        order = int(np.searchsorted(self._ends, start, side="right"))
        offset = start - int(self._ends[order] - self._lengths[order])
        while left:
            take = min(int(self._lengths[order]) - offset, left)
            yield int(self._documents[order]), offset, take
            left, offset, order = left - take, 0, order + 1


class Whole:
    """Blocks in which no document is cut that fits in one: best-fit packing (Ding et al. 2024).

    A longer document is cut into blocks, and what is left of it is packed like a short one. The end
    of a block stays empty where nothing fits.
    """

    def __init__(
        self, lengths_N: Ints, documents_N: Ints, ends: Sequence[int], block: int, ahead: int
    ) -> None:
        self._lengths, self._block, self._ahead = lengths_N, block, ahead
        self.stops: list[int] = []
        found, first = [], 0
        for start, end in zip([0, *ends[:-1]], ends, strict=True):
            packed, count = _packed(lengths_N, documents_N[start:end], block)
            packed[:, 0] += first
            found.append(packed)
            first += count
            self.stops.append(first)
        # Rows of block, document, offset, in the order of the blocks.
        self._pieces_N3 = np.concatenate(found)
        self._starts = np.searchsorted(self._pieces_N3[:, 0], np.arange(first + 1))

    def pieces(self, block: int) -> Iterator[Piece]:
        start, stop = self._starts[block : block + 2]
        for _, document, offset in self._pieces_N3[start:stop].tolist():
            left = int(self._lengths[document]) - offset
            yield (
                document,
                offset,
                left if left <= self._block else min(left, self._block + self._ahead),
            )


def _packed(lengths_N: Ints, documents_N: Ints, block: int) -> tuple[Ints, int]:
    """The pieces of documents, as rows (block, document, offset), and the number of blocks."""
    lengths = lengths_N[documents_N]
    # Each document's pieces of a whole block, and what is left of it.
    full = lengths // block
    rest = lengths - full * block
    short = np.flatnonzero(rest)
    bins, count = best_fit(rest[short], block)
    left = np.stack([bins, documents_N[short], (full * block)[short]], axis=1)
    total = int(full.sum())
    within = np.arange(total) - np.repeat(np.cumsum(full) - full, full)
    filled = np.stack(
        [np.arange(total) + count, np.repeat(documents_N, full), within * block], axis=1
    )
    rows = np.concatenate([left, filled])
    return rows[np.argsort(rows[:, 0], kind="stable")], count + total


def best_fit(sizes: Ints, room: int) -> tuple[Ints, int]:
    """For each size (1 to `room`), the bin of `room` that it is put in, and the number of bins.

    From the largest to the smallest, each goes where the least room is left after it.
    """
    bins, count = np.empty(len(sizes), dtype=np.int64), 0
    # The bins by the room that is left in them, and as bits: which rooms any bin has.
    having: list[list[int]] = [[] for _ in range(room + 1)]
    rooms = 0
    for item in np.argsort(-sizes, kind="stable").tolist():
        size = int(sizes[item])
        fitting = rooms >> size
        if fitting:
            least = size + (fitting & -fitting).bit_length() - 1
            chosen = having[least].pop()
            if not having[least]:
                rooms ^= 1 << least
        else:
            least, chosen, count = room, count, count + 1
        bins[item] = chosen
        if left := least - size:
            having[left].append(chosen)
            rooms |= 1 << left
    return bins, count
