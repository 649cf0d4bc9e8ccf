"""A batch of rows that advance together: what the host loop needs of an engine, and torch's.

The torch engine runs blocks of one shape (batch, width) over a static cache, attention reading a
slice of it that grows in buckets; the native engine (`bytelm.decode.native`) runs ragged batches.

Shapes: B batch row, T position in block, V id.
"""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from bytelm.alphabet import PAD, VOCAB
from bytelm.decode.compiled import Advance, CompiledStep
from bytelm.decode.options import DecodeOptions
from bytelm.decode.sampling import draft_ids, verify
from bytelm.decode.step import Drafter, HeadDrafter, State, sayable, settle, step
from bytelm.model.cache import Cache
from bytelm.model.model import Model

# Attention reads the cache in multiples of this many slots; each is compiled anew, so there are
# fewer of them where code is compiled.
BUCKET = 128
COMPILED_BUCKET = 512
# Prompt ids a forward in prefill; with a window, fewer, since the cache holds window + block.
CHUNK = 512
WINDOW_CHUNK = 64


class Stepper(Protocol):
    """The rows of a batch, and steps that advance them all."""

    def admit(self, slot: int, ids: Sequence[int], limit: int, sample: int) -> None:
        """Begin a row with the ids known so far; it ends at position `limit` at the latest.

        `sample` numbers its randomness.
        """

    def release(self, slot: int) -> None:
        """End a row."""

    def run(self, steps: int) -> tuple[Tensor, Tensor]:
        """`steps` steps: ids (steps, B, T), the accepted ones first, and counts (steps, B)."""


class TorchStepper:
    """The model's own forward, on any device; eager, or compiled by `bytelm.decode.compiled`."""

    def __init__(
        self,
        model: Model,
        batch: int,
        reach: int,
        options: DecodeOptions,
        drafter: Drafter | None = None,
        compiled: bool = False,
    ) -> None:
        self.model, self.options = model, options
        self.device = model.embedding.weight.device
        self.k = options.k(model.config.prediction_heads)
        width = max(self.k, model.config.prediction_heads) if options.exact else self.k
        window = model.config.window
        self.chunk = WINDOW_CHUNK if window else CHUNK
        # A ring of one size, so that slots, and with them the order of sums, never depend on
        # what else is asked for.
        self.cache = model.new_cache(batch, window + self.chunk if window else reach)
        self.state = State.empty(batch, width, self.device)
        self.bias_V = sayable(self.device)
        self.drafter = drafter
        self.samples_B = torch.zeros(batch, dtype=torch.int64, device=self.device)
        self.live = [False] * batch
        self.q_BKV: Tensor | None = None
        with torch.inference_mode():
            self._draft_logits = model.drafts(self.k) if self.k > 1 else None
            if drafter is None and self.k > 1:
                self.drafter = HeadDrafter(model, self.k, self.bias_V)
        self.advance: Advance = self._greedy
        if options.sampling.temperature > 0:
            self.advance = self._sampled
        if self.k > 1 and options.sampling.draft_rule == "sampled":
            self.q_BKV = torch.zeros(batch, self.k - 1, VOCAB, dtype=torch.float64).to(self.device)
        self.bucket = COMPILED_BUCKET if compiled else BUCKET
        if compiled:
            self.advance = CompiledStep(self.advance, self, self.device)

    def view(self) -> int:
        """Slots that attention reads."""
        return self.cache.stop

    def changing(self) -> list[Tensor]:
        """What a step changes in place, but for the cache."""
        state = [self.state.block_BT, self.state.positions_B, self.state.done_B]
        return state if self.q_BKV is None else [*state, self.q_BKV]

    @torch.inference_mode()
    def admit(self, slot: int, ids: Sequence[int], limit: int, sample: int) -> None:
        """See Stepper. Prefills all but the last id, which the next step feeds."""
        ids_S = torch.tensor(ids, dtype=torch.int64, device=self.device)
        last = len(ids) - 1
        cache = self.cache.row(slot)
        for start in range(0, last, self.chunk):
            self._prefill(cache, ids_S[start : min(start + self.chunk, last)], start)
        state = self.state
        state.block_BT[slot] = PAD
        state.block_BT[slot, 0] = ids_S[last]
        state.positions_B[slot], state.limits_B[slot] = last, limit
        state.done_B[slot] = False
        self.samples_B[slot] = sample
        self.live[slot] = True
        if self.q_BKV is not None:
            # What PAD was drawn from: certainly PAD, and head 1 never says it.
            self.q_BKV[slot] = 0
            self.q_BKV[slot, :, PAD] = 1

    def _prefill(self, cache: Cache, ids_T: Tensor, start: int) -> None:
        cache.look_at(min(start + len(ids_T), cache.slots))
        positions_B = torch.tensor([start], device=self.device)
        output = self.model(ids_T[None], cache, positions_B)
        self.model.heads.fill(self.k, output)

    @torch.inference_mode()
    def release(self, slot: int) -> None:
        """See Stepper."""
        self.live[slot] = False
        self.state.done_B[slot] = True

    @torch.inference_mode()
    def run(self, steps: int) -> tuple[Tensor, Tensor]:
        """See Stepper."""
        self._narrow(steps)
        found = []
        for _ in range(steps):
            ids_BT, counts_B = self.advance()
            found.append((ids_BT.clone(), counts_B.clone()))
        ids, counts = zip(*found, strict=True)
        return torch.stack(ids).cpu(), torch.stack(counts).cpu()

    def _narrow(self, steps: int) -> None:
        """Let attention read only the slots that some row may fill in the next steps."""
        state, slots = self.state, self.cache.slots
        standing = self.live.index(True) if True in self.live else 0
        for slot, live in enumerate(self.live):
            if not live:
                # An idle row stands where a live one does, so that it widens nobody's view.
                state.positions_B[slot] = state.positions_B[standing]
        if self.options.exact:
            # One view for all: a bucket's edge would depend on how far the others have come.
            return self.cache.look_at(slots)
        last = int(state.positions_B.max()) + state.block_BT.shape[1] * steps
        return self.cache.look_at(min(-(-last // self.bucket) * self.bucket, slots))

    def _greedy(self) -> tuple[Tensor, Tensor]:
        return step(self.model, self.cache, self.state, self.drafter, self.bias_V)

    def _sampled(self) -> tuple[Tensor, Tensor]:
        state, options = self.state, self.options.sampling
        output = self.model(state.block_BT, self.cache, state.positions_B)
        logits_BTV = (self.model.logits(output).float() + self.bias_V)[:, : self.k]
        block_BT = state.block_BT[:, : self.k]
        # PAD marks what is no draft: it has no probability, so it is never accepted.
        widths_B = (block_BT[:, 1:] != PAD).long().cumprod(1).sum(1) + 1
        ids_BT, at_B = verify(
            logits_BTV, block_BT, self.q_BKV, widths_B, self.samples_B, state.positions_B, options
        )
        counts_B, done_B = settle(ids_BT, at_B, state)
        state.done_B.copy_(done_B)
        state.positions_B.add_(counts_B)
        drafts_BK = None
        if self._draft_logits is not None:
            logits_BKV = self._draft_logits(output, at_B).float() + self.bias_V
            drafts_BK, q_BKV = draft_ids(logits_BKV, self.samples_B, state.positions_B, options)
            if q_BKV is not None and self.q_BKV is not None:
                self.q_BKV.copy_(q_BKV)
        state.feed(ids_BT.gather(1, at_B[:, None]), drafts_BK)
        return ids_BT, counts_B
