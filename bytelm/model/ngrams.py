"""Hashed byte n-gram embeddings: a lookup of the last few bytes at each position.

For each order m, the m ids that end at a position are hashed to a row of that order's table. The
rows of all orders are added to the byte's own embedding. The method is from BLT (Pagnoni et al.
2024, section 3.2.1). Nothing resolves hash collisions.

Shapes: B batch row, T position in block, L ids of history, O order, D width.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bytelm.alphabet import PAD

_MASK = (1 << 64) - 1


def _multiplier(index: int) -> int:
    """The index-th output of splitmix64, made odd, as a signed 64-bit integer."""
    z = (index + 1) * 0x9E3779B97F4A7C15 & _MASK
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & _MASK
    z = (z ^ z >> 27) * 0x94D049BB133111EB & _MASK
    z = (z ^ z >> 31) | 1
    return z - (1 << 64) if z >> 63 else z


class NgramEmbedding(nn.Module):
    """The sum of one table row per order.

    `history`: how many ids before a block its first position needs. `sparse`: make the table's
    gradient a sparse tensor of the rows in use, for optimizers that accept one.
    """

    def __init__(self, orders: tuple[int, ...], rows: int, width: int) -> None:
        super().__init__()
        self.orders, self.rows = orders, rows
        self.history = max(orders) - 1
        self.sparse = False
        self.weight = nn.Parameter(torch.empty(len(orders) * rows, width))
        self.multipliers_OL: Tensor
        self.offsets_O: Tensor
        self.build_constants()

    def build_constants(self) -> None:
        """Compute the hash functions' constants: vector multiply-shift (Dietzfelbinger 1996)."""
        multipliers = [
            [
                _multiplier(order * 64 + back) if back < order else 0
                for back in range(self.history + 1)
            ]
            for order in self.orders
        ]
        offsets = [index * self.rows for index in range(len(self.orders))]
        device = self.weight.device
        for name, values in (("multipliers_OL", multipliers), ("offsets_O", offsets)):
            self.register_buffer(name, torch.tensor(values, device=device), persistent=False)

    def hash(self, history_BL: Tensor, ids_BT: Tensor, starts_BT: Tensor | None = None) -> Tensor:
        """The table rows (B, T, O) of a block, given the `history` ids before it.

        `starts_BT`: for each position, the index in the block where its document begins; ids before
        it count as PAD.
        """
        stream = torch.cat((history_BL, ids_BT), dim=1) + 1
        # windows_BTL[..., j] is the id j positions back.
        windows_BTL = stream.unfold(1, self.history + 1, 1).flip(-1)
        if starts_BT is not None:
            back_L = torch.arange(self.history + 1, device=ids_BT.device)
            at_T1 = torch.arange(ids_BT.shape[1], device=ids_BT.device)[:, None]
            before = at_T1 - back_L < starts_BT[..., None]
            windows_BTL = torch.where(before, PAD + 1, windows_BTL)
        sums_BTO = (windows_BTL.unsqueeze(-2) * self.multipliers_OL).sum(-1)
        return ((sums_BTO >> 33) & 0x7FFFFFFF) % self.rows + self.offsets_O

    def forward(
        self, history_BL: Tensor, ids_BT: Tensor, starts_BT: Tensor | None = None
    ) -> Tensor:
        """The sum of the table rows at each position: (B, T, D). Arguments as for `hash`."""
        rows_BTO = self.hash(history_BL, ids_BT, starts_BT)
        bags = rows_BTO.view(-1, len(self.orders))
        x = F.embedding_bag(bags, self.weight, mode="sum", sparse=self.sparse)
        return x.view(*ids_BT.shape, -1)
