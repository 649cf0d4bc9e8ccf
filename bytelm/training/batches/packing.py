"""Documents packed into blocks of equal length, in an order that is a pure function of the seed.

Each epoch shuffles the documents, lays them end to end, each between a begin and an end id, and
cuts the stream into blocks; the blocks are shuffled again, so that a batch mixes documents. Batch
number s is computed from s alone: a resumed run, or another number of ranks, reads the same bytes.
At most one block an epoch (the stream's remainder) is left out, and nothing is padded.

Shapes: B batch row, T position in block, n prediction heads.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from bytelm.alphabet import BOS, EOD
from bytelm.base.errors import InputError
from bytelm.shards import Split

IGNORE = -100


@dataclass
class Batch:
    """A batch of blocks: `ids_BT` to read, `labels_nBT[i]` what head i is to say (or IGNORE).

    `starts_BT`, where documents are not to see each other: the index in the block at which each
    position's document begins.
    """

    ids_BT: Tensor
    labels_nBT: Tensor
    starts_BT: Tensor | None = None


class Packing:
    """Batches of `batch` blocks of `block` ids, with labels for `heads` heads.

    With `apart`, batches say where documents begin.
    """

    def __init__(
        self, split: Split, block: int, batch: int, heads: int, seed: int, apart: bool = False
    ) -> None:
        self.split, self.block, self.batch, self.heads, self.seed = split, block, batch, heads, seed
        self.apart = apart
        self.lengths = split.lengths_N + 2
        self.stream = int(self.lengths.sum())
        # The last label of the last head lies `heads` past the block.
        self.blocks = (self.stream - heads) // block
        if self.blocks < 1:
            raise InputError(
                f"{split.folder} holds {split.bytes} bytes of {split.split} data: too little for "
                f"one block of {block}; add data or lower the block"
            )
        self._epoch = -1

    def _enter(self, epoch: int) -> None:
        if epoch == self._epoch:
            return
        generator = np.random.Generator(np.random.PCG64([self.seed, epoch]))
        self._documents = generator.permutation(len(self.lengths))
        self._ends = np.cumsum(self.lengths[self._documents])
        self._blocks = generator.permutation(self.blocks)
        self._epoch = epoch

    def _piece(
        self, start: int, length: int
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Ids start..start+length-1 of the epoch's stream, and the document each belongs to."""
        ids = np.empty(length, dtype=np.int64)
        owner = np.empty(length, dtype=np.int64)
        order = int(np.searchsorted(self._ends, start, side="right"))
        filled = 0
        while filled < length:
            size = int(self.lengths[self._documents[order]])
            offset = start + filled - (int(self._ends[order]) - size)
            take = min(size - offset, length - filled)
            owner[filled : filled + take] = order
            self._copy(self._documents[order], offset, ids[filled : filled + take])
            filled += take
            order += 1
        return ids, owner

    def _copy(self, document: int, offset: int, into: npt.NDArray[np.int64]) -> None:
        content = self.split.document(int(document))
        begin, end = max(offset - 1, 0), offset - 1 + len(into)
        inside = content[begin:end]
        skip = 1 if offset == 0 else 0
        into[skip : skip + len(inside)] = inside
        if offset == 0:
            into[0] = BOS
        if skip + len(inside) < len(into):
            into[-1] = EOD

    def batch_at(self, step: int, first: int = 0, rows: int | None = None) -> Batch:
        """Batch number `step`, counted from 0 over all epochs; of it, `rows` rows from `first`."""
        T, n = self.block, self.heads
        rows = self.batch if rows is None else rows
        ids = np.empty((rows, T + n), dtype=np.int64)
        owners = np.empty((rows, T + n), dtype=np.int64)
        for row in range(rows):
            epoch, index = divmod(step * self.batch + first + row, self.blocks)
            self._enter(epoch)
            ids[row], owners[row] = self._piece(int(self._blocks[index]) * T, T + n)
        labels = np.empty((n, rows, T), dtype=np.int64)
        for head in range(n):
            ahead = slice(head + 1, head + 1 + T)
            same = owners[:, ahead] == owners[:, :T]
            labels[head] = np.where(same, ids[:, ahead], IGNORE)
        starts = torch.from_numpy(_starts(owners[:, :T])) if self.apart else None
        return Batch(torch.from_numpy(ids[:, :T].copy()), torch.from_numpy(labels), starts)


def _starts(owners_BT: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The index in the block at which each position's document begins."""
    begins = np.zeros_like(owners_BT)
    at = np.arange(owners_BT.shape[1])
    begins[:, 1:] = np.where(owners_BT[:, 1:] != owners_BT[:, :-1], at[1:], 0)
    return np.maximum.accumulate(begins, axis=1)
