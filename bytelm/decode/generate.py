"""Greedy self-speculation over many prompts: the loop around the step.

Rows do not wait for each other: each advances by what it accepts, and a row that ends is replaced
by the next prompt. The device decides acceptance, ends of documents and limits; the host looks
every few steps, finds the stops, and admits.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from bytelm.alphabet import BOS, PAD
from bytelm.decode.options import DecodeOptions
from bytelm.decode.row import Completion, Row
from bytelm.decode.step import Drafter, HeadDrafter, State, sayable, step
from bytelm.errors import InputError
from bytelm.model.cache import Cache
from bytelm.model.model import SLACK, Model

# Attention reads the cache in multiples of this many slots.
BUCKET = 128
# Steps between the host's looks at the device; a row that a stop ended idles for at most these.
LOOK = 4
# Prompt ids a forward in prefill; with a window, fewer, since the cache holds window + block.
CHUNK = 512
WINDOW_CHUNK = 64


def generate(
    model: Model,
    prompts: Sequence[bytes],
    options: DecodeOptions,
    show: Callable[[int, bytes], None] | None = None,
    drafter: Drafter | None = None,
) -> list[Completion]:
    """Complete every prompt, in order. See `generate_rows`."""
    found = dict(generate_rows(model, prompts, options, show, drafter))
    return [found[index] for index in range(len(prompts))]


def generate_rows(
    model: Model,
    prompts: Sequence[bytes],
    options: DecodeOptions,
    show: Callable[[int, bytes], None] | None = None,
    drafter: Drafter | None = None,
) -> Iterator[tuple[int, Completion]]:
    """Complete every prompt; yields (index, completion) as they end.

    The text is exactly head 1's greedy choice, whatever `options.heads` and `options.batch`. With
    `show`, a prompt's bytes are handed over as soon as no stop can take them back. `drafter`
    replaces the model's own heads as the source of drafts. Raises InputError for a prompt that
    does not fit the context, or options the model cannot serve.
    """
    options.check(model.config.prediction_heads)
    longest = model.config.context - 2
    for index, prompt in enumerate(prompts):
        if len(prompt) > longest:
            raise InputError(
                f"prompt {index} (counted from 0) has {len(prompt)} bytes; with room for one byte "
                f"of completion the model's context of {model.config.context} holds {longest}"
            )
    if prompts:
        yield from _Engine(model, prompts, options, show, drafter).run()


class _Engine:
    def __init__(
        self,
        model: Model,
        prompts: Sequence[bytes],
        options: DecodeOptions,
        show: Callable[[int, bytes], None] | None,
        drafter: Drafter | None,
    ) -> None:
        self.model, self.prompts, self.options, self.show = model, prompts, options, show
        self.k = options.heads
        self.device = model.embedding.weight.device
        self.look = 1 if show is not None else LOOK
        batch = min(options.batch, len(prompts))
        reach = max(self._limit(prompt) for prompt in prompts) + SLACK
        window = model.config.window
        self.chunk = WINDOW_CHUNK if window else CHUNK
        slots = min(reach, window + self.chunk) if window else reach
        self.cache = model.new_cache(batch, slots)
        self.state = State.empty(batch, self.k, self.device)
        self.bias_V = sayable(self.device)
        self.drafter = drafter
        if drafter is None and self.k > 1:
            with torch.inference_mode():
                self.drafter = HeadDrafter(model, self.k, self.bias_V)
        self.rows: list[Row | None] = [None] * batch
        self.queue = deque(range(len(prompts)))

    def _limit(self, prompt: bytes) -> int:
        """The position of a row's last id at most; the prompt's own last is at len(prompt)."""
        return min(len(prompt) + self.options.max_bytes, self.model.config.context - 1)

    def run(self) -> Iterator[tuple[int, Completion]]:
        while True:
            with torch.inference_mode():
                self._admit()
                if not any(self.rows):
                    return
                self._narrow()
                steps = [self._step() for _ in range(self.look)]
                ids_NBT = torch.stack([ids for ids, _ in steps]).tolist()
                counts_NB = torch.stack([counts for _, counts in steps]).tolist()
            yield from self._take(ids_NBT, counts_NB)

    def _step(self) -> tuple[Tensor, Tensor]:
        return step(self.model, self.cache, self.state, self.drafter, self.bias_V)

    def _admit(self) -> None:
        for slot, row in enumerate(self.rows):
            if row is None and self.queue:
                self._start(slot, self.queue.popleft())
        live = [slot for slot, row in enumerate(self.rows) if row is not None]
        for slot, row in enumerate(self.rows):
            if row is None and live:
                # An idle row stands where a live one does, so that it widens nobody's view.
                self.state.positions_B[slot] = self.state.positions_B[live[0]]
                self.state.done_B[slot] = True

    def _start(self, slot: int, index: int) -> None:
        """Prefill a prompt into a row of the cache, all but its last id, which the step feeds."""
        prompt = self.prompts[index]
        ids = torch.tensor([BOS, *prompt], dtype=torch.int64, device=self.device)
        last = len(ids) - 1
        cache = self.cache.row(slot)
        for start in range(0, last, self.chunk):
            self._prefill(cache, ids[start : min(start + self.chunk, last)], start)
        state, limit = self.state, self._limit(prompt)
        # PAD is never said, so these drafts are never accepted.
        state.block_BT[slot] = PAD
        state.block_BT[slot, 0] = ids[last]
        state.positions_B[slot], state.limits_B[slot] = last, limit
        state.done_B[slot] = False
        self.rows[slot] = Row(index, limit - last, self.options.stops, self.show)

    def _prefill(self, cache: Cache, ids_T: Tensor, start: int) -> None:
        cache.look_at(min(start + len(ids_T), cache.slots))
        positions_B = torch.tensor([start], device=self.device)
        output = self.model(ids_T[None], cache, positions_B)
        self.model.heads.fill(self.k, output.z_BTD, output.place)

    def _narrow(self) -> None:
        """Let attention read only the slots that some row may fill before the next look."""
        last = int(self.state.positions_B.max()) + self.k * self.look
        self.cache.look_at(min(-(-last // BUCKET) * BUCKET, self.cache.slots))

    def _take(
        self, ids_NBT: list[list[list[int]]], counts_NB: list[list[int]]
    ) -> Iterator[tuple[int, Completion]]:
        for slot, row in enumerate(self.rows):
            if row is None:
                continue
            for ids_BT, counts_B in zip(ids_NBT, counts_NB, strict=True):
                if row.finish_reason is None and counts_B[slot]:
                    row.take(ids_BT[slot][: counts_B[slot]])
            if row.finish_reason is not None:
                self.rows[slot] = None
                yield row.index, row.completion()
