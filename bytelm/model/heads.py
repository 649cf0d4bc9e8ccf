"""Prediction heads behind one interface.

Head i (counted from 0 in code, from 1 in print) reads the trunk's output at position t and
predicts the id at t + i + 1. A kind of head says

    enter(x)              what all heads share of the way out of the trunk, computed once
    project(i, z, place)  what head i does before its unembedding, at every position of a block
    unembedding(i)        the matrix that turns that into logits
    drafts(k)             a function of (z, place, at) that gives the logits of heads 1..k-1 at one
                          position of each row: what decoding drafts from
    fill(k, z, place)     leave in the cache what heads 0..k-1 will want of a block (prefill)

so that training runs one head at a time and decoding runs the heads only where it needs them.

Shapes: B batch row, T position in block, D width, V id, K prediction head.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bytelm.alphabet import VOCAB
from bytelm.config import ModelConfig
from bytelm.model.layers import Layer, Place, RMSNorm

Drafts = Callable[[Tensor, Place, Tensor], Tensor]


class Heads(nn.Module, ABC):
    """The interface, and what every kind has: the final norm."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.n = config.prediction_heads
        self.norm = RMSNorm(config.width, config.norm_eps)

    @abstractmethod
    def initialize(self, generator: torch.Generator) -> None:
        """See the module."""

    @abstractmethod
    def enter(self, x_BTD: Tensor) -> Tensor:
        """See the module."""

    @abstractmethod
    def project(self, index: int, z_BTD: Tensor, place: Place) -> Tensor:
        """See the module."""

    @abstractmethod
    def unembedding(self, index: int) -> Tensor:
        """See the module."""

    def logits(self, index: int, z_BTD: Tensor, place: Place) -> Tensor:
        """Head `index` at every position: (B, T, V)."""
        return F.linear(self.project(index, z_BTD, place), self.unembedding(index))

    @abstractmethod
    def drafts(self, k: int) -> Drafts:
        """A function (z_BTD, place, at_B) -> logits (B, k - 1, V) of heads 1..k-1 at `at_B`."""

    def fill(self, k: int, z_BTD: Tensor, place: Place) -> None:
        """Leave in the cache what heads 0..k-1 will want of a block; nothing by default."""

    def layers_of(self, index: int) -> list[Layer]:
        """The transformer layers of head `index`; none by default."""
        return []

    @abstractmethod
    def drafting_parameters(self) -> list[nn.Parameter]:
        """What heads 1.. have for themselves: changing it changes drafts, and never the text."""


def _gather(z_BTD: Tensor, at_B: Tensor) -> Tensor:
    return z_BTD[torch.arange(len(at_B), device=at_B.device), at_B]


class UnembedHeads(Heads):
    """n unembedding matrices on the trunk's normed output: what the paper's byte models use."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        # A list and not one tensor: each head's backward then touches its own matrix only.
        self.weights_VD = nn.ParameterList(
            nn.Parameter(torch.empty(VOCAB, config.width)) for _ in range(self.n)
        )

    def initialize(self, generator: torch.Generator) -> None:
        for weight in self.weights_VD:
            nn.init.normal_(weight, std=0.1 / math.sqrt(weight.shape[1]), generator=generator)

    def enter(self, x_BTD: Tensor) -> Tensor:
        return self.norm(x_BTD)

    def project(self, index: int, z_BTD: Tensor, place: Place) -> Tensor:
        return z_BTD

    def unembedding(self, index: int) -> Tensor:
        return self.weights_VD[index]

    def drafting_parameters(self) -> list[nn.Parameter]:
        return list(self.weights_VD[1:])

    def drafts(self, k: int) -> Drafts:
        packed = torch.cat([weight.detach() for weight in self.weights_VD[1:k]])

        def draft(z_BTD: Tensor, place: Place, at_B: Tensor) -> Tensor:
            return F.linear(_gather(z_BTD, at_B), packed).view(len(at_B), k - 1, VOCAB)

        return draft


class BlockHeads(Heads):
    """One transformer layer a head, in parallel, and one unembedding for all (paper, section 2)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        first = config.trunk_layers
        self.layers = nn.ModuleList(Layer(config, first + index) for index in range(self.n))
        self.weight_VD = nn.Parameter(torch.empty(VOCAB, config.width))

    def initialize(self, generator: torch.Generator) -> None:
        nn.init.normal_(
            self.weight_VD, std=0.1 / math.sqrt(self.weight_VD.shape[1]), generator=generator
        )
        for index in range(self.n):
            for layer in self.layers_of(index):
                layer.initialize(generator)

    def enter(self, x_BTD: Tensor) -> Tensor:
        return x_BTD

    def project(self, index: int, z_BTD: Tensor, place: Place) -> Tensor:
        return self.norm(self.layers[index](z_BTD, place))

    def unembedding(self, index: int) -> Tensor:
        return self.weight_VD

    def drafting_parameters(self) -> list[nn.Parameter]:
        return list(self.layers[1:].parameters())

    def drafts(self, k: int) -> Drafts:
        def draft(z_BTD: Tensor, place: Place, at_B: Tensor) -> Tensor:
            # Every position goes through the layer, since later queries need its keys and values.
            outputs = [_gather(layer(z_BTD, place), at_B) for layer in self.layers[1:k]]
            return F.linear(self.norm(torch.stack(outputs, dim=1)), self.weight_VD)

        return draft

    def fill(self, k: int, z_BTD: Tensor, place: Place) -> None:
        for layer in self.layers[:k]:
            layer(z_BTD, place)

    def layers_of(self, index: int) -> list[Layer]:
        layer = self.layers[index]
        assert isinstance(layer, Layer)
        return [layer]


KINDS: dict[str, type[Heads]] = {"unembed": UnembedHeads, "block": BlockHeads}
