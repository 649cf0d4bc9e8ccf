"""The kinds of prediction heads (paper, section 2, Tables S4 and S13, Figure S11).

    unembed      n unembedding matrices, applied to the trunk's normed output (the paper's byte
                 models)
    linear       one square matrix per head with a residual, then a shared unembedding
    block        one transformer layer per head, in parallel, then a shared unembedding
    causal       one transformer layer per head, in series: head i reads the output of head i - 1
    anticausal   the same in reverse: head i reads the output of head i + 1, so head 1 runs last

Shapes: B batch row, T position in block, D width, V id, K prediction head.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bytelm.alphabet import VOCAB
from bytelm.config import ModelConfig
from bytelm.model.heads import Drafts, Heads, Output, gather
from bytelm.model.layers import Layer, Place


def _draw_unembedding(weight_VD: Tensor, generator: torch.Generator) -> None:
    nn.init.normal_(weight_VD, std=0.1 / math.sqrt(weight_VD.shape[1]), generator=generator)


class UnembedHeads(Heads):
    """Each head is its own unembedding matrix, applied to the trunk's normed output."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        # A list instead of one tensor, so that a head's backward touches its own matrix only.
        self.weights_VD = nn.ParameterList(
            nn.Parameter(torch.empty(VOCAB, config.width)) for _ in range(self.n)
        )

    def initialize(self, generator: torch.Generator) -> None:
        for weight in self.weights_VD:
            _draw_unembedding(weight, generator)

    def enter(self, x_BTD: Tensor) -> Tensor:
        return self.normed(x_BTD)

    def run(self, index: int, x_BTD: Tensor, place: Place) -> Tensor:
        return x_BTD

    def leave(self, y_BTD: Tensor) -> Tensor:
        return y_BTD

    def unembedding(self, index: int) -> Tensor:
        return self.weights_VD[index]

    def drafting_parameters(self) -> list[nn.Parameter]:
        return list(self.weights_VD[1:])

    def drafts(self, k: int) -> Drafts:
        packed = torch.cat([weight.detach() for weight in self.weights_VD[1:k]])

        def draft(output: Output, at_B: Tensor) -> Tensor:
            return F.linear(gather(output.z_BTD, at_B), packed).view(len(at_B), k - 1, VOCAB)

        return draft


class LinearHeads(Heads):
    """Head i computes z + A_i z. A_i is initialized to zero, so all heads begin equal."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        self.linears = nn.ModuleList(
            nn.Linear(config.width, config.width, bias=False) for _ in range(self.n)
        )
        self.weight_VD = nn.Parameter(torch.empty(VOCAB, config.width))

    def initialize(self, generator: torch.Generator) -> None:
        _draw_unembedding(self.weight_VD, generator)
        for index in range(self.n):
            nn.init.zeros_(self.matrix(index))

    def matrix(self, index: int) -> Tensor:
        """A_i, (D, D)."""
        linear = self.linears[index]
        assert isinstance(linear, nn.Linear)
        return linear.weight

    def enter(self, x_BTD: Tensor) -> Tensor:
        return self.normed(x_BTD)

    def run(self, index: int, x_BTD: Tensor, place: Place) -> Tensor:
        return x_BTD + self.linears[index](x_BTD)

    def leave(self, y_BTD: Tensor) -> Tensor:
        return y_BTD

    def unembedding(self, index: int) -> Tensor:
        return self.weight_VD

    def own_modules(self, index: int) -> list[nn.Module]:
        return [self.linears[index]]

    def folded(self, index: int) -> Tensor:
        return self.weight_VD + self.weight_VD @ self.matrix(index)

    def drafting_parameters(self) -> list[nn.Parameter]:
        return list(self.linears[1:].parameters())

    def drafts(self, k: int) -> Drafts:
        def draft(output: Output, at_B: Tensor) -> Tensor:
            z_BD = gather(output.z_BTD, at_B)
            outputs = [self.run(head, z_BD, output.place) for head in range(1, k)]
            return F.linear(torch.stack(outputs, dim=1), self.weight_VD)

        return draft


class BlockHeads(Heads):
    """One transformer layer per head, in parallel. Also the base of the heads in series."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        first = config.trunk_layers
        self.layers = nn.ModuleList(Layer(config, first + index) for index in range(self.n))
        self.weight_VD = nn.Parameter(torch.empty(VOCAB, config.width))

    def initialize(self, generator: torch.Generator) -> None:
        _draw_unembedding(self.weight_VD, generator)
        for index in range(self.n):
            for layer in self.layers_of(index):
                layer.initialize(generator)

    def enter(self, x_BTD: Tensor) -> Tensor:
        return x_BTD

    def run(self, index: int, x_BTD: Tensor, place: Place) -> Tensor:
        return self.layers[index](x_BTD, place)

    def leave(self, y_BTD: Tensor) -> Tensor:
        return self.normed(y_BTD)

    def unembedding(self, index: int) -> Tensor:
        return self.weight_VD

    def drafting_parameters(self) -> list[nn.Parameter]:
        return list(self.layers[1:].parameters())

    def drafts(self, k: int) -> Drafts:
        def draft(output: Output, at_B: Tensor) -> Tensor:
            # The layers run at every position, since later queries need its keys and values.
            outputs = [gather(self.output(head, output), at_B) for head in range(1, k)]
            return F.linear(self.leave(torch.stack(outputs, dim=1)), self.weight_VD)

        return draft

    def full_heads(self, k: int) -> list[int]:
        # Later queries need the keys and values of every position.
        return self.running(k)

    @property
    def norms_outputs(self) -> bool:
        return True

    def fill(self, k: int, output: Output) -> None:
        for head in range(k):
            self.output(head, output)

    def layers_of(self, index: int) -> list[Layer]:
        layer = self.layers[index]
        assert isinstance(layer, Layer)
        return [layer]


class CausalHeads(BlockHeads):
    """Transformer layers in series: head i reads the output of head i - 1."""

    def source(self, index: int) -> int | None:
        return index - 1 if index > 0 else None


class AnticausalHeads(BlockHeads):
    """Transformer layers in series: head i reads head i + 1.

    Head 1 depends on the layers of all heads, so no parameter affects the drafts alone.
    """

    def source(self, index: int) -> int | None:
        return index + 1 if index + 1 < self.n else None

    def drafting_parameters(self) -> list[nn.Parameter]:
        return []


KINDS: dict[str, type[Heads]] = {
    "unembed": UnembedHeads,
    "linear": LinearHeads,
    "block": BlockHeads,
    "causal": CausalHeads,
    "anticausal": AnticausalHeads,
}
