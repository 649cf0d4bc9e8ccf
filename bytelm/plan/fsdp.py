"""Count what one of G GPUs stores and sends with FSDP2, as in bytelm.training.device.fsdp.

The matrices of each layer, of the trunk and of the heads, form a group. Each matrix is sharded
along its rows, and each GPU has room for the largest shard, ceil(rows / G) rows. All other
parameters (embeddings, unembeddings, norms, n-gram tables) are replicated on every GPU.

Weights, gradients and the optimizers' state are float32. Before a layer computes, its matrices are
gathered in bfloat16, once in the forward and once in the backward. A head whose backward follows
its forward at once is gathered once. Gradients are reduce-scattered in float32 after every micro
batch, so no GPU keeps a whole gradient. Once per step, the gradients of replicated parameters are
all-reduced, and each of Muon's matrices is sent to the rank that orthogonalizes it, and back.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from torch import Tensor, nn

from bytelm.model.layers import Layer
from bytelm.model.model import Model
from bytelm.plan.activations import BFLOAT16, FLOAT32
from bytelm.training.optim.optimizer import MOMENTS, parameters_by_optimizer


def shard_size(parameter: Tensor, gpus: int) -> int:
    """The number of values in the largest of the `gpus` shards of a parameter."""
    rows = parameter.shape[0]
    return -(-rows // gpus) * (parameter.numel() // rows)


@dataclass(frozen=True)
class Group:
    """Matrices that are gathered together.

    `size`: the number of their values. `shard`: the number of values on one GPU.
    """

    size: int
    shard: int

    @staticmethod
    def of(matrices: Iterable[Tensor], gpus: int) -> "Group":
        """The group of `matrices`, sharded over `gpus` GPUs."""
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
        """The number of parameter values on one GPU."""
        return sum(group.shard for group in self._layers) + self.whole

    def weights_bytes(self) -> int:
        """Bytes of the weights on one GPU."""
        return FLOAT32 * self.values

    def gradients_bytes(self, touched_rows: int) -> int:
        """Bytes of the gradients on one GPU.

        `touched_rows`: the rows of n-gram tables that a micro batch uses. Only these rows have
        gradients, each with its index.
        """
        width = self.model.config.width
        dense = FLOAT32 * (self.values - self.tables)
        return dense + (touched_rows * (FLOAT32 * width + 8) if self.tables else 0)

    def optimizer_bytes(self) -> int:
        """Bytes of the optimizers' state on one GPU.

        It is the moments, and a step count for each parameter of AdamW.
        """
        total = 0
        for kind, parameters in parameters_by_optimizer(self.model).items():
            for parameter in parameters:
                gpus = self.gpus if id(parameter) in self._cut else 1
                total += FLOAT32 * MOMENTS[kind] * shard_size(parameter, gpus)
            total += FLOAT32 * len(parameters) * (kind == "adamw")
        return total

    def copies_bytes(self) -> int:
        """Bytes of whole matrices in bfloat16.

        They are the largest two layers, since one is gathered while another computes, and
        autocast's copies of the heads' replicated matrices. On a single GPU, autocast keeps copies
        of all matrices.
        """
        sizes = [group.size for group in self._layers]
        gathered = sum(sizes) if self.gpus == 1 else sum(sorted(sizes)[-2:])
        heads = sum(p.numel() for p in self.model.heads.parameters() if id(p) not in self._cut)
        return BFLOAT16 * (gathered + heads)

    def reducing_bytes(self) -> int:
        """Bytes of whole gradients that are being reduced.

        They are one layer's in bfloat16 and in float32, and the float32 gradients of the layer
        before, which may still be in transfer.
        """
        layer = max(group.size for group in self._layers)
        return (BFLOAT16 + 2 * FLOAT32) * layer * (self.gpus > 1)

    def micro_traffic_bytes(self) -> int:
        """Bytes that one GPU sends (and receives) for one micro batch."""
        trunk, heads = (sum(g.shard for g in groups) for groups in (self.trunk, self.heads))
        heads_gathers = 2 if self.model.heads.chained else 1
        gathers = BFLOAT16 * (2 * trunk + heads_gathers * heads)
        return (self.gpus - 1) * (gathers + FLOAT32 * (trunk + heads))

    def step_traffic_bytes(self) -> int:
        """Bytes that one GPU sends once per step, without the gradients of n-gram tables.

        They are a ring all-reduce of the replicated parameters' gradients, and Muon's matrices to
        the ranks that orthogonalize them and back.
        """
        cut = sum(group.shard for group in self._layers)
        reduced = 2 * FLOAT32 * (self.whole - self.tables)
        return (self.gpus - 1) * (reduced + 2 * BFLOAT16 * cut) // self.gpus
