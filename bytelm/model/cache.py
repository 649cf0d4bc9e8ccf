"""The static cache: keys, values and ids, written at each row's own position.

Slot s holds the newest position p that was written with p = s (mod slots). With as many slots as
the context, no position is ever overwritten by a later one. A model with an attention window needs
only window + block slots, and its cache is a ring. In both cases a rejected draft needs no undoing:
the row's position stays before it, the next block overwrites it, and no query attends past its own
position. The cache keeps the ids because the n-gram embeddings hash the bytes before a block.

Shapes: B batch row, T position in block, S cache slot, L ids of history, G KV head, C head dim.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from bytelm.alphabet import PAD
from bytelm.config import ModelConfig


@dataclass
class Held:
    """The cache of one layer. Attention reads its first `stop` slots."""

    keys_BSGC: Tensor
    values_BSGC: Tensor
    stop: int

    def write(
        self, flat_slots: Tensor, keys_BTGC: Tensor, values_BTGC: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Store a block's keys and values; returns those of the slots that attention reads.

        `flat_slots`: (B * T,), from `Cache.flat_slots`. Returns keys and values, each
        (B, stop, G, C), views of the cache.
        """
        self.keys_BSGC.flatten(0, 1).index_copy_(0, flat_slots, keys_BTGC.flatten(0, 1))
        self.values_BSGC.flatten(0, 1).index_copy_(0, flat_slots, values_BTGC.flatten(0, 1))
        return self.keys_BSGC[:, : self.stop], self.values_BSGC[:, : self.stop]


@dataclass
class Cache:
    """Keys and values of every layer (the trunk's, then the heads') and the ids, by slot.

    `stop`: attention reads the first `stop` slots, by default all. A caller that knows that no row
    has reached further can lower it to make steps cheaper. `compute`: replaces Layer.compute for
    blocks that use this cache, for example by compiled code.
    """

    keys_BSGC: list[Tensor]
    values_BSGC: list[Tensor]
    ids_BS: Tensor
    stop: int = 0
    compute: Callable[..., Tensor] | None = None

    def __post_init__(self) -> None:
        self.stop = self.stop or self.slots

    @staticmethod
    def of(
        config: ModelConfig,
        batch: int,
        slots: int,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> "Cache":
        """An empty cache of `batch` rows and `slots` slots."""
        shape = (batch, slots, config.kv_heads, config.head_size)
        layers = config.trunk_layers + config.head_layers
        return Cache(
            [torch.zeros(shape, dtype=dtype, device=device) for _ in range(layers)],
            [torch.zeros(shape, dtype=dtype, device=device) for _ in range(layers)],
            torch.full((batch, slots), PAD, dtype=torch.int64, device=device),
        )

    @property
    def slots(self) -> int:
        """S: the number of slots of a row."""
        return self.ids_BS.shape[1]

    def row(self, index: int) -> "Cache":
        """Row `index` as a cache of batch size 1. It shares memory with this cache."""
        rows = slice(index, index + 1)
        return Cache(
            [keys[rows] for keys in self.keys_BSGC],
            [values[rows] for values in self.values_BSGC],
            self.ids_BS[rows],
        )

    def look_at(self, stop: int) -> None:
        """Make attention read slots 0..stop-1 only. No row may have reached a position beyond."""
        assert 0 < stop <= self.slots
        self.stop = stop

    def flat_slots(self, positions_BT: Tensor) -> Tensor:
        """The slots of a block's positions, as (B * T,) indices into the concatenated rows."""
        rows_B1 = torch.arange(len(positions_BT), device=positions_BT.device)[:, None]
        return (rows_B1 * self.slots + positions_BT % self.slots).flatten()

    def held(self, last_B1: Tensor) -> Tensor:
        """The position that each slot holds after position `last_B1` is written: (B, stop).

        A negative value means that the slot is empty.
        """
        slots_S = torch.arange(self.stop, device=last_B1.device)
        return last_B1 - (last_B1 - slots_S) % self.slots

    def of_layer(self, layer: int) -> "Held":
        """The cache of layer number `layer`."""
        return Held(self.keys_BSGC[layer], self.values_BSGC[layer], self.stop)

    def write_ids(self, flat_slots: Tensor, ids_BT: Tensor) -> None:
        """Store a block's ids. `flat_slots`: (B * T,), from `flat_slots`."""
        self.ids_BS.flatten().index_copy_(0, flat_slots, ids_BT.flatten())

    def history(self, positions_B: Tensor, length: int) -> Tensor:
        """The `length` ids before each row's block, (B, L); PAD before the document's begin.

        `positions_B`: the position of each row's block.
        """
        back = torch.arange(-length, 0, device=positions_B.device)
        positions_BL = positions_B[:, None] + back
        ids_BL = self.ids_BS.gather(1, positions_BL % self.slots)
        return torch.where(positions_BL < 0, PAD, ids_BL)
