"""Documents packed into blocks of equal length, in an order that depends on the seed alone.

Each epoch shuffles the documents and concatenates them, each between a begin and an end id. The
stream is cut into blocks, which are shuffled again, so that a batch mixes documents. Batch number s
is computed from s alone, so a resumed run, or one with another number of ranks, reads the same
bytes. At most one block per epoch (the stream's remainder) is left out. Nothing is padded.

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
    """A batch of blocks, int64: input ids `ids_BT`, and labels `labels_nBT` per head (or IGNORE).

    `starts_BT` is given if documents must not attend to each other. It holds, for each position,
    the index in the block at which its document begins.
    """

    ids_BT: Tensor
    labels_nBT: Tensor
    starts_BT: Tensor | None = None


class Packing:
    """Batches of `batch` blocks of `block` ids, with labels for `heads` heads.

    With `apart`, batches have `starts_BT`. Raises InputError if the split is too small for a block.
    """

    def __init__(
        self, split: Split, block: int, batch: int, heads: int, seed: int, apart: bool = False
    ) -> None:
        self.split, self.block, self.batch, self.heads, self.seed = split, block, batch, heads, seed
        self.apart = apart
        self.lengths = split.lengths_N + 2
        self.stream = int(self.lengths.sum())
        # The last label of the last head lies `heads` ids after the block's last id.
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
        """Ids start..start+length-1 of the epoch's stream, and the document of each."""
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
        """Batch `step`, counted from 0 over all epochs: all of it, or `rows` rows from `first`."""
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
    """For each position, the index in the block at which its document begins."""
    begins = np.zeros_like(owners_BT)
    at = np.arange(owners_BT.shape[1])
    begins[:, 1:] = np.where(owners_BT[:, 1:] != owners_BT[:, :-1], at[1:], 0)
    return np.maximum.accumulate(begins, axis=1)
