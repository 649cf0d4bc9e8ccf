"""One decoding step: verify the drafts and draft anew, in one forward.

A block is the last accepted id and the drafts. Head 1 says at each position what comes next; the
drafts that agree with it are accepted, and so is its own word after the last of them: 1 to k ids a
step. The heads at the last accepted position draft the next block (Stern et al. 2018; paper,
section 2 and Table S3). A rejected draft is undone by the position alone.

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

# A drafter gives the next drafts: (output, at_B, positions_B) -> ids (B, k - 1), where `at_B` is
# the index in the block of each row's last accepted id, and positions_B where the next block lies.
Drafter = Callable[[Output, Tensor, Tensor], Tensor]


def sayable(device: torch.device) -> Tensor:
    """What is added to logits (V,) so that only bytes and the end of document can be chosen."""
    bias = torch.full((VOCAB,), -torch.inf, device=device)
    bias[:BYTES] = 0
    bias[EOD] = 0
    return bias


def lowest_argmax(logits: Tensor) -> Tensor:
    """The argmax over the last axis; of equal ones the lowest id, which torch does not promise."""
    ids = torch.arange(logits.shape[-1], device=logits.device)
    best = logits == logits.amax(-1, keepdim=True)
    return torch.where(best, ids, logits.shape[-1]).amin(-1)


@dataclass
class State:
    """Where every row of a batch is.

    `block_BT`: the next block to feed. `positions_B`: its position. `limits_B`: no row goes past.
    `done_B`: rows that have ended on their own (end of document, limit), which then stand still.
    """

    block_BT: Tensor
    positions_B: Tensor
    limits_B: Tensor
    done_B: Tensor

    @staticmethod
    def empty(batch: int, width: int, device: torch.device) -> "State":
        """All rows done, waiting for prompts."""
        zeros = torch.zeros(batch, dtype=torch.int64, device=device)
        block = torch.full((batch, width), PAD, dtype=torch.int64, device=device)
        return State(block, zeros, zeros.clone(), torch.ones_like(zeros, dtype=torch.bool))

    def feed(self, last_B1: Tensor, drafts_BK: Tensor | None) -> None:
        """The next block: the last accepted ids, then the drafts; PAD, which is never said, after.

        In place, for whoever has captured these tensors' addresses.
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


def settle(ids_BT: Tensor, at_B: Tensor, state: State) -> tuple[Tensor, Tensor]:
    """How many ids each row takes, and which rows end: `counts_B` (0 for rows done before), done.

    A row takes its accepted drafts and the id after them, up to its first end of document and to
    its limit.
    """
    T = ids_BT.shape[1]
    index_T = torch.arange(T, device=ids_BT.device)
    counts_B = torch.where(state.done_B, 0, at_B + 1)
    ended_BT = (ids_BT == EOD) & (index_T < counts_B[:, None])
    first_B = torch.where(ended_BT, index_T, T).amin(1)
    counts_B = torch.minimum(counts_B, first_B + 1)
    counts_B = torch.minimum(counts_B, state.limits_B - state.positions_B)
    # The end of document counts only where it was reached.
    ended_B = first_B < counts_B
    done_B = state.done_B | ended_B | (state.positions_B + counts_B >= state.limits_B)
    return counts_B, done_B


def agree(said_BT: Tensor, block_BT: Tensor) -> tuple[Tensor, Tensor]:
    """The longest run of drafts that head 1 agrees with, and its own word after them.

    `said_BT`: head 1's choice after each id of the block. Returns `ids_BT`, the accepted ids first,
    and `at_B`, how many drafts were accepted.
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

    Returns `ids_BT`, the ids of the step (the accepted ones first), and `counts_B`, how many were
    accepted (0 for rows that were done). Changes `state` and `cache` in place. `drafter` is None
    where nothing drafts (k = 1).
    """
    output = model(state.block_BT, cache, state.positions_B)
    said_BT = lowest_argmax(model.logits(output).float() + bias_V)
    ids_BT, at_B = agree(said_BT, state.block_BT)
    counts_B, done_B = settle(ids_BT, at_B, state)
    state.done_B.copy_(done_B)
    state.positions_B.add_(counts_B)
    last_B1 = ids_BT.gather(1, at_B[:, None])
    drafts_BK = None if drafter is None else drafter(output, at_B, state.positions_B)
    state.feed(last_B1, drafts_BK)
    return ids_BT, counts_B
