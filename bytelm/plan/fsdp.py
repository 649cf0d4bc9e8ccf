"""What one of G GPUs holds and sends, counted as bytelm.training.device.fsdp cuts a model (FSDP2).

The matrices of every layer, the trunk's and the heads', are a group, and each matrix is cut along
its rows: each GPU has room for the largest piece, ceil(rows / G) rows. Everything else (embeddings,
unembeddings, norms, n-gram tables) is whole on every GPU.

Weights, gradients and the optimizers' state are float32. To compute with a layer its matrices are
gathered in bfloat16, in the forward and again in the backward; those of a head that runs backward
at once stay. Gradients are reduce-scattered in float32 after every micro batch, so that a step of
many micro batches keeps no whole gradient. Once a step the gradients of what is whole are summed
(all-reduce), and matrices travel to the rank that orthogonalises them, and back.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from torch import Tensor, nn

from bytelm.model.layers import Layer
from bytelm.model.model import Model
from bytelm.plan.activations import BFLOAT16, FLOAT32
from bytelm.training.optim.optimizer import MOMENTS, parameters_by_optimizer


def shard_size(parameter: Tensor, gpus: int) -> int:
    """Values in the largest of the `gpus` pieces of a parameter."""
    rows = parameter.shape[0]
    return -(-rows // gpus) * (parameter.numel() // rows)


@dataclass(frozen=True)
class Group:
    """Matrices that are gathered together. `size`: their values; `shard`: those of one GPU."""

    size: int
    shard: int

    @staticmethod
    def of(matrices: Iterable[Tensor], gpus: int) -> "Group":
        found = list(matrices)
        return Group(sum(p.numel() for p in found), sum(shard_size(p, gpus) for p in found))


def _matrices(layer: nn.Module) -> list[Tensor]:
    return [module.weight for module in layer.modules() if isinstance(module, nn.Linear)]


class Sharded:
    """A model's parameters on `gpus` GPUs. The model may be on the meta device."""

    def __init__(self, model: Model, gpus: int) -> None:
        self.model, self.gpus = model, gpus
        heads: list[Layer] = [
            layer for head in range(model.heads.n) for layer in model.heads.layers_of(head)
        ]
        self._cut = {id(m) for layer in [*model.trunk(), *heads] for m in _matrices(layer)}
        self.trunk = [Group.of(_matrices(layer), gpus) for layer in model.trunk()]
        self.heads = [Group.of(_matrices(layer), gpus) for layer in heads]
        self.tables = 0 if model.ngrams is None else model.ngrams.weight.numel()
        self.whole = sum(p.numel() for p in model.parameters() if id(p) not in self._cut)

    @property
    def _layers(self) -> list[Group]:
        return [*self.trunk, *self.heads]

    @property
    def values(self) -> int:
        """Values of the parameters that lie on one GPU."""
        return sum(group.shard for group in self._layers) + self.whole

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
            for parameter in parameters:
                gpus = self.gpus if id(parameter) in self._cut else 1
                total += FLOAT32 * MOMENTS[kind] * shard_size(parameter, gpus)
            total += FLOAT32 * len(parameters) * (kind == "adamw")
        return total

    def copies_bytes(self) -> int:
        """Whole matrices in bfloat16: two layers (one computes, one arrives), and the heads' own.

        Autocast keeps copies of those that are not cut; on a single GPU, of all.
        """
        sizes = [group.size for group in self._layers]
        gathered = sum(sizes) if self.gpus == 1 else sum(sorted(sizes)[-2:])
        heads = sum(p.numel() for p in self.model.heads.parameters() if id(p) not in self._cut)
        return BFLOAT16 * (gathered + heads)

    def reducing_bytes(self) -> int:
        """A layer's whole gradients on their way, in bfloat16 and in float32.

        They come while the float32 copy of the layer before may still be sent.
        """
        layer = max(group.size for group in self._layers)
        return (BFLOAT16 + 2 * FLOAT32) * layer * (self.gpus > 1)

    def micro_traffic_bytes(self) -> int:
        """What one GPU sends (and receives) for one micro batch."""
        trunk, heads = (sum(g.shard for g in groups) for groups in (self.trunk, self.heads))
        heads_gathers = 2 if self.model.heads.chained else 1
        gathers = BFLOAT16 * (2 * trunk + heads_gathers * heads)
        return (self.gpus - 1) * (gathers + FLOAT32 * (trunk + heads))

    def step_traffic_bytes(self) -> int:
        """What one GPU sends once a step, the tables' gradients apart.

        A ring's all-reduce of what is whole, and Muon's updates to where they are worked on and
        back.
        """
        cut = sum(group.shard for group in self._layers)
        reduced = 2 * FLOAT32 * (self.whole - self.tables)
        return (self.gpus - 1) * (reduced + 2 * BFLOAT16 * cut) // self.gpus
