"""The static cache: keys, values and ids, each written at its row's own position.

A rejected draft is undone by the position alone: the next block overwrites it, and no query looks
past its own position. The ids are kept because the n-gram embeddings hash the bytes before a block.

Shapes: B batch row, T position in block, S cache slot, G KV head, C head dim.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from bytelm.alphabet import PAD
from bytelm.config import ModelConfig


@dataclass
class Cache:
    """Keys and values of every layer (the trunk's, then the heads'), and the ids, by slot.

    A slot is a position. `start` and `stop` bound the slots that attention reads: a caller who
    knows that no row needs others sets them (`look_at`), and steps get cheaper. By default all.
    """

    keys_BSGC: list[Tensor]
    values_BSGC: list[Tensor]
    ids_BS: Tensor
    start: int = 0
    stop: int = 0

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
        """An empty cache of `batch` rows and `slots` positions."""
        shape = (batch, slots, config.kv_heads, config.head_size)
        layers = config.trunk_layers + config.head_layers
        return Cache(
            [torch.zeros(shape, dtype=dtype, device=device) for _ in range(layers)],
            [torch.zeros(shape, dtype=dtype, device=device) for _ in range(layers)],
            torch.full((batch, slots), PAD, dtype=torch.int64, device=device),
        )

    @property
    def slots(self) -> int:
        return self.ids_BS.shape[1]

    def row(self, index: int) -> "Cache":
        """Row `index` alone, as a cache of batch 1 that shares this one's memory."""
        rows = slice(index, index + 1)
        return Cache(
            [keys[rows] for keys in self.keys_BSGC],
            [values[rows] for values in self.values_BSGC],
            self.ids_BS[rows],
        )

    def look_at(self, start: int, stop: int) -> None:
        """Let attention read slots start..stop-1 only."""
        assert 0 <= start < stop <= self.slots
        self.start, self.stop = start, stop

    def write(
        self, layer: int, positions_BT: Tensor, keys_BTGC: Tensor, values_BTGC: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Store a block's keys and values at its positions; the slots that attention reads."""
        rows_B1 = torch.arange(positions_BT.shape[0], device=positions_BT.device)[:, None]
        keys, values = self.keys_BSGC[layer], self.values_BSGC[layer]
        keys[rows_B1, positions_BT] = keys_BTGC
        values[rows_B1, positions_BT] = values_BTGC
        return keys[:, self.start : self.stop], values[:, self.start : self.stop]

    def write_ids(self, positions_BT: Tensor, ids_BT: Tensor) -> None:
        rows_B1 = torch.arange(positions_BT.shape[0], device=positions_BT.device)[:, None]
        self.ids_BS[rows_B1, positions_BT] = ids_BT

    def history(self, positions_BT: Tensor, length: int) -> Tensor:
        """The `length` ids before each row's block, PAD where the document had not begun."""
        back = torch.arange(-length, 0, device=positions_BT.device)
        slots_BL = positions_BT[:, :1] + back
        ids_BL = self.ids_BS.gather(1, slots_BL.clamp(min=0))
        return torch.where(slots_BL < 0, PAD, ids_BL)
