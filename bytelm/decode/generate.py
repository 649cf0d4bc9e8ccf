"""Complete many prompts by self-speculative decoding: the host's loop around the engine's steps.

Rows do not wait for each other. Each row advances by the bytes that it accepts, and a row that ends
is replaced by the next prompt. The engine accepts drafts and handles ends of documents and length
limits. Every few steps the host reads the new bytes, searches them for stops, and admits prompts.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence

from bytelm.base.device import check_memory
from bytelm.base.errors import InputError, setting
from bytelm.decode.native.stepper import NativeStepper
from bytelm.decode.options import DecodeOptions
from bytelm.decode.prompts import Prompt, prompt_ids, text_before
from bytelm.decode.row import Completion, Row
from bytelm.decode.step import Drafter
from bytelm.decode.stepper import Stepper, TorchStepper
from bytelm.files.streams import say
from bytelm.model.model import SLACK, Model
from bytelm.model.work import kv_bytes
from bytelm.native.build import NoCompilerError

# Steps between two reads by the host. A row that has reached a stop idles for at most this many.
STEPS_PER_CHECK = 8
# When text is streamed, the host reads after every step.
STEPS_PER_CHECK_STREAMING = 1

_said: set[str] = set()


def generate(
    model: Model,
    prompts: Sequence[Prompt],
    options: DecodeOptions,
    show: Callable[[int, bytes], None] | None = None,
    drafter: Drafter | None = None,
) -> list[Completion]:
    """Complete every prompt; returns the completions in the order of the prompts.

    With `options.samples` of n, the n completions of a prompt follow each other in the list. The
    arguments and errors are those of `generate_rows`.
    """
    found = dict(generate_rows(model, prompts, options, show, drafter))
    return [found[index] for index in range(len(prompts) * options.samples)]


def generate_rows(
    model: Model,
    prompts: Sequence[Prompt],
    options: DecodeOptions,
    show: Callable[[int, bytes], None] | None = None,
    drafter: Drafter | None = None,
    only: Sequence[int] | None = None,
) -> Iterator[tuple[int, Completion]]:
    """Complete every prompt; yields (index, completion) for each completion when it ends.

    With `options.samples` of n, sample i of prompt p has the index p * n + i. Head 1 alone decides
    the text: greedy text is its argmax, and sampled text follows its distribution, whatever
    `options.heads` and `options.batch` are. A prompt may be a Gap, which is then filled.

    `show`: called with (index, piece) as soon as a piece is final, that is, cannot belong to a
    stop. `drafter`: makes the drafts instead of the model's own heads. `only`: the indices to
    complete, by default all; this does not change any completion.

    Raises InputError for a prompt that does not fit the context, for options that this model or
    machine cannot use, and when the model gives logits that are not finite.
    """
    check_request(model, prompts, options)
    indices = range(len(prompts) * options.samples) if only is None else only
    if indices:
        yield from _Loop(model, prompts, options, show, drafter, indices).run()


def stream(
    model: Model, prompt: Prompt, options: DecodeOptions, drafter: Drafter | None = None
) -> Generator[bytes, None, None]:
    """Complete one prompt; yields its bytes in pieces, as soon as they cannot belong to a stop.

    A step runs only when the next piece is requested. Closing the generator ends the decoding and
    frees the engine. The errors are those of `generate_rows`, raised at the call.
    """
    check_request(model, [prompt], options)
    pieces: list[bytes] = []
    loop = _Loop(model, [prompt], options, lambda _, piece: pieces.append(piece), drafter, [0])
    return _pieces(loop, pieces)


def _pieces(loop: "_Loop", pieces: list[bytes]) -> Generator[bytes, None, None]:
    for _ in loop.steps():
        if pieces:
            yield b"".join(pieces)
            pieces.clear()


def check_request(model: Model, prompts: Sequence[Prompt], options: DecodeOptions) -> None:
    """Raise InputError if this model cannot complete these prompts with these options."""
    options.check(model.config.prediction_heads)
    options.check_count(len(prompts))
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
    """Make the engine that `options.engine` names; `auto` is the fastest one that works here.

    `batch`: the number of rows. `reach`: how many positions a row may use. Raises InputError if the
    engine does not work for this model, drafter or machine.
    """
    _check_memory(model, batch, reach)
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


def _check_memory(model: Model, batch: int, reach: int) -> None:
    config, weight = model.config, model.embedding.weight
    slots = min(config.window or reach, reach)
    needed_bytes = batch * slots * kv_bytes(config, config.trunk_layers, weight.dtype.itemsize)
    what = f"{setting('batch', batch)} at {reach} positions"
    check_memory(needed_bytes, str(weight.device), what, "take a smaller batch")


class _Loop:
    def __init__(
        self,
        model: Model,
        prompts: Sequence[Prompt],
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

    def _limit(self, prompt: Prompt) -> int:
        """The last position that a row may reach. The prompt's last id is at len(prompt)."""
        return min(len(prompt) + self.options.max_bytes, self.model.config.context - 1)

    def run(self) -> Iterator[tuple[int, Completion]]:
        """Yield (index, completion) for each completion when it ends."""
        return (ended for ended in self.steps() if ended is not None)

    def steps(self) -> Iterator[tuple[int, Completion] | None]:
        """Like `run`, but also yields None after each read of new bytes."""
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
        self.stepper.admit(slot, prompt_ids(prompt), limit, index)
        spanned = text_before(prompt) if self.options.stops_span_prompt else b""
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
