"""One decoding step: verify the drafts and make the next ones, in one forward pass.

A block is the last accepted id and the drafts. Head 1 predicts the next id at each position of the
block. Drafts are accepted up to the first that differs from head 1's prediction, and then head 1's
own prediction is accepted too: 1 to k ids per step. The heads at the last accepted position draft
the next block (Stern et al. 2018; paper, section 2 and Table S3). A rejected draft needs no
undoing: the row's position stays before it, and the next block overwrites it.

Shapes: B batch row, T = k position in block, V id, K prediction head.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from bytelm.alphabet import BYTES, EOD, PAD, VOCAB
from bytelm.model.cache import Cache
from bytelm.model.heads import Output
from bytelm.model.model import Model

# A drafter makes the next drafts: (output, at_B, positions_B) -> ids (B, k - 1). `at_B`: the index
# in the block of each row's last accepted id. `positions_B`: the position of the next block.
Drafter = Callable[[Output, Tensor, Tensor], Tensor]


def sayable(device: torch.device) -> Tensor:
    """The bias (V,) to add to logits: 0 for bytes and end of document, -inf for all other ids."""
    bias = torch.full((VOCAB,), -torch.inf, device=device)
    bias[:BYTES] = 0
    bias[EOD] = 0
    return bias


def lowest_argmax(logits: Tensor) -> Tensor:
    """The argmax over the last axis, of equal values the lowest id. (torch.argmax may differ.)

    Where a logit is NaN it is the last id: a number that the model takes.
    """
    ids = torch.arange(logits.shape[-1], device=logits.device)
    best = logits == logits.amax(-1, keepdim=True)
    return torch.where(best, ids, logits.shape[-1] - 1).amin(-1)


@dataclass
class State:
    """The state of the rows of a batch.

    `block_BT`: the next block to feed. `positions_B`: the position of that block. `limits_B`: the
    last position that each row may reach. `done_B`: rows that have ended (by end of document or
    limit) and do not advance any more. `finite_B`: rows whose logits were all finite up to now.
    """

    block_BT: Tensor
    positions_B: Tensor
    limits_B: Tensor
    done_B: Tensor
    finite_B: Tensor

    @staticmethod
    def empty(batch: int, width: int, device: torch.device) -> "State":
        """The state of `batch` rows without prompts, all done."""
        zeros = torch.zeros(batch, dtype=torch.int64, device=device)
        block = torch.full((batch, width), PAD, dtype=torch.int64, device=device)
        yes = torch.ones_like(zeros, dtype=torch.bool)
        return State(block, zeros, zeros.clone(), yes, yes.clone())

    def feed(self, last_B1: Tensor, drafts_BK: Tensor | None) -> None:
        """Set the next block: the last accepted ids, then the drafts. Further entries stay PAD.

        Writes in place, since CUDA graphs use the addresses of these tensors.
        """
        self.block_BT[:, :1] = last_B1
        if drafts_BK is not None:
            self.block_BT[:, 1 : 1 + drafts_BK.shape[1]] = drafts_BK


class HeadDrafter:
    """Drafts from the model's own heads 2..k: the argmax of each."""

    def __init__(self, model: Model, k: int, bias_V: Tensor) -> None:
        self._logits = model.drafts(k)
        self._bias_V = bias_V

    def __call__(self, output: Output, at_B: Tensor, positions_B: Tensor) -> Tensor:
        logits = self._logits(output, at_B)
        return lowest_argmax(logits + self._bias_V)


def note_finite(logits_BTV: Tensor, at_B: Tensor, state: State) -> None:
    """Note in `state` which rows took an id from head 1's `logits_BTV` that are not finite.

    Call it before `settle` ends rows. The host looks at the end of a run, since a look waits.
    """
    # What is not finite gives NaN when multiplied by 0.
    finite_BT = (logits_BTV[..., :BYTES] * 0).sum(-1) + logits_BTV[..., EOD] * 0 == 0
    index_T = torch.arange(logits_BTV.shape[1], device=at_B.device)
    unused_BT = index_T > at_B[:, None]
    state.finite_B.logical_and_((finite_BT | unused_BT).all(1) | state.done_B)


def settle(ids_BT: Tensor, at_B: Tensor, state: State) -> tuple[Tensor, Tensor]:
    """Cut accepted ids at ends of documents and limits; returns `counts_B` and `done_B`.

    `ids_BT`, `at_B`: the ids of the step and the number of accepted drafts. A row takes its
    accepted drafts and the id after them, up to its first end of document and to its limit.
    `counts_B`: how many ids each row takes, 0 for rows that were done. `done_B`: which rows have
    ended.
    """
    T = ids_BT.shape[1]
    index_T = torch.arange(T, device=ids_BT.device)
    counts_B = torch.where(state.done_B, 0, at_B + 1)
    ended_BT = (ids_BT == EOD) & (index_T < counts_B[:, None])
    first_B = torch.where(ended_BT, index_T, T).amin(1)
    counts_B = torch.minimum(counts_B, first_B + 1)
    counts_B = torch.minimum(counts_B, state.limits_B - state.positions_B)
    # An end of document after the limit does not count.
    ended_B = first_B < counts_B
    done_B = state.done_B | ended_B | (state.positions_B + counts_B >= state.limits_B)
    return counts_B, done_B


def agree(said_BT: Tensor, block_BT: Tensor) -> tuple[Tensor, Tensor]:
    """Accept drafts up to the first that differs from head 1's choice, then head 1's own choice.

    `said_BT`: head 1's choice after each id of `block_BT`. Returns `ids_BT`, the accepted ids
    first, and `at_B`, the number of accepted drafts.
    """
    agreed = (block_BT[:, 1:] == said_BT[:, :-1]).long().cumprod(1)
    at_B = agreed.sum(1)
    last_B1 = said_BT.gather(1, at_B[:, None])
    index_T = torch.arange(block_BT.shape[1], device=block_BT.device)
    return torch.where(index_T < at_B[:, None], block_BT.roll(-1, 1), last_B1), at_B


def step(
    model: Model, cache: Cache, state: State, drafter: Drafter | None, bias_V: Tensor
) -> tuple[Tensor, Tensor]:
    """Advance every row that is not done by 1 to T ids, greedily.

    Returns `ids_BT`, the accepted ids first, and `counts_B`, the number of accepted ids (0 for rows
    that were done). Changes `state` and `cache` in place. `drafter`: None for k = 1. `bias_V`: from
    `sayable`.
    """
    output = model(state.block_BT, cache, state.positions_B)
    logits_BTV = model.logits(output).float()
    said_BT = lowest_argmax(logits_BTV + bias_V)
    ids_BT, at_B = agree(said_BT, state.block_BT)
    note_finite(logits_BTV, at_B, state)
    counts_B, done_B = settle(ids_BT, at_B, state)
    state.done_B.copy_(done_B)
    state.positions_B.add_(counts_B)
    last_B1 = ids_BT.gather(1, at_B[:, None])
    drafts_BK = None if drafter is None else drafter(output, at_B, state.positions_B)
    state.feed(last_B1, drafts_BK)
    return ids_BT, counts_B
