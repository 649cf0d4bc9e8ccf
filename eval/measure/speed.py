"""`python -m eval speed`: bytes per forward and bytes a second by k and batch (paper, Table S3)."""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import tyro

from bytelm.toolkit import (
    BatchSize,
    ByteCount,
    Completion,
    DecodeOptions,
    Engine,
    HeadCount,
    InputError,
    Model,
    Out,
    Positive,
    ProgressBar,
    Range,
    SamplingOptions,
    bytes_per_forward,
    check_options,
    generate,
    option,
    progress_bar,
    say,
    seal,
    write_json_result,
)
from eval.measure.options import DecoderOptions, dtype_name, with_checkpoint
from eval.measure.text import cut_prompts, distinct_windows, suite_prompts
from eval.records import SpeedResult, SpeedRow


@dataclass(frozen=True)
class SpeedOptions:
    """What `measure_speed` compares, and how often it measures."""

    heads: tuple[HeadCount, ...] = (1, 2, 4, 8)
    """The k to compare; k = 1 is always measured, the others are compared with it."""
    batches: tuple[BatchSize, ...] = (16, 1)
    """Batch sizes."""
    max_bytes: ByteCount = 1024
    """Bytes of a completion at most."""
    rounds: Positive = 2
    """Times that each row is measured."""
    prompts_per_row: Positive = 4
    """A batch of B rows completes at most B times this many prompts."""
    gate: Annotated[float, Range(0, 1, below=True)] | None = None
    """The least probability at which a draft is fed; 0: all are; None: as it pays here."""
    temperature: Annotated[float, Range(0, most=10**6)] = 0.0
    """0 is greedy; above, bytes are sampled."""
    stops: tuple[bytes, ...] = ()
    """Byte strings that end a completion."""
    engine: Engine = "auto"
    """What runs the steps."""

    def decode(self, k: int, batch: int) -> DecodeOptions:
        """The decoder's options for one row."""
        sampling = SamplingOptions(self.temperature)
        return DecodeOptions(
            self.max_bytes, k, batch, self.stops, sampling=sampling, gate=self.gate,
            engine=self.engine,
        )  # fmt: skip


@dataclass
class _Timed:
    """The completions of one k at one batch size, and the seconds of each round."""

    completions: list[Completion]
    seconds: list[float] = field(default_factory=list)

    @property
    def texts(self) -> list[bytes]:
        return [completion.text for completion in self.completions]


def measure_speed(model: Model, prompts: Sequence[bytes], options: SpeedOptions) -> SpeedResult:
    """Measure a row for each batch size and k, in the order of the options, k ascending.

    Rounds alternate over k. `identical` compares every byte with the text of k = 1 at the first
    batch size. Raises InputError for options that the model cannot serve.
    """
    check_options(options)
    heads = sorted({*options.heads, 1})
    for k in heads:
        options.decode(k, 1).check(model.config.prediction_heads)
    # The first call may compile: it is not measured.
    generate(model, prompts[:1], DecodeOptions(16, heads[-1], 1, engine=options.engine))
    started = time.monotonic()
    rows: list[SpeedRow] = []
    reference: list[bytes] = []
    total = len(options.batches) * options.rounds * len(heads)
    with progress_bar(total=total, desc="speed", unit=" runs") as bar:
        for batch in options.batches:
            chosen = prompts[: min(len(prompts), options.prompts_per_row * batch)]
            timed = _time_batch(model, chosen, heads, batch, options, bar)
            reference = reference or timed[1].texts
            rows += [
                _row(
                    k, batch, timed[k], timed[1], reference, _mean_bytes(chosen), options.max_bytes
                )
                for k in heads
            ]
    return SpeedResult(
        rows=rows,
        rounds=options.rounds,
        dtype=dtype_name(model),
        gate=options.gate,
        temperature=options.temperature,
        engine=options.engine,
        seconds=round(time.monotonic() - started, 3),
    )


def _time_batch(
    model: Model, prompts: Sequence[bytes], heads: Sequence[int], batch: int,
    options: SpeedOptions, bar: ProgressBar,
) -> dict[int, _Timed]:  # fmt: skip
    """What every k gives at one batch size, by k."""
    timed: dict[int, _Timed] = {}
    for _ in range(options.rounds):
        for k in heads:
            begun = time.perf_counter()
            completions = generate(model, prompts, options.decode(k, batch))
            seconds = time.perf_counter() - begun
            timed.setdefault(k, _Timed(completions)).seconds.append(seconds)
            size = sum(len(completion.text) for completion in completions)
            bar.set_postfix_str(f"batch {batch}, k {k}: {size / seconds:.0f} bytes/s")
            bar.update()
    return timed


def _mean_bytes(prompts: Sequence[bytes]) -> int:
    return round(sum(map(len, prompts)) / len(prompts))


