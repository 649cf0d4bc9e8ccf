"""The interface of a decoding engine to the host's loop, and the engine in torch.

The torch engine runs blocks of one shape (batch, width) over a static cache. Attention reads a part
of the cache that grows in buckets. The native engine (`bytelm.decode.native`) runs ragged batches.

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
from bytelm.decode.step import Drafter, HeadDrafter, State, note_finite, sayable, settle, step
from bytelm.model.cache import Cache
from bytelm.model.model import Model

# Attention reads a multiple of this many slots. Code is compiled again for each multiple, so
# compiled code uses fewer and larger steps.
BUCKET = 128
COMPILED_BUCKET = 512
# Prompt ids in one forward of prefill. With a window it is fewer, since the cache then has only
# window + CHUNK slots.
CHUNK = 512
WINDOW_CHUNK = 64


class Stepper(Protocol):
    """An engine: the rows of a batch, and steps that advance all of them."""

    def admit(self, slot: int, ids: Sequence[int], limit: int, sample: int) -> None:
        """Begin row `slot` with the ids of its prompt.

        `limit`: the last position that the row may reach. `sample`: the number that selects its
        random numbers.
        """

    def release(self, slot: int) -> None:
        """End row `slot`."""

    def run(self, steps: int) -> tuple[Tensor, Tensor]:
        """Run `steps` steps.

        Returns, on the CPU, int64 ids (steps, B, T), of each step the accepted ones first, and
        counts (steps, B) of accepted ids.
        """


class TorchStepper:
    """The engine in torch, for any device: eager, or compiled by `bytelm.decode.compiled`."""

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
        # With a window the cache has a fixed size. The slot of a position, and so the order of
        # sums, then does not depend on other prompts or options.
        self.cache = model.new_cache(batch, window + self.chunk if window else reach)
        self.state = State.empty(batch, width, self.device)
        self.bias_V = sayable(self.device)
        self.drafter = drafter
        self.samples_B = torch.zeros(batch, dtype=torch.int64, device=self.device)
        self.live = [False] * batch
        self.q_BKV: Tensor | None = None
        # With several samples a prompt: the last prompt, and what the cache holds of it.
        self.kept: tuple[list[int], list[Tensor]] = ([], [])
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
        """How many slots attention reads."""
        return self.cache.stop

    def changing(self) -> list[Tensor]:
        """The tensors, apart from the cache, that a step changes in place."""
        own = self.state
        state = [own.block_BT, own.positions_B, own.done_B, own.finite_B]
        return state if self.q_BKV is None else [*state, self.q_BKV]

    @torch.inference_mode()
    def admit(self, slot: int, ids: Sequence[int], limit: int, sample: int) -> None:
        """See Stepper. Prefills all ids but the last, which the next step feeds.

        With several samples a prompt, the first of them prefills, and the others get a copy.
        """
        ids_S = torch.tensor(ids, dtype=torch.int64, device=self.device)
        last = len(ids) - 1
        cache = self.cache.row(slot)
        prompt = list(ids)
        own = [part[:, :last] for part in (*cache.keys_BSGC, *cache.values_BSGC, cache.ids_BS)]
        if prompt == self.kept[0]:
            for to, kept in zip(own, self.kept[1], strict=True):
                to.copy_(kept)
        else:
            for start in range(0, last, self.chunk):
                self._prefill(cache, ids_S[start : min(start + self.chunk, last)], start)
            if self.options.samples > 1:
                self.kept = prompt, [part.clone() for part in own]
        state = self.state
        state.block_BT[slot] = PAD
        state.block_BT[slot, 0] = ids_S[last]
        state.positions_B[slot], state.limits_B[slot] = last, limit
        state.done_B[slot], state.finite_B[slot] = False, True
        self.samples_B[slot] = sample
        self.live[slot] = True
        if self.q_BKV is not None:
            # The first block has PAD in place of drafts, so q is one-hot at PAD. Head 1 gives PAD
            # probability 0, so it is never accepted.
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
        if not bool(self.state.finite_B.all()):
            raise self.model.overflow()
        ids, counts = zip(*found, strict=True)
        return torch.stack(ids).cpu(), torch.stack(counts).cpu()

    def _narrow(self, steps: int) -> None:
        """Make attention read only the slots that a row may reach in the next steps."""
        state, slots = self.state, self.cache.slots
        standing = self.live.index(True) if True in self.live else 0
        for slot, live in enumerate(self.live):
            if not live:
                # Move an idle row to the position of a live one, so that it needs no more slots.
                state.positions_B[slot] = state.positions_B[standing]
        if self.options.exact:
            # Read all slots: the size of a bucket would depend on how far other rows have come.
            return self.cache.look_at(slots)
        last = int(state.positions_B.max()) + state.block_BT.shape[1] * steps
        return self.cache.look_at(min(-(-last // self.bucket) * self.bucket, slots))

    def _greedy(self) -> tuple[Tensor, Tensor]:
        return step(self.model, self.cache, self.state, self.drafter, self.bias_V)

    def _sampled(self) -> tuple[Tensor, Tensor]:
        state, options = self.state, self.options.sampling
        output = self.model(state.block_BT, self.cache, state.positions_B)
        logits_BTV = self.model.logits(output).float()[:, : self.k]
        block_BT = state.block_BT[:, : self.k]
        # PAD marks an entry that is no draft. Head 1 gives it probability 0, so it is rejected.
        widths_B = (block_BT[:, 1:] != PAD).long().cumprod(1).sum(1) + 1
        ids_BT, at_B = verify(
            logits_BTV + self.bias_V, block_BT, self.q_BKV, widths_B, self.samples_B,
            state.positions_B, options,
        )  # fmt: skip
        note_finite(logits_BTV, at_B, state)
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
