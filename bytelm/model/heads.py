"""Prediction heads behind one interface.

Head i (counted from 0 in code, from 1 in print) reads the trunk's output at position t and
predicts the id at t + i + 1. A kind of head says

    enter(x)              what all heads share of the way out of the trunk, computed once
    source(i)             whose output head i reads: another head's, or (None) what `enter` gave
    run(i, x, place)      what head i does with what it reads, at every position of a block
    leave(y)              what all heads share of the way to their logits
    unembedding(i)        the matrix that then gives the logits

so that training runs one head at a time, and decoding only those that it needs, where it needs
them. The kinds are in `head_kinds`.

Shapes: B batch row, T position in block, D width, V id, K prediction head.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bytelm.config import ModelConfig
from bytelm.model.layers import Layer, Place, RMSNorm


@dataclass
class Output:
    """What the trunk gives the heads: the hidden states of a block, and where the block lies.

    `heads` remembers what heads have made of it, for those that read it and for who asks again.
    """

    z_BTD: Tensor
    place: Place
    heads: dict[int, Tensor] = field(default_factory=dict)


Drafts = Callable[[Output, Tensor], Tensor]


def gather(z_BTD: Tensor, at_B: Tensor) -> Tensor:
    """One position of each row: (B, D)."""
    return z_BTD[torch.arange(len(at_B), device=at_B.device), at_B]


class Heads(nn.Module, ABC):
    """The interface, and what every kind has: the final norm."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.n = config.prediction_heads
        self.norm = RMSNorm(config.width, config.norm_eps)

    @abstractmethod
    def initialize(self, generator: torch.Generator) -> None:
        """Draw the weights anew."""

    @abstractmethod
    def enter(self, x_BTD: Tensor) -> Tensor:
        """See the module."""

    def source(self, index: int) -> int | None:
        """See the module; by default every head reads the trunk."""
        return None

    @abstractmethod
    def run(self, index: int, x_BTD: Tensor, place: Place) -> Tensor:
        """See the module."""

    @abstractmethod
    def leave(self, y_BTD: Tensor) -> Tensor:
        """See the module."""

    @abstractmethod
    def unembedding(self, index: int) -> Tensor:
        """See the module."""

    def running(self, k: int) -> list[int]:
        """The heads that must run for heads 0..k-1 to speak, each after the one that it reads."""
        order: list[int] = []
        for head in range(k):
            chain, at = [], head
            while at not in order:
                chain.append(at)
                source = self.source(at)
                if source is None:
                    break
                at = source
            order += reversed(chain)
        return order

    @property
    def chained(self) -> bool:
        """Whether heads read one another."""
        return any(self.source(head) is not None for head in range(self.n))

    def output(self, index: int, output: Output) -> Tensor:
        """What head `index` makes of a block, (B, T, D), before `leave`; computed once a block.

        Heads with layers leave in the block's cache what they will want of it later.
        """
        if index not in output.heads:
            source = self.source(index)
            x_BTD = output.z_BTD if source is None else self.output(source, output)
            output.heads[index] = self.run(index, x_BTD, output.place)
        return output.heads[index]

    def logits(self, index: int, output: Output) -> Tensor:
        """Head `index` at every position: (B, T, V)."""
        return F.linear(self.leave(self.output(index, output)), self.unembedding(index))

    @abstractmethod
    def drafts(self, k: int) -> Drafts:
        """A function (output, at_B) -> logits (B, k - 1, V) of heads 1..k-1 at `at_B`.

        What decoding drafts from.
        """

    def fill(self, k: int, output: Output) -> None:
        """Leave in the cache what heads 0..k-1 will want of a block (prefill)."""

    def layers_of(self, index: int) -> list[Layer]:
        """The transformer layers of head `index`; none by default."""
        return []

    def own_modules(self, index: int) -> list[nn.Module]:
        """What head `index` has for itself before the unembedding; nothing by default."""
        return list(self.layers_of(index))

    def full_heads(self, k: int) -> list[int]:
        """The heads that run at every position of a block where heads 0..k-1 speak in decoding.

        By default those that head 0 needs: the others run at the last accepted position alone.
        """
        return self.running(1)

    @property
    def norms_outputs(self) -> bool:
        """Whether the norm is applied to each head's output, and not once before all heads."""
        return False

    def next_layers(self) -> list[Layer]:
        """The layers between trunk and next byte, in order: with them, head 1 is a Llama."""
        return [layer for head in self.running(1) for layer in self.layers_of(head)]

    def folded(self, index: int) -> Tensor:
        """`unembedding(index)` with what head `index` does linearly before it multiplied in."""
        return self.unembedding(index)

    def drafting_parameters(self) -> list[nn.Parameter]:
        """What heads 1.. have for themselves: changing it changes drafts, and never the text."""
        return []
