"""One decoding step: verify the drafts and draft anew, in one forward.

A block is the last accepted id and k - 1 drafts. Head 1 says at each position what comes next; the
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
from bytelm.model.model import Model, Output

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
    def empty(batch: int, k: int, device: torch.device) -> "State":
        """All rows done, waiting for prompts."""
        zeros = torch.zeros(batch, dtype=torch.int64, device=device)
        block = torch.full((batch, k), PAD, dtype=torch.int64, device=device)
        return State(block, zeros, zeros.clone(), torch.ones_like(zeros, dtype=torch.bool))


class HeadDrafter:
    """Drafts from the model's own heads 2..k: the argmax of each."""

    def __init__(self, model: Model, k: int, bias_V: Tensor) -> None:
        self._logits = model.drafts(k)
        self._bias_V = bias_V

    def __call__(self, output: Output, at_B: Tensor, positions_B: Tensor) -> Tensor:
        logits = self._logits(output.z_BTD, output.place, at_B)
        return lowest_argmax(logits + self._bias_V)


def step(
    model: Model, cache: Cache, state: State, drafter: Drafter | None, bias_V: Tensor
) -> tuple[Tensor, Tensor]:
    """Advance every row that is not done by 1 to k ids.

    Returns `ids_BT`, the ids of the step (the accepted ones first), and `counts_B`, how many were
    accepted (0 for rows that were done). Changes `state` and `cache`. `drafter` is None for k = 1.
    """
    block_BT, T = state.block_BT, state.block_BT.shape[1]
    output = model(block_BT, cache, state.positions_B)
    said_BT = lowest_argmax(model.logits(output).float() + bias_V)
    # agreed_BT[:, j]: drafts 1..j all agree with what head 1 says before them.
    agreed = (block_BT[:, 1:] == said_BT[:, :-1]).long().cumprod(1)
    at_B = agreed.sum(1)
    last_B1 = said_BT.gather(1, at_B[:, None])
    index_T = torch.arange(T, device=block_BT.device)
    ids_BT = torch.where(index_T < at_B[:, None], block_BT.roll(-1, 1), last_B1)
    counts_B = torch.where(state.done_B, 0, at_B + 1)

    # A row ends at its first end of document, or where its limit is.
    ended_BT = (ids_BT == EOD) & (index_T < counts_B[:, None])
    first_B = torch.where(ended_BT, index_T, T).amin(1)
    counts_B = torch.minimum(counts_B, first_B + 1)
    counts_B = torch.minimum(counts_B, state.limits_B - state.positions_B)
    positions_B = state.positions_B + counts_B
    state.done_B = state.done_B | (first_B < T) | (positions_B >= state.limits_B)
    if drafter is not None:
        drafts = drafter(output, at_B, positions_B)
        state.block_BT = torch.cat((last_B1, drafts), dim=1)
    else:
        state.block_BT = last_B1
    state.positions_B = positions_B
    return ids_BT, counts_B
