"""From parts to documents: copies are left out, and each package goes to one split.

The first of several copies is kept, in the order of the parts. Of the texts one is in memory at a
time; of all documents, what is compared.
"""

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from data.packages.part import DIGEST_BYTES, Part
from data.steps.near import PERMUTATIONS, copies
from data.walk import Found

# Near duplicates that the manifest shows.
_SHOWN = 10


class Assembly:
    """The documents of parts without copies. `rejected` counts the copies.

    `split_of_parts` gives the split of each part that has documents; "" for that of their names.
    `examples` are near duplicates, each with the document that was kept.
    """

    def __init__(
        self, parts: Sequence[Part], split_of_parts: Callable[[list[Part]], list[str]]
    ) -> None:
        self.parts = parts
        self.rejected: Counter[str] = Counter()
        self.rejected_bytes: Counter[str] = Counter()
        self.examples: list[dict[str, Any]] = []
        self._first = [0, *accumulate(len(part) for part in parts)]
        kept_N = self._without_copies()
        self.kept = [
            kept_N[start : start + len(part)]
            for part, start in zip(parts, self._first, strict=False)
        ]
        filled = [part for part, kept in zip(parts, self.kept, strict=True) if kept.any()]
        splits = dict(zip(map(id, filled), split_of_parts(filled), strict=True))
        self.splits = [splits.get(id(part), "") for part in parts]

    def files(self) -> Iterator[Found]:
        """The documents that are kept."""
        for part, kept, split in zip(self.parts, self.kept, self.splits, strict=True):
            for (name, content), keeps in zip(part.documents(), kept, strict=True):
                if keeps:
                    yield Found(name, content, split, judged=True)

    def _without_copies(self) -> npt.NDArray[np.bool_]:
        digests = b"".join(part.digests() for part in self.parts)
        digests_N = np.frombuffer(digests, dtype=np.dtype((np.void, DIGEST_BYTES)))
        kept_N = np.zeros(len(digests_N), dtype=bool)
        # The first place of each.
        kept_N[np.unique(digests_N, return_index=True)[1]] = True
        for again in np.flatnonzero(~kept_N).tolist():
            self._reject("duplicate", again)
        # There may be no part at all.
        signed_N = np.concatenate([np.zeros(0, bool), *(part.signed_N for part in self.parts)])
        signed_N &= kept_N
        if signed_N.any():
            for index, earlier in self._near(np.flatnonzero(signed_N), kept_N):
                kept_N[index] = False
                self._reject("near duplicate", index)
                if len(self.examples) < _SHOWN:
                    names = [self._name(place) for place in (index, earlier)]
                    self.examples.append(dict(zip(("left_out", "kept"), names, strict=True)))
        return kept_N

    def _near(
        self, signed: npt.NDArray[np.int64], kept_N: npt.NDArray[np.bool_]
    ) -> Iterator[tuple[int, int]]:
        """Near duplicates among the documents that are kept: (document, the one that stays)."""
        # In a file: half a kilobyte for each document.
        with tempfile.TemporaryFile() as file:
            for part, start in zip(self.parts, self._first, strict=False):
                ours = kept_N[start : start + len(part)]
                file.write(part.signatures()[ours[part.signed_N]].tobytes())
            file.flush()
            shape = (len(signed), PERMUTATIONS)
            signatures_ND = np.memmap(file, dtype=np.uint16, mode="r", shape=shape)
            for later, earlier in copies(signatures_ND):
                yield int(signed[later]), int(signed[earlier])

    def _part(self, index: int) -> tuple[Part, int]:
        at = int(np.searchsorted(self._first, index, side="right")) - 1
        return self.parts[at], index - self._first[at]

    def _name(self, index: int) -> str:
        part, place = self._part(index)
        return part.names[place]

    def _reject(self, reason: str, index: int) -> None:
        part, place = self._part(index)
        self.rejected[reason] += 1
        self.rejected_bytes[reason] += part.sizes[place]


def open_parts(folders: Iterator[Path]) -> list[Part]:
    """The parts in these folders."""
    return [Part(folder) for folder in folders]
