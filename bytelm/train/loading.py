"""The batches of a rank, made in the background while the step before them runs."""

from concurrent.futures import Future, ThreadPoolExecutor

import torch

from bytelm.train.packing import Batch, Packing


class Loader:
    """Step by step, the rank's share of the step's batch, cut into micro batches, on its device.

    The rows of a step are dealt out in order: rank r of W has the r-th W-th of them. So a step
    holds the same bytes whatever the number of ranks and the size of a micro batch.
    """

    def __init__(self, packing: Packing, device: str, rank: int, ranks: int, micro: int) -> None:
        assert packing.batch % ranks == 0
        self.rows = packing.batch // ranks
        self.micro = micro or self.rows
        assert self.rows % self.micro == 0
        self._packing, self._device, self._first = packing, device, rank * self.rows
        # One thread: what it computes from (an epoch's order) is not shared.
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="loader")
        self._next: tuple[int, Future[list[Batch]]] | None = None

    def at(self, step: int) -> list[Batch]:
        """The micro batches of a step; those of the one after it are begun."""
        if self._next is None or self._next[0] != step:
            self._next = (step, self._pool.submit(self._make, step))
        batches = self._next[1].result()
        self._next = (step + 1, self._pool.submit(self._make, step + 1))
        return [self._on_device(batch) for batch in batches]

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _make(self, step: int) -> list[Batch]:
        return [
            self._packing.batch_at(step, self._first + start, self.micro)
            for start in range(0, self.rows, self.micro)
        ]

    def _on_device(self, batch: Batch) -> Batch:
        if not self._device.startswith("cuda"):
            return batch
        tensors = [batch.ids_BT, batch.labels_nBT, batch.starts_BT]
        moved = [
            None if tensor is None else tensor.pin_memory().to(self._device, non_blocking=True)
            for tensor in tensors
        ]
        ids_BT, labels_nBT, starts_BT = moved
        assert isinstance(ids_BT, torch.Tensor)
        assert isinstance(labels_nBT, torch.Tensor)
        return Batch(ids_BT, labels_nBT, starts_BT)
