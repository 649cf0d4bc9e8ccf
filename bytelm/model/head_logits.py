"""The logits of all heads in one call, for studying or fine-tuning a model.

Shapes: B batch row, T position, n prediction heads, V id.
"""

import torch
from torch import Tensor, nn

from bytelm.alphabet import VOCAB
from bytelm.base.errors import InputError
from bytelm.model.model import Model


class HeadLogits(nn.Module):
    """A plain torch module: ids (B, T) in, logits (B, T, n, V) out.

    `model`: the underlying Model, with its cache, its trunk and its single heads.
    """

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids_BT: Tensor) -> Tensor:
        """Compute the logits (B, T, n, V) of int64 ids (B, T), in the type of the weights.

        `logits[:, t, i]` are head i + 1's logits at position t, for the id at position t + i + 1.
        The first id of a text should be `bytelm.alphabet.BOS`, as in training. A byte is its own
        id, 0 to 255. V counts the bytes and the special ids.

        Raises InputError if `ids_BT` has another type or shape, contains a value that is no id, or
        is longer than the context.
        """
        self._check(ids_BT)
        output = self.model(ids_BT)
        heads = range(self.model.config.prediction_heads)
        return torch.stack([self.model.logits(output, head) for head in heads], dim=2)

    def _check(self, ids_BT: Tensor) -> None:
        if not isinstance(ids_BT, Tensor) or ids_BT.dtype != torch.int64 or ids_BT.ndim != 2:
            found = (
                f"{tuple(ids_BT.shape)} of {str(ids_BT.dtype).removeprefix('torch.')}"
                if isinstance(ids_BT, Tensor)
                else type(ids_BT).__name__
            )
            raise InputError(
                f"ids_BT must be a tensor (batch rows, positions) of int64, not {found}"
            )
        T, context = ids_BT.shape[1], self.model.config.context
        if context < T:
            raise InputError(f"ids_BT has {T} positions; the model's context holds {context}")
        if ids_BT.numel() and not 0 <= int(ids_BT.min()) <= int(ids_BT.max()) < VOCAB:
            raise InputError(
                f"ids_BT holds {int(ids_BT.min())} to {int(ids_BT.max())}; ids are 0 to {VOCAB - 1}"
            )
