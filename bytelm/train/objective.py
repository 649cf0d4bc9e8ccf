"""The sum of the heads' cross-entropies, backward one head at a time (paper, section 2, figure 2).

The trunk runs forward once; then each head runs forward, takes its loss and runs backward at once
into one gradient buffer at the trunk's output; then the trunk runs backward once. So the logits
and activations of one head are alive at a time, not those of n.

Shapes: B batch row, T position in block, D width, n prediction heads.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from bytelm.model.layers import Place
from bytelm.model.model import Model
from bytelm.train.native.attend import native_attention
from bytelm.train.packing import IGNORE, Batch


def cross_entropy(y_BTD: Tensor, unembedding_VD: Tensor, labels_BT: Tensor) -> Tensor:
    """Mean cross-entropy in nats over the labels that count; 0 where none does."""
    logits = F.linear(y_BTD, unembedding_VD).flatten(0, 1).float()
    count = (labels_BT != IGNORE).sum().clamp(min=1)
    losses = F.cross_entropy(logits, labels_BT.flatten(), ignore_index=IGNORE, reduction="sum")
    return losses / count


class Objective:
    """Head 1's loss + `weight` x the sum of the others', and its gradients.

    `dtype` bfloat16 runs the matrices under autocast. `wrap` may compile the functions that hold
    the arithmetic: the trunk, a head's projection, and the loss. What does not require gradients
    gets none; a trunk that is frozen as a whole runs forward only.
    """

    def __init__(
        self,
        model: Model,
        weight: float,
        dtype: torch.dtype = torch.float32,
        wrap: Callable[[Any], Any] = lambda function: function,
    ) -> None:
        self.model, self.weight, self.dtype = model, weight, dtype
        self._attend = native_attention(model)
        self._trunk = wrap(model.run_trunk)
        self._project = wrap(model.heads.project) if model.config.head_layers else None
        self._loss = wrap(cross_entropy)

    def _autocast(self, device: torch.device) -> torch.autocast:
        return torch.autocast(device.type, torch.bfloat16, self.dtype == torch.bfloat16)

    def head_loss(self, index: int, z_BTD: Tensor, place: Place, labels_BT: Tensor) -> Tensor:
        """Mean loss of head `index` in nats."""
        y_BTD = z_BTD if self._project is None else self._project(index, z_BTD, place)
        loss: Tensor = self._loss(y_BTD, self.model.heads.unembedding(index), labels_BT)
        return loss

    def backward(self, batch: Batch) -> Tensor:
        """Accumulate the objective's gradients; the heads' mean losses in nats, shape (n,)."""
        learns = any(parameter.requires_grad for parameter in self.model.layers.parameters())
        with self._autocast(batch.ids_BT.device):
            place = self.model.place_alone(batch.ids_BT, self._attend)
            with torch.set_grad_enabled(learns):
                z_BTD = self._trunk(self.model.embed(batch.ids_BT), place)
            # The buffer: every head's backward ends here, and adds its gradient.
            buffer = z_BTD.detach().requires_grad_(learns)
            losses = []
            for index, labels_BT in enumerate(batch.labels_nBT):
                loss = self.head_loss(index, buffer, place, labels_BT)
                losses.append(loss.detach())
                if loss.requires_grad:
                    torch.autograd.backward(loss if index == 0 else self.weight * loss)
        if learns:
            assert buffer.grad is not None
            torch.autograd.backward(z_BTD, buffer.grad)
        return torch.stack(losses)
