"""The interface of the prediction heads.

Head i (counted from 0 in code, from 1 in print) reads the trunk's output at position t and
predicts the id at t + i + 1. A kind of head defines

    enter(x)              the first step, shared by all heads and computed once
    source(i)             the head whose output head i reads, or None for the output of `enter`
    run(i, x, place)      what head i computes at every position of a block
    leave(y)              the last step before the unembedding, the same for all heads
    unembedding(i)        the matrix that gives head i's logits

With these, training can run one head at a time, and decoding can run only the heads and positions
that it needs. The kinds are in `head_kinds`.

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
    """The trunk's output for a block: its hidden states after `enter`, and its place.

    `heads` stores the outputs of heads, so that each is computed once per block.
    """

    z_BTD: Tensor
    place: Place
    heads: dict[int, Tensor] = field(default_factory=dict)


Drafts = Callable[[Output, Tensor], Tensor]


def gather(z_BTD: Tensor, at_B: Tensor) -> Tensor:
    """The hidden state of row b at position `at_B[b]` of the block: (B, D)."""
    return z_BTD[torch.arange(len(at_B), device=at_B.device), at_B]


class Heads(nn.Module, ABC):
    """The interface of a kind of heads, and the final norm that every kind has."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.n = config.prediction_heads
        self.norm = RMSNorm(config.width, config.norm_eps)

    def normed(self, x_BTD: Tensor) -> Tensor:
        """The final norm. Outside of training it is NaN where the squares of `x_BTD` overflow.

        They overflow from about 1e19 on, and the norm would be 0 then: logits of 0, as if the model
        knew nothing. The guard of training sees losses and gradients instead.
        """
        y_BTD = self.norm(x_BTD)
        if torch.is_grad_enabled():
            return y_BTD
        squares_BT1 = x_BTD.float().square().sum(-1, keepdim=True)
        return y_BTD + (squares_BT1 * 0).to(y_BTD.dtype)

    @abstractmethod
    def initialize(self, generator: torch.Generator) -> None:
        """Draw random weights."""

    @abstractmethod
    def enter(self, x_BTD: Tensor) -> Tensor:
        """The step that all heads share, (B, T, D) -> (B, T, D)."""

    def source(self, index: int) -> int | None:
        """The head whose output head `index` reads; None, the default: the output of `enter`."""
        return None

    @abstractmethod
    def run(self, index: int, x_BTD: Tensor, place: Place) -> Tensor:
        """What head `index` computes of its input, (B, T, D) -> (B, T, D)."""

    @abstractmethod
    def leave(self, y_BTD: Tensor) -> Tensor:
        """The last step before the unembedding, of any leading shape: (..., D) -> (..., D)."""

    @abstractmethod
    def unembedding(self, index: int) -> Tensor:
        """The matrix (V, D) that gives head `index`'s logits."""

    def running(self, k: int) -> list[int]:
        """The heads that must run to get the logits of heads 0..k-1, each after its source."""
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
        """Whether any head reads the output of another head."""
        return any(self.source(head) is not None for head in range(self.n))

    def output(self, index: int, output: Output) -> Tensor:
        """The output of head `index` for a block, (B, T, D), before `leave`.

        It is computed once per block and stored in `output`. Heads with layers write the block's
        keys and values to the cache.
        """
        if index not in output.heads:
            source = self.source(index)
            x_BTD = output.z_BTD if source is None else self.output(source, output)
            output.heads[index] = self.run(index, x_BTD, output.place)
        return output.heads[index]

    def logits(self, index: int, output: Output) -> Tensor:
        """The logits of head `index` at every position: (B, T, V)."""
        return F.linear(self.leave(self.output(index, output)), self.unembedding(index))

    @abstractmethod
    def drafts(self, k: int) -> Drafts:
        """Make the function (output, at_B) -> logits (B, k - 1, V) that decoding drafts from.

        It returns the logits of heads 1..k-1 at position `at_B[b]` of each row b's block.
        """

    def fill(self, k: int, output: Output) -> None:
        """Write to the cache what heads 0..k-1 need later of a block, for prefill."""

    def layers_of(self, index: int) -> list[Layer]:
        """The transformer layers of head `index`; by default none."""
        return []

    def own_modules(self, index: int) -> list[nn.Module]:
        """The modules of head `index` alone, without the unembedding; by default its layers."""
        return list(self.layers_of(index))

    def full_heads(self, k: int) -> list[int]:
        """The heads that run at every position of a block when decoding uses heads 0..k-1.

        By default those that head 0 needs. The others run only at the last accepted position.
        """
        return self.running(1)

    @property
    def norms_outputs(self) -> bool:
        """Whether the norm is applied to each head's output, instead of once before all heads."""
        return False

    def next_layers(self) -> list[Layer]:
        """The layers between the trunk and head 1's logits, in order.

        The trunk with these layers is a Llama.
        """
        return [layer for head in self.running(1) for layer in self.layers_of(head)]

    def folded(self, index: int) -> Tensor:
        """The unembedding (V, D) of head `index`, times the head's own matrix if it has one."""
        return self.unembedding(index)

    def drafting_parameters(self) -> list[nn.Parameter]:
        """The parameters that only heads 1.. use. They change the drafts, but never the text."""
        return []
