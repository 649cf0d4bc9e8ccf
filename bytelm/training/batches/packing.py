"""Documents packed into blocks of equal length, in an order that depends on the seed alone.

Each epoch shuffles the documents, each between a begin and an end id, and lays them into blocks
(see `layout`). The blocks are shuffled again, so that a batch mixes documents. If the split has
stages, the first epoch reads one after the other, each shuffled by itself. With infilling, some
documents are rearranged (see `texts`). Batch number s is computed from s alone, so a resumed run,
or one with another number of ranks, reads the same bytes.

Shapes: B batch row, T position in block, n prediction heads.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from bytelm.alphabet import PAD
from bytelm.base.errors import InputError
from bytelm.shards import Split
from bytelm.training.batches.layout import Layout, Stream, Whole
from bytelm.training.batches.texts import Documents, Rearranged, Texts

IGNORE = -100


@dataclass
class Batch:
    """A batch of blocks, int64: input ids `ids_BT`, and labels `labels_nBT` per head (or IGNORE).

    `starts_BT` is given if documents must not attend to each other. It holds, for each position,
    the index in the block at which its document begins.
    """

    ids_BT: Tensor
    labels_nBT: Tensor
    starts_BT: Tensor | None = None


class Packing:
    """Batches of `batch` blocks of `block` ids, with labels for `heads` heads.

    With `apart`, batches have `starts_BT`. With `whole`, documents that fit in a block are not cut.
    Without `stages`, the first epoch mixes them. `infilling`: the share of documents that are
    rearranged; `spm_share`: how many of these in SPM. Raises InputError if the split is too small
    for a block.
    """

    def __init__(
        self,
        split: Split,
        block: int,
        batch: int,
        heads: int,
        seed: int,
        apart: bool = False,
        whole: bool = False,
        stages: bool = True,
        infilling: float = 0.0,
        spm_share: float = 0.5,
    ) -> None:
        self.split, self.block, self.batch, self.heads, self.seed = split, block, batch, heads, seed
        self.apart, self.whole = apart, whole
        self.stages = split.stages if stages else [len(split)]
        self.infilling, self.spm_share = infilling, spm_share
        self.lengths = split.lengths_N + 2
        if int(self.lengths.sum()) < block + heads:
            raise InputError(
                f"{split.folder} holds {split.bytes} bytes of {split.split} data: too little for "
                f"one block of {block}; add data or lower the block"
            )
        # The blocks of the first epochs, and the number of each epoch's first block.
        self._epoch, self._counts, self._firsts = -1, list[int](), [0]

    def _texts_of(self, epoch: int) -> Texts:
        stages = self.stages if epoch == 0 else [len(self.split)]
        if not self.infilling:
            return Documents(self.split, stages)
        rate, share, entropy = self.infilling, self.spm_share, (self.seed, epoch)
        return Rearranged(self.split, stages, self.block, rate, share, entropy)

    def _enter(self, epoch: int) -> None:
        if epoch == self._epoch:
            return
        generator = np.random.Generator(np.random.PCG64([self.seed, epoch]))
        self._texts = self._texts_of(epoch)
        lengths, ends = self._texts.lengths, self._texts.ends
        self._documents = _shuffled(ends, generator)
        kind = Whole if self.whole else Stream
        self._layout: Layout = kind(lengths, self._documents, ends, self.block, self.heads)
        self._blocks = _shuffled(self._layout.stops, generator)
        self._epoch = epoch

    def blocks_of(self, epoch: int) -> int:
        """The number of blocks in an epoch. Without stages and infilling, all have as many."""
        # With infilling, the texts of each epoch are others.
        known = epoch if self.infilling else min(epoch, 1)
        while len(self._counts) <= known:
            self._enter(len(self._counts))
            self._counts.append(len(self._blocks))
        return self._counts[known]

    def _place(self, number: int) -> tuple[int, int]:
        """The epoch of block `number`, which counts over all epochs, and its index in the epoch."""
        while self._firsts[-1] <= number:
            self._firsts.append(self._firsts[-1] + self.blocks_of(len(self._firsts) - 1))
        epoch = bisect_right(self._firsts, number) - 1
        return epoch, number - self._firsts[epoch]

    def _fill(self, block: int, ids: npt.NDArray[np.int64], owners: npt.NDArray[np.int64]) -> None:
        """Write the ids of a block and those after it, and the piece that each belongs to."""
        filled, owner = 0, 0
        for owner, (text, offset, take) in enumerate(self._layout.pieces(block), start=1):
            owners[filled : filled + take] = owner
            self._texts.copy(text, offset, ids[filled : filled + take])
            filled += take
        # No label is read where nothing lies.
        ids[filled:], owners[filled:] = PAD, owner + 1

    def batch_at(self, step: int, first: int = 0, rows: int | None = None) -> Batch:
        """Batch `step`, counted from 0 over all epochs: all of it, or `rows` rows from `first`."""
        T, n = self.block, self.heads
        rows = self.batch if rows is None else rows
        ids = np.empty((rows, T + n), dtype=np.int64)
        owners = np.empty((rows, T + n), dtype=np.int64)
        for row in range(rows):
            epoch, index = self._place(step * self.batch + first + row)
            self._enter(epoch)
            self._fill(int(self._blocks[index]), ids[row], owners[row])
        labels = np.empty((n, rows, T), dtype=np.int64)
        for head in range(n):
            ahead = slice(head + 1, head + 1 + T)
            same = (owners[:, ahead] == owners[:, :T]) & (ids[:, ahead] != PAD)
            labels[head] = np.where(same, ids[:, ahead], IGNORE)
        starts = torch.from_numpy(_starts(owners[:, :T])) if self.apart else None
        return Batch(torch.from_numpy(ids[:, :T].copy()), torch.from_numpy(labels), starts)


def _shuffled(
    ends: Sequence[int] | npt.NDArray[np.int64], generator: np.random.Generator
) -> npt.NDArray[np.int64]:
    """The numbers below the last of `ends`; those below each end come before all others."""
    starts = [0, *ends[:-1]]
    parts = [
        start + generator.permutation(end - start) for start, end in zip(starts, ends, strict=True)
    ]
    return np.concatenate(parts)


def _starts(owners_BT: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """For each position, the index in the block at which its document begins."""
    begins = np.zeros_like(owners_BT)
    at = np.arange(owners_BT.shape[1])
    begins[:, 1:] = np.where(owners_BT[:, 1:] != owners_BT[:, :-1], at[1:], 0)
    return np.maximum.accumulate(begins, axis=1)
