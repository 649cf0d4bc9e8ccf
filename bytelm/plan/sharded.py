"""What one of G GPUs holds and sends under FSDP2 (torch's `fully_shard`), counted exactly.

Every layer is a group of its own, the heads are one, and the rest (the embedding) is the root's. A
parameter is cut along its rows, and each GPU has room for the largest piece: ceil(rows / G) rows.
The n-gram tables, whose gradients are sparse, stay whole on every GPU.

Weights, gradients and the optimizers' state are float32 and sharded. To compute with a group its
pieces are gathered in bfloat16: a layer's in the forward and again in the backward, those of heads
and root once, since they are kept. Gradients are reduce-scattered in float32 after every micro
batch, so that a step of many micro batches keeps no whole gradient.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from torch import Tensor

from bytelm.model.model import Model
from bytelm.plan.activations import BFLOAT16, FLOAT32
from bytelm.train.optimizer import MOMENTS, parameters_by_optimizer


def shard_size(parameter: Tensor, gpus: int) -> int:
    """Values in the largest of the `gpus` pieces of a parameter."""
    rows = parameter.shape[0]
    return -(-rows // gpus) * (parameter.numel() // rows)


@dataclass(frozen=True)
class Group:
    """Parameters that are gathered together. `size`: their values; `shard`: those of one GPU."""

    size: int
    shard: int

    @staticmethod
    def of(parameters: Iterable[Tensor], gpus: int) -> "Group":
        found = list(parameters)
        return Group(sum(p.numel() for p in found), sum(shard_size(p, gpus) for p in found))


class Sharded:
    """A model's parameters on `gpus` GPUs. The model may be on the meta device."""

    def __init__(self, model: Model, gpus: int) -> None:
        self.model, self.gpus = model, gpus
        self.layers = [Group.of(layer.parameters(), gpus) for layer in model.layers]
        self.heads = Group.of(model.heads.parameters(), gpus)
        self.root = Group.of(model.embedding.parameters(), gpus)
        self.tables = 0 if model.ngrams is None else model.ngrams.weight.numel()

    @property
    def values(self) -> int:
        """Values of the parameters that lie on one GPU."""
        groups = [*self.layers, self.heads, self.root]
        return sum(group.shard for group in groups) + self.tables

    def weights_bytes(self) -> int:
        return FLOAT32 * self.values

    def gradients_bytes(self, touched_rows: int) -> int:
        """Of the tables only the rows that a micro batch touches, each with its number."""
        width = self.model.config.width
        dense = FLOAT32 * (self.values - self.tables)
        return dense + (touched_rows * (FLOAT32 * width + 8) if self.tables else 0)

    def optimizer_bytes(self) -> int:
        """The moments, and for each of AdamW's parameters the number of its step."""
        total = 0
        for kind, parameters in parameters_by_optimizer(self.model).items():
            gpus = 1 if kind == "sparse" else self.gpus
            total += FLOAT32 * MOMENTS[kind] * sum(shard_size(p, gpus) for p in parameters)
            total += FLOAT32 * len(parameters) * (kind == "adamw")
        return total

    def copies_bytes(self) -> int:
        """Whole weights in bfloat16: two layers (one computes, one arrives), the heads, the root.

        On a single GPU nothing is gathered, and autocast keeps copies of all matrices.
        """
        sizes = [group.size for group in self.layers]
        if self.gpus == 1:
            return BFLOAT16 * (sum(sizes) + self.heads.size)
        return BFLOAT16 * (sum(sorted(sizes)[-2:]) + self.heads.size + self.root.size)

    def reducing_bytes(self) -> int:
        """Whole gradients on their way: a layer's or the heads', in bfloat16 and in float32.

        A layer's come while the float32 copy of the layer before it may still be sent.
        """
        layer = max(group.size for group in self.layers)
        layers = (BFLOAT16 + 2 * FLOAT32) * layer
        return max(layers, (BFLOAT16 + FLOAT32) * self.heads.size) * (self.gpus > 1)

    def traffic_bytes(self) -> int:
        """What one GPU sends (and receives) for one micro batch, the tables' gradients apart."""
        once = self.heads.shard + self.root.shard
        layers = sum(group.shard for group in self.layers)
        gathers = BFLOAT16 * (2 * layers + once)
        return (self.gpus - 1) * (gathers + FLOAT32 * (layers + once))
