"""Bits per byte of every head on texts, given the prompts that they go on from.

A model reads BOS, the prompt and the text at once, as it reads a prompt that it completes. The
prompt may be a gap that the text fills; its marks count for its length, but not as text. Head i
at position t predicts the id at t + i. It is scored where that id is a byte of the text, wherever
it looks from: head 2 predicts the text's first byte at the last but one of the prompt.

Shapes: B batch row, T position, n prediction heads, M label, V id.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from bytelm.alphabet import PAD
from bytelm.base import ranks
from bytelm.decode.prompts import MARKS, Gap, Prompt, prompt_ids
from bytelm.files.streams import progress_bar
from bytelm.model.model import Model
from bytelm.scoring import LN2, Score, divided


@dataclass(frozen=True)
class Continuation:
    """A text, and the prompt that stands before it."""

    prompt: Prompt
    text: bytes

    @property
    def size(self) -> int:
        """Ids of both."""
        return len(self.prompt) + len(self.text)

    def fitted(self, context: int) -> "Continuation | None":
        """With the beginning of the prompt cut off, so that a model with `context` can read it.

        Around a gap, the suffix loses its end too. None if the text alone does not fit. The last
        byte is only predicted and takes no place, but BOS does: a prompt and a text of `context`
        ids together are the longest that fit.
        """
        room = context - len(self.text)
        if room < (MARKS if isinstance(self.prompt, Gap) else 0):
            return None
        if isinstance(self.prompt, Gap):
            return Continuation(self.prompt.within(room), self.text)
        return Continuation(self.prompt[max(0, len(self.prompt) - room) :], self.text)


def gaps_in(texts: Sequence[bytes], size: int) -> list[Continuation]:
    """A gap in the first `size` bytes of each text, the same at every call with these texts.

    Both cuts are drawn evenly, as in training. A gap that would hold nothing is left out.
    """
    generator = np.random.Generator(np.random.PCG64(0))
    found = []
    for text in texts:
        piece = text[:size]
        first, second = sorted(generator.integers(0, len(piece) + 1, size=2).tolist())
        if first < second:
            gap = Gap(piece[:first], piece[second:])
            found.append(Continuation(gap, piece[first:second]))
    return found


@torch.no_grad()
def score_continuations(
    model: Model, continuations: Sequence[Continuation], batch: int = 8, progress: bool = False
) -> Score:
    """Score every head of `model` on the texts; the module's docstring says what is counted.

    Each continuation must fit the context. `batch`: texts of a forward; those of similar length are
    side by side. A head has fewer symbols than the text has bytes if it predicts further ahead than
    the prompt is long. The score has no forecast.
    """
    shape = len(continuations), model.config.prediction_heads
    score = Score(np.zeros(shape), np.zeros(shape, dtype=np.int64))
    # Texts of similar length share a batch, which keeps padding small.
    order = sorted(range(len(continuations)), key=lambda index: -continuations[index].size)
    with progress_bar(
        total=len(order), unit="text", desc="scoring", disable=not progress, leave=False
    ) as bar:
        for first in range(0, len(order), batch):
            part = order[first : first + batch]
            bits, symbols = _run(model, [continuations[index] for index in part])
            score.bits_DN[part], score.symbols_DN[part] = bits, symbols
            bar.update(len(part))
    return score


def _run(
    model: Model, group: Sequence[Continuation]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """The bits and the symbols (B, n) of texts side by side, the longest first."""
    B, n, T = len(group), model.config.prediction_heads, group[0].size
    ids = np.full((B, T + 1), PAD, dtype=np.int64)
    for row, one in enumerate(group):
        ids[row, : one.size + 1] = [*prompt_ids(one.prompt), *one.text]
    ids_BT = torch.from_numpy(ids).to(model.embedding.weight.device)
    # The last byte of the longest is only predicted.
    output = model(ids_BT[:, :T])
    bits, symbols = np.zeros((B, n)), np.zeros((B, n), dtype=np.int64)
    for head in range(n):
        # Where the head's labels are the text's bytes. The text begins after BOS and the prompt.
        ranges = [range(max(head + 1, len(one.prompt) + 1), one.size + 1) for one in group]
        symbols[:, head] = [len(labels) for labels in ranges]
        rows = np.repeat(np.arange(B), symbols[:, head])
        labels = np.concatenate([np.array(labels, dtype=np.int64) for labels in ranges])
        # Only these logits are computed: most of a row is often its prompt.
        z_MD = model.heads.output(head, output)[rows, labels - head - 1]
        logits_MV = F.linear(model.heads.leave(z_MD), model.heads.unembedding(head)).float()
        nats_M = F.cross_entropy(logits_MV, ids_BT[rows, labels], reduction="none")
        bits_M = (nats_M.double() / LN2).cpu().numpy()
        bits[:, head] = np.bincount(rows, bits_M, minlength=B)
    return bits, symbols


def score_continuations_on_ranks(
    model: Model, continuations: Sequence[Continuation], batch: int, progress: bool
) -> Score:
    """`score_continuations`, with the texts divided among the ranks. Every rank returns all scores.

    Raises InputError for logits that are not finite.
    """

    def score(part: list[int]) -> Score:
        mine = [continuations[index] for index in part]
        return score_continuations(model, mine, batch, progress and ranks.is_first())

    return divided(model, [one.size for one in continuations], score)