def _row(
    k: int, batch: int, own: _Timed, plain: _Timed, reference: list[bytes], prompt_bytes: int,
    max_bytes: int,
) -> SpeedRow:  # fmt: skip
    texts = own.texts
    size, per_forward = sum(map(len, texts)), bytes_per_forward(own.completions)
    ratios = [one / other for one, other in zip(plain.seconds, own.seconds, strict=True)]
    lengths = [0] * k
    for completion in own.completions:
        for length in completion.accepted_ids:
            lengths[length - 1] += 1
    return SpeedRow(
        k=k,
        batch=batch,
        bytes_per_forward=per_forward,
        bytes_per_s=size / statistics.median(own.seconds),
        speedup=statistics.median(ratios),
        share=statistics.median(ratios) / per_forward,
        speedup_range=(min(ratios), max(ratios)),
        identical=all(a == b for a, b in zip(texts, reference, strict=False)),
        accepted_lengths=lengths,
        distinct_windows=distinct_windows(texts),
        ended=sum(one.finish_reason != "length" for one in own.completions) / len(texts),
        prompts=len(texts),
        prompt_bytes=prompt_bytes,
        max_bytes=max_bytes,
    )


def speed_lines(rows: Sequence[SpeedRow]) -> list[str]:
    """The rows for a terminal."""
    return [
        f"batch {row.batch:3d}  k {row.k:2d}  {row.bytes_per_forward:5.2f} bytes per forward  "
        f"{row.bytes_per_s:7.0f} bytes/s  {row.speedup:5.2f}x  "
        f"{'identical' if row.identical else 'DIFFERENT'}"
        for row in rows
    ]


@dataclass
class Speed:
    """Measure self-speculation against plain decoding (k = 1), and check that the text is the same.

    The time of a row is that of whole completions, the prompt's forward included. Its speedup is
    the ratio of times, k = 1 at the same batch size to this k; the median over rounds, which
    alternate over k. `identical` says whether every byte is that of k = 1 at the first batch size.
    """

    checkpoint: Path | None = None
    """A run folder, or one of its checkpoints. Default: weights/small, which a clone has."""
    data: Path | None = None
    """Shard folder. Prompts are cut from its held-out documents. Give this or --text."""
    text: Path | None = None
    """A file to cut prompts from, instead of --data."""
    suite: str | None = None
    """A suite whose prompts are completed, instead of --data: its solutions end by themselves, and
    do not loop. With the paper's stops."""
    out: Annotated[Path, Out()] | None = None
    """Also write the figures to this JSON file."""
    heads: tuple[HeadCount, ...] = (1, 2, 4, 8)
    """The k to compare: head 1 and k - 1 heads that draft. k = 1 is always among them."""
    batches: tuple[BatchSize, ...] = (16, 1)
    """Batch sizes: how many prompts are decoded side by side."""
    prompts: Positive = 48
    """Prompts for the largest batch. Give more than it has rows, or the last one runs alone."""
    prompt_bytes: ByteCount = 1024
    """Bytes of a prompt."""
    max_bytes: ByteCount = 1024
    """Bytes of a completion at most."""
    rounds: Positive = 2
    """Times that each row is measured."""
    gate: Annotated[float, Range(0, 1, below=True)] | None = None
    """Feed a draft only if its head is at least this sure of it; 0 feeds every draft. Default: as
    sure as pays on this machine, by the measured cost of a step."""
    temperature: Annotated[float, Range(0, most=10**6)] = 0.0
    """0 is greedy. Above 0, bytes are sampled, by the rule that gives the same text at every k."""
    prompts_per_row: Positive = 4
    """A batch of B rows completes at most B times this many prompts."""
    decoder: Annotated[DecoderOptions, tyro.conf.arg(name="")] = field(
        default_factory=lambda: DecoderOptions(dtype="float32")
    )

    def run(self) -> dict[str, Any]:
        checkpoint = self.decoder.load(self.checkpoint)
        prompts, stops = self._texts()
        options = SpeedOptions(
            self.heads, self.batches, self.max_bytes, self.rounds, self.prompts_per_row,
            self.gate, self.temperature, stops, self.decoder.engine,
        )  # fmt: skip
        result = with_checkpoint(measure_speed(checkpoint.model, prompts, options), checkpoint)
        result = result.model_copy(update={"suite": self.suite})
        figures = result.to_dict()
        if self.out is not None:
            write_json_result(self.out, seal(figures))
        for line in speed_lines(result.rows):
            say(line)
        return figures

    def _texts(self) -> tuple[list[bytes], tuple[bytes, ...]]:
        """The prompts, and the stops that end their completions."""
        if self.suite is not None and self.data is None and self.text is None:
            return suite_prompts(self.suite, self.prompts)
        if self.suite is not None or (self.data is None) == (self.text is None):
            one, other, third = (option(name) for name in ("data", "text", "suite"))
            raise InputError(f"give one of {one}, {other} and {third}")
        return cut_prompts(self.data, self.text, self.prompts, self.prompt_bytes), ()
