"""`python -m eval sweep`: compare models of different n in bits per byte, acceptance and speed."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

from bytelm.toolkit import (
    ByteCount,
    Checkpoint,
    DecodeOptions,
    InputError,
    Model,
    Out,
    Positive,
    SamplingOptions,
    Split,
    bytes_per_forward,
    generate,
    load_checkpoint,
    option,
    progress_bar,
    say,
    score_documents,
    seal,
    write_json_result,
)
from eval.measure.text import distinct_windows
from eval.records import Count, HeadsBpb, Number, Record, Sealed

WIDTHS = (2, 4, 8, 16, 32)
SAMPLED_TEMPERATURE = 0.8


class WrittenText(Record):
    """Figures of the text that a model wrote with k heads, all drafts verified in each forward."""

    bytes_per_forward: Number
    distinct_windows: Number
    """The share (0 to 1) of distinct 32-byte windows. Low if the text repeats itself."""


class SweepRow(Record):
    """The figures of one model."""

    n: Count
    """Prediction heads."""
    head_kind: str
    parameters: dict[str, Count]
    """Number of parameters by part of the model."""
    trained_bytes: Count | None
    """Bytes of training text read."""
    heads_bpb: HeadsBpb
    """Bits per byte of each head, on the held-out documents."""
    acceptance: list[Number]
    """For heads 2, 3, ...: the share of drafts accepted, given that all earlier ones were."""
    true_text: dict[str, Number]
    """Bytes per forward by k, if head 1 always predicted the bytes of the held-out text."""
    greedy: dict[str, WrittenText]
    """Figures of greedy completions, by k."""
    sampled: dict[str, WrittenText]
    """Figures of completions sampled at a temperature of 0.8, by k."""
    checkpoint: str
    checkpoint_sha256: str


class SweepResult(Sealed):
    """The results of `eval sweep`, as in sweep.json."""

    rows: list[SweepRow]
    held_out_bytes: Count
    """Bytes of held-out text that each model was scored on."""
    held_out_sha256: str
    prompts: Count
    max_bytes: Count
    """Length limit of a completion, in bytes."""
    seconds: Number | None = None
    """Wall-clock seconds of the command."""


def measure_model(
    checkpoint: Checkpoint, documents: Sequence[bytes], prompts: Sequence[bytes], max_bytes: int
) -> SweepRow:
    """Score a model on documents, and let it complete prompts by at most `max_bytes` bytes."""
    model, n = checkpoint.model, checkpoint.config.prediction_heads
    score = score_documents(model, documents, progress=True)
    score.check_finite(model)
    widths = sorted({k for k in WIDTHS if k < n} | ({n} if n > 1 else set()))
    greedy, sampled = (
        {str(k): _write(model, prompts, k, max_bytes, temperature) for k in widths}
        for temperature in (0.0, SAMPLED_TEMPERATURE)
    )
    return SweepRow(
        n=n,
        head_kind=checkpoint.config.head_kind,
        parameters=model.parameters_by_part(),
        trained_bytes=checkpoint.progress.get("bytes"),
        heads_bpb=score.heads_bpb(),
        acceptance=acceptance(score.accepted),
        true_text={str(k): value for k, value in score.forecast.items() if k > 1},
        greedy=greedy,
        sampled=sampled,
        checkpoint=str(checkpoint.folder),
        checkpoint_sha256=checkpoint.sha256,
    )


def _write(
    model: Model, prompts: Sequence[bytes], k: int, max_bytes: int, temperature: float
) -> WrittenText:
    sampling = SamplingOptions(temperature, seed=1)
    options = DecodeOptions(max_bytes, k, len(prompts), sampling=sampling, gate=0.0)
    found = generate(model, prompts, options)
    return WrittenText(
        bytes_per_forward=bytes_per_forward(found),
        distinct_windows=distinct_windows([completion.text for completion in found]),
    )


def acceptance(blocks: Sequence[int]) -> list[float]:
    """For heads 2, 3, ...: the share of drafts accepted, given that all earlier ones were.

    `blocks[j]` is the number of verified blocks that gave j + 1 bytes.
    """
    reached = [sum(blocks[j:]) for j in range(len(blocks))]
    return [after / before if before else 0.0 for before, after in pairwise(reached)]


def sweep_table(rows: Sequence[SweepRow]) -> list[str]:
    """The comparison as lines of text."""
    lines = [
        " n   params   head 1   accepted: head 2     3     4     8   bytes/forward, all n drafting:"
        "  true text   sampled   greedy"
    ]
    for row in rows:
        accepted = [row.acceptance[i] if len(row.acceptance) > i else None for i in (0, 1, 2, 6)]
        shares = "  ".join("   -" if share is None else f"{share:4.2f}" for share in accepted)
        n = str(row.n)
        written = [row.sampled.get(n), row.greedy.get(n)]
        speeds = [row.true_text.get(n), *(text and text.bytes_per_forward for text in written)]
        found = ["1.00" if speed is None else f"{speed:.2f}" for speed in speeds]
        lines.append(
            f"{n:>2} {row.parameters['total'] / 1e6:7.2f}M {row.heads_bpb[0]:8.3f}"
            f"             {shares}{'':34}{found[0]:>9}{found[1]:>10}{found[2]:>9}"
        )
    return lines


@dataclass
class Sweep:
    """Compare trained models that differ in their number of heads.

    Each model is scored on the held-out documents. Then it completes prompts, with all drafts
    verified in each forward: greedily, and sampled at a temperature of 0.8, which repeats less.
    "True text" counts the bytes per forward that would be accepted if head 1 always predicted the
    bytes of the held-out text.
    """

    runs: tuple[Path, ...]
    """Run folders or checkpoints, in the order of the table."""
    data: Path
    """Shard folder. Its held-out documents are scored, and the prompts are cut from them."""
    out: Annotated[Path, Out()] | None = None
    """Also write the figures to this JSON file."""
    prompts: Positive = 24
    """Number of prompts to complete."""
    prompt_bytes: ByteCount = 512
    """Bytes in each prompt."""
    max_bytes: ByteCount = 512
    """Length limit of a completion, in bytes."""

    def run(self) -> dict[str, Any]:
        if not self.runs:
            raise InputError(f"{option('runs')} needs at least one run folder")
        started = time.monotonic()
        held_out = Split(self.data, "held_out")
        prompts = held_out.cuts(self.prompts, self.prompt_bytes)
        documents = [document.tobytes() for document in held_out]
        rows = []
        with progress_bar(self.runs, desc="sweep", unit=" runs") as bar:
            for path in bar:
                bar.set_postfix_str(str(path))
                checkpoint = load_checkpoint(path)
                rows.append(measure_model(checkpoint, documents, prompts, self.max_bytes))
        result = SweepResult(
            rows=rows,
            held_out_bytes=sum(map(len, documents)),
            held_out_sha256=held_out.sha256,
            prompts=len(prompts),
            max_bytes=self.max_bytes,
            seconds=round(time.monotonic() - started, 1),
        )
        figures = result.to_dict()
        if self.out is not None:
            write_json_result(self.out, seal(figures))
        for line in sweep_table(rows):
            say(line)
        return figures
