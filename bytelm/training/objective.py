"""The sum of the heads' cross-entropies, backward one head at a time (paper, section 2, figure 2).

The trunk runs forward once. Then each head in turn runs forward, computes its loss, and runs
backward into one gradient buffer at the trunk's output. Then the trunk runs backward once. So only
one head's logits and activations exist at a time.

Chained heads (causal, anticausal) first all run forward, one after another. Then, from the last
head to the first, each computes its loss and runs backward, with the gradient from the head after
it (paper, Figure S11). Only one head's logits exist at a time, but the activations of all heads do.

Shapes: B batch row, T position in block, D width, n prediction heads.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from bytelm.model.layers import Compute, Place
from bytelm.model.model import Model
from bytelm.training.batches.packing import IGNORE, Batch
from bytelm.training.native.attend import native_attention

End = Callable[[int, Tensor], None]
"""Computes a head's loss from its output, and runs the loss backward through the output."""


def cross_entropy(
    y_BTD: Tensor, unembedding_VD: Tensor, labels_BT: Tensor, count: Tensor
) -> Tensor:
    """The sum of the labels' cross-entropies in nats, divided by `count`."""
    logits = F.linear(y_BTD, unembedding_VD).flatten(0, 1).float()
    losses = F.cross_entropy(logits, labels_BT.flatten(), ignore_index=IGNORE, reduction="sum")
    return losses / count


def label_counts(batch: Batch) -> Tensor:
    """The number of labels that are not ignored, by head: (n,)."""
    return (batch.labels_nBT != IGNORE).sum((1, 2))


class Objective:
    """Head 1's loss + `weight` x the sum of the other heads' losses, and its gradients.

    With `dtype` bfloat16, matrix products run under autocast. `compute` replaces Layer.compute, and
    `wrap` is applied to the functions between the layers: both are used to compile. Frozen
    parameters get no gradient, and a frozen trunk does not run backward.
    """

    def __init__(
        self,
        model: Model,
        weight: float,
        dtype: torch.dtype = torch.float32,
        compute: Compute | None = None,
        wrap: Callable[[Any], Any] = lambda function: function,
    ) -> None:
        self.model, self.weight, self.dtype = model, weight, dtype
        self._attend, self._compute = native_attention(model), compute
        heads = model.heads
        self._enter = wrap(heads.enter)
        # Only linear heads compute anything in `run` outside a layer.
        self._run = wrap(heads.run) if model.config.head_kind == "linear" else heads.run
        self._loss = wrap(self._head_loss)

    def _head_loss(
        self, y_BTD: Tensor, unembedding_VD: Tensor, labels_BT: Tensor, count: Tensor
    ) -> Tensor:
        return cross_entropy(self.model.heads.leave(y_BTD), unembedding_VD, labels_BT, count)

    def _autocast(self, device: torch.device) -> torch.autocast:
        return torch.autocast(device.type, torch.bfloat16, self.dtype == torch.bfloat16)

    def _place(self, batch: Batch) -> Place:
        place = self.model.place_alone(batch.ids_BT, batch.starts_BT, self._attend)
        place.compute = self._compute
        return place

    def _run_trunk(self, batch: Batch, place: Place) -> Tensor:
        x_BTD = self.model.embed(batch.ids_BT, starts_BT=batch.starts_BT)
        return self._enter(self.model.run_layers(x_BTD, place))

    def backward(self, batch: Batch, counts_n: Tensor | None = None, scale: float = 1.0) -> Tensor:
        """Accumulate the objective's gradients; return the heads' losses in nats, shape (n,).

        A loss is the sum over the batch's labels, divided by the head's entry of `counts_n` (n,).
        The default is the number of labels in this batch. With several micro batches in a step, it
        must be the number of labels in all of them.

        `scale` is a factor on the weight of heads 2..n. If it is 0, only the heads that head 1
        needs are computed. The losses of the others are NaN.
        """
        counts_n = label_counts(batch).clamp(min=1) if counts_n is None else counts_n
        heads = self.model.heads
        learns = any(parameter.requires_grad for parameter in self.model.layers.parameters())
        with self._autocast(batch.ids_BT.device):
            place = self._place(batch)
            with torch.set_grad_enabled(learns):
                z_BTD = self._run_trunk(batch, place)
            # Every head's backward ends in this buffer and adds to its gradient.
            buffer = z_BTD.detach().requires_grad_(learns)
            losses = [z_BTD.new_full((), torch.nan, dtype=torch.float32)] * heads.n

            def end(index: int, y_BTD: Tensor) -> None:
                loss = self._loss(
                    y_BTD, heads.unembedding(index), batch.labels_nBT[index], counts_n[index]
                )
                if loss.requires_grad:
                    torch.autograd.backward(loss if index == 0 else scale * self.weight * loss)
                losses[index] = loss.detach()

            order = heads.running(heads.n if scale else 1)
            (self._chained if heads.chained else self._side_by_side)(order, buffer, place, end)
        if learns:
            assert buffer.grad is not None
            torch.autograd.backward(z_BTD, buffer.grad)
        return torch.stack(losses)

    def _side_by_side(self, order: list[int], z_BTD: Tensor, place: Place, end: End) -> None:
        for index in order:
            end(index, self._run(index, z_BTD, place))

    def _chained(self, order: list[int], z_BTD: Tensor, place: Place, end: End) -> None:
        """Run chained heads, and then their losses backward.

        Each head reads a detached copy of the output before it. So a head's backward can wait until
        the gradient from the head after it is there.
        """
        outputs, leaf = [], z_BTD
        for index in order:
            y_BTD = self._run(index, leaf, place)
            leaf = y_BTD.detach().requires_grad_(y_BTD.requires_grad)
            outputs.append((index, y_BTD, leaf))
        while outputs:
            index, y_BTD, leaf = outputs.pop()
            end(index, leaf)
            if leaf.grad is not None:
                torch.autograd.backward(y_BTD, leaf.grad)
            del y_BTD, leaf
