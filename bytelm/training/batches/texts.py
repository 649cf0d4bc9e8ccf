"""The texts that an epoch reads: documents as they are, or some of them rearranged for infilling.

A text is ids, from BOS to EOD. Without infilling, each document is one. With infilling, a document
is rearranged with a chance of `rate`. It is cut into prefix, middle and suffix. With a mark for
each, these stand in one of two orders (Bavarian et al. 2022, arXiv 2207.14255, section 3):

    PSM    FIM_PREFIX prefix FIM_SUFFIX suffix FIM_MIDDLE middle
    SPM    FIM_PREFIX FIM_SUFFIX suffix FIM_MIDDLE prefix middle

So EOD ends the middle. `bytelm.decode.prompts` asks for a middle by PSM.

If a rearranged document is too long for a block, each part of it that fits in one is a text of its
own, with a gap of its own. Otherwise few blocks would hold a gap and what stands around it. Which
documents these are, and where they are cut, depends on the seed and the epoch alone.

Shapes: N document, P text.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from bytelm.alphabet import BOS, EOD, FIM_MIDDLE, FIM_PREFIX, FIM_SUFFIX
from bytelm.shards import Split

Ints = npt.NDArray[np.int64]
MARKS = 3
"""How many ids longer a rearranged document is."""
# Behind seed and epoch, it gives gaps random numbers of their own: not those of the order.
GAPS = 1


class Texts(Protocol):
    """The texts of an epoch. `lengths`: of each, in ids. `ends`: their number up to each stage."""

    lengths: Ints
    ends: list[int]

    def copy(self, text: int, offset: int, into: Ints) -> None:
        """Write the ids of a text from `offset` on, as many as `into` holds."""


class Documents:
    """Each document is a text, as it stands. `stages`: how many documents each stage has."""

    def __init__(self, split: Split, stages: Sequence[int]) -> None:
        self._split, self.lengths = split, split.lengths_N + 2
        self.ends: list[int] = np.cumsum(stages).tolist()

    def copy(self, text: int, offset: int, into: Ints) -> None:
        """See Texts."""
        content = self._split.document(text)
        begin, end = max(offset - 1, 0), offset - 1 + len(into)
        inside = content[begin:end]
        skip = 1 if offset == 0 else 0
        into[skip : skip + len(inside)] = inside
        if offset == 0:
            into[0] = BOS
        if skip + len(inside) < len(into):
            into[-1] = EOD


def rearranged(content: npt.NDArray[np.uint8], first: int, second: int, spm: bool) -> Ints:
    """The ids of a document whose middle is `content[first:second]`, without BOS and EOD."""
    prefix, middle, suffix = np.split(content, [first, second])
    parts = (
        ([FIM_PREFIX, FIM_SUFFIX], suffix, [FIM_MIDDLE], prefix, middle)
        if spm
        else ([FIM_PREFIX], prefix, [FIM_SUFFIX], suffix, [FIM_MIDDLE], middle)
    )
    return np.concatenate([np.asarray(part, dtype=np.int64) for part in parts])


class Rearranged:
    """Documents, a share `rate` of them rearranged, and of these a share `spm_share` in SPM.

    No rearranged text is longer than `block` ids, if that is enough for one byte.
    """

    def __init__(
        self,
        split: Split,
        stages: Sequence[int],
        block: int,
        rate: float,
        spm_share: float,
        entropy: Sequence[int],
    ) -> None:
        self._plain = Documents(split, stages)
        self._split = split
        generator = np.random.Generator(np.random.PCG64([*entropy, GAPS]))
        chosen_N = generator.random(len(split)) < rate
        room = max(1, block - 2 - MARKS)
        parts_N = np.where(chosen_N, -(-split.lengths_N // room), 1)
        totals = np.concatenate([[0], np.cumsum(parts_N)])
        self.ends: list[int] = totals[self._plain.ends].tolist()
        self._documents_P = np.repeat(np.arange(len(split)), parts_N)
        self._chosen_P = chosen_N[self._documents_P]
        self._begins_P = (np.arange(totals[-1]) - totals[self._documents_P]) * room
        left_P = split.lengths_N[self._documents_P] - self._begins_P
        sizes_P = np.where(self._chosen_P, np.minimum(left_P, room), left_P)
        self.lengths: Ints = sizes_P + 2 + MARKS * self._chosen_P
        # Both cuts may be before any byte and after the last one.
        cuts_P2 = generator.integers(0, sizes_P[:, None] + 1, size=(len(sizes_P), 2))
        self._cuts_P2 = np.sort(cuts_P2, axis=1)
        self._spm_P = generator.random(len(sizes_P)) < spm_share

    def copy(self, text: int, offset: int, into: Ints) -> None:
        """See Texts."""
        document = int(self._documents_P[text])
        if not self._chosen_P[text]:
            self._plain.copy(document, offset, into)
            return
        begin, size = int(self._begins_P[text]), int(self.lengths[text]) - 2 - MARKS
        content = self._split.document(document)[begin : begin + size]
        first, second = self._cuts_P2[text].tolist()
        ids = rearranged(content, first, second, bool(self._spm_P[text]))
        into[:] = np.concatenate([[BOS], ids, [EOD]])[offset : offset + len(into)]
