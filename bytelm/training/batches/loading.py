"""The batches of a rank, prepared in the background during the step before."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import torch
from torch import Tensor

from bytelm.training.batches.packing import Batch, Packing


class Loader:
    """The rank's share of each step's batch, on its device, cut into micro batches of `micro` rows.

    The rows of a step are shared in order: of W ranks, rank r gets the r-th W-th of them. So a
    step's bytes do not depend on the number of ranks and the size of a micro batch. `micro` 0 is
    all rows of the rank.
    """

    def __init__(self, packing: Packing, device: str, rank: int, ranks: int, micro: int) -> None:
        assert packing.batch % ranks == 0
        self.rows = packing.batch // ranks
        self.micro = micro or self.rows
        assert self.rows % self.micro == 0
        self._packing, self._device, self._first = packing, device, rank * self.rows
        # One thread only, because Packing keeps the order of one epoch and is not thread-safe.
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="loader")
        self._next: tuple[int, Future[list[Batch]]] | None = None

    def at(self, step: int) -> list[Batch]:
        """The micro batches of `step`. Starts to prepare those of the next step."""
        if self._next is None or self._next[0] != step:
            self._next = (step, self._pool.submit(self._make, step))
        batches = self._next[1].result()
        self._next = (step + 1, self._pool.submit(self._make, step + 1))
        return [_each(batch, self._to_device) for batch in batches]

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _make(self, step: int) -> list[Batch]:
        return [
            _each(self._packing.batch_at(step, self._first + start, self.micro), self._pinned)
            for start in range(0, self.rows, self.micro)
        ]

    def _pinned(self, tensor: Tensor) -> Tensor:
        """In pinned memory for a GPU. The copy takes time, so it is made in the background too."""
        if not self._device.startswith("cuda"):
            return tensor
        # A new thread uses the first GPU, whatever device its process has chosen.
        with torch.cuda.device(self._device):
            return tensor.pin_memory()

    def _to_device(self, tensor: Tensor) -> Tensor:
        return tensor.to(self._device, non_blocking=True)


def _each(batch: Batch, change: Callable[[Tensor], Tensor]) -> Batch:
    starts_BT = None if batch.starts_BT is None else change(batch.starts_BT)
    return Batch(change(batch.ids_BT), change(batch.labels_nBT), starts_BT)
