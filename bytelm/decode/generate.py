"""Self-speculation over many prompts: the host's loop around the steps.

Rows do not wait for each other: each advances by what it accepts, and a row that ends is replaced
by the next prompt. The engine decides acceptance, ends of documents and limits; the host looks
every few steps, finds the stops, and admits.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence

from bytelm.alphabet import BOS
from bytelm.base.cli import say
from bytelm.base.errors import InputError, setting
from bytelm.decode.native.stepper import NativeStepper
from bytelm.decode.options import DecodeOptions
from bytelm.decode.row import Completion, Row
from bytelm.decode.step import Drafter
from bytelm.decode.stepper import Stepper, TorchStepper
from bytelm.model.model import SLACK, Model
from bytelm.native.build import NoCompilerError

# Steps between the host's looks at the engine; a row that a stop ended idles for at most these.
STEPS_PER_CHECK = 8
# Text that is being watched comes step by step.
STEPS_PER_CHECK_STREAMING = 1

_said: set[str] = set()


def generate(
    model: Model,
    prompts: Sequence[bytes],
    options: DecodeOptions,
    show: Callable[[int, bytes], None] | None = None,
    drafter: Drafter | None = None,
) -> list[Completion]:
    """Complete every prompt, in order; `options.samples` of each, side by side in the list."""
    found = dict(generate_rows(model, prompts, options, show, drafter))
    return [found[index] for index in range(len(prompts) * options.samples)]


def generate_rows(
    model: Model,
    prompts: Sequence[bytes],
    options: DecodeOptions,
    show: Callable[[int, bytes], None] | None = None,
    drafter: Drafter | None = None,
    only: Sequence[int] | None = None,
) -> Iterator[tuple[int, Completion]]:
    """Complete every prompt; yields (index, completion) as they end.

    With `options.samples` of n, sample i of prompt p has the index p * n + i. Greedy text is head
    1's choice, and sampled text is drawn from head 1's distribution, whatever `options.heads` and
    `options.batch`. With `show`, a completion's bytes are handed over as soon as no stop can take
    them back. `drafter` replaces the model's own heads as the source of drafts. `only`: the indices
    to complete, by default all; a completion is the same whichever are done beside it. Raises
    InputError for a prompt that does not fit the context, or options the model cannot serve.
    """
    _check(model, prompts, options)
    indices = range(len(prompts) * options.samples) if only is None else only
    if indices:
        yield from _Loop(model, prompts, options, show, drafter, indices).run()


def stream(
    model: Model, prompt: bytes, options: DecodeOptions, drafter: Drafter | None = None
) -> Generator[bytes, None, None]:
    """Complete one prompt; yields its bytes as soon as no stop can take them back.

    Each step runs when the next bytes are asked for. Closing the generator ends the decoding and
    frees the engine. Raises as `generate_rows` does, at the call and not at the first piece.
    """
    _check(model, [prompt], options)
    pieces: list[bytes] = []
    loop = _Loop(model, [prompt], options, lambda _, piece: pieces.append(piece), drafter, [0])
    return _pieces(loop, pieces)


def _pieces(loop: "_Loop", pieces: list[bytes]) -> Generator[bytes, None, None]:
    for _ in loop.steps():
        if pieces:
            yield b"".join(pieces)
            pieces.clear()


def _check(model: Model, prompts: Sequence[bytes], options: DecodeOptions) -> None:
    options.check(model.config.prediction_heads)
    longest = model.config.context - 2
    for index, prompt in enumerate(prompts):
        if len(prompt) > longest:
            which = f"prompt {index} (counted from 0)" if len(prompts) > 1 else "the prompt"
            raise InputError(
                f"{which} has {len(prompt)} bytes; with room for one byte "
                f"of completion the model's context of {model.config.context} holds {longest}"
            )


def _say_once(text: str) -> None:
    if text not in _said:
        _said.add(text)
        say(text)


def make_stepper(
    model: Model, batch: int, reach: int, options: DecodeOptions, drafter: Drafter | None = None
) -> Stepper:
    """The engine that `options.engine` asks for; `auto` takes the fastest that works here.

    `reach`: the positions that any row may come to. Raises InputError for an engine that cannot
    serve.
    """
    device, wanted = model.embedding.weight.device.type, options.engine
    if wanted == "native" and (device != "cpu" or drafter is not None):
        asked = setting("engine", wanted)
        raise InputError(f"{asked} runs on a CPU with the model's own heads, not {device}")
    if wanted == "native" or (wanted == "auto" and device == "cpu" and drafter is None):
        try:
            return NativeStepper(model, batch, reach, options)
        except NoCompilerError as error:
            if wanted == "native":
                raise InputError(f"{setting('engine', wanted)}: {error}") from error
            _say_once(f"decoding runs eager, several times slower: {error}")
    compiled = wanted == "compiled" or (wanted == "auto" and device != "cpu")
    return TorchStepper(model, batch, reach, options, drafter, compiled)


class _Loop:
    def __init__(
        self,
        model: Model,
        prompts: Sequence[bytes],
        options: DecodeOptions,
        show: Callable[[int, bytes], None] | None,
        drafter: Drafter | None,
        indices: Sequence[int],
    ) -> None:
        self.model, self.prompts, self.options, self.show = model, prompts, options, show
        self.steps_per_check = STEPS_PER_CHECK_STREAMING if show is not None else STEPS_PER_CHECK
        batch = min(options.batch, len(indices))
        reach = max(self._limit(prompt) for prompt in prompts) + SLACK
        self.stepper = make_stepper(model, batch, reach, options, drafter)
        self.rows: list[Row | None] = [None] * batch
        self.queue = deque(indices)

    def _limit(self, prompt: bytes) -> int:
        """The position of a row's last id at most; the prompt's own last is at len(prompt)."""
        return min(len(prompt) + self.options.max_bytes, self.model.config.context - 1)

    def run(self) -> Iterator[tuple[int, Completion]]:
        """The completions as they end."""
        return (ended for ended in self.steps() if ended is not None)

    def steps(self) -> Iterator[tuple[int, Completion] | None]:
        """The completions as they end, and None whenever the host has taken what steps gave."""
        while True:
            for slot, row in enumerate(self.rows):
                if row is None and self.queue:
                    self._start(slot, self.queue.popleft())
            if not any(self.rows):
                return
            ids, counts = self.stepper.run(self.steps_per_check)
            yield from self._take(ids.tolist(), counts.tolist())
            yield None

    def _start(self, slot: int, index: int) -> None:
        prompt = self.prompts[index // self.options.samples]
        limit = self._limit(prompt)
        self.stepper.admit(slot, [BOS, *prompt], limit, index)
        spanned = prompt if self.options.stops_span_prompt else b""
        self.rows[slot] = Row(
            index, limit - len(prompt), self.options.stops, self.show, before=spanned
        )

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
                self.stepper.release(slot)
                yield row.index, row.completion()
