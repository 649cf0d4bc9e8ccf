"""`python -m eval divergence`: does speculation change a byte, and how close was the choice?"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import tyro

from bytelm.toolkit import (
    BatchSize,
    ByteCount,
    DecodeOptions,
    Engine,
    HeadCount,
    InputError,
    Model,
    Out,
    Stopped,
    check_options,
    generate,
    option,
    progress_bar,
    read_prompts,
    say,
    seal,
    write_json_result,
)
from eval.measure.difference import FirstDifference, first_difference
from eval.measure.options import DecoderOptions, Dtype, dtype_name
from eval.records import Count, Number, Record, Sealed


class DivergenceRow(Record):
    """The comparison of one k at one batch size with plain decoding."""

    k: Count
    batch: Count
    bytes: Count
    """Bytes of the completions."""
    prompts: Count
    prompts_that_differ: Count
    """Prompts whose completion is not the reference."""
    differences: list[FirstDifference]
    """The first difference of every prompt that has one. An offset of -1: one text ends where the
    other goes on."""
    first_difference: FirstDifference | None


class DivergenceResult(Sealed):
    """What `eval divergence` finds."""

    dtype: str
    exact: bool
    engine: str
    bytes_compared: Count
    differences: Count
    """First differences, over all rows."""
    widest_gap_ulps: Number
    """How far the worst byte of any of them lies behind the likeliest, in steps of the type."""
    near_ties_only: bool
    """Whether none lies further behind than 2 steps."""
    rows: list[DivergenceRow]
    checkpoint_sha256: str | None = None


@dataclass(frozen=True)
class DivergenceOptions:
    """The k and batch sizes to compare, and the decoder's options that all have in common."""

    heads: tuple[HeadCount, ...] = (2, 4, 8)
    """The k to compare with k = 1."""
    batches: tuple[BatchSize, ...] = (1, 3, 16)
    """Batch sizes."""
    max_bytes: ByteCount = 1024
    """Bytes of a completion at most."""
    stops: tuple[bytes, ...] = ()
    """What ends a completion."""
    exact: bool = False
    """Decode plainly in blocks as wide as speculation's."""
    engine: Engine = "auto"
    """What runs the steps."""


def measure_divergence(
    model: Model, float32_model: Model, prompts: Sequence[bytes], options: DivergenceOptions
) -> DivergenceResult:
    """Decode the prompts with each k at each batch size, and compare with k = 1.

    The reference is k = 1 at the first batch size. `float32_model` has the same weights, and says
    how close the choice was where two texts differ.
    """
    check_options(options)
    if not options.heads or not options.batches:
        raise InputError(f"{option('heads')} and {option('batches')} name at least one each")
    dtype = dtype_name(model)
    rows: list[DivergenceRow] = []
    reference: list[bytes] = []
    pairs = [(1, batch) for batch in options.batches]
    pairs += [(k, batch) for k in options.heads for batch in options.batches]
    with progress_bar(total=len(pairs), desc="divergence", unit=" runs") as bar:
        for k, batch in pairs:
            decode = DecodeOptions(
                options.max_bytes, k, batch, options.stops, engine=options.engine,
                exact=options.exact,
            )  # fmt: skip
            texts = [completion.text for completion in generate(model, prompts, decode)]
            bar.update()
            if reference:
                rows.append(_row(k, batch, texts, reference, prompts, float32_model, dtype))
            reference = reference or texts
    found = [difference for row in rows for difference in row.differences]
    return DivergenceResult(
        dtype=dtype,
        exact=options.exact,
        engine=options.engine,
        bytes_compared=sum(row.bytes for row in rows),
        differences=len(found),
        widest_gap_ulps=max((difference.ulps for difference in found), default=0.0),
        near_ties_only=all(difference.near_tie for difference in found),
        rows=rows,
    )


def _row(
    k: int, batch: int, texts: list[bytes], reference: list[bytes], prompts: Sequence[bytes],
    float32_model: Model, dtype: Dtype,
) -> DivergenceRow:  # fmt: skip
    return DivergenceRow(
        k=k,
        batch=batch,
        bytes=sum(map(len, texts)),
        prompts=len(prompts),
        prompts_that_differ=sum(a != b for a, b in zip(texts, reference, strict=True)),
        differences=_differences(texts, reference, prompts, float32_model, dtype),
        first_difference=first_difference(texts, reference, prompts, float32_model, dtype),
    )


def _differences(
    texts: list[bytes],
    reference: list[bytes],
    prompts: Sequence[bytes],
    float32_model: Model,
    dtype: Dtype,
) -> list[FirstDifference]:
    """The first difference of every prompt that has one."""
    found: list[FirstDifference] = []
    for index in range(len(texts)):
        one = slice(index, index + 1)
        gap = first_difference(texts[one], reference[one], prompts[one], float32_model, dtype)
        if gap is not None:
            found.append(gap.model_copy(update={"prompt": index}))
        elif texts[index] != reference[index]:
            # One text ends where the other goes on: there is no byte to compare, so no near-tie.
            found.append(FirstDifference(prompt=index, offset=-1, gap=0.0, gap_ulps=1e9))
    return found


def divergence_lines(result: DivergenceResult) -> list[str]:
    """The comparison for a terminal."""
    lines = [
        f"k {row.k:2d}  batch {row.batch:2d}  {row.bytes} bytes  "
        f"{row.prompts_that_differ} of {row.prompts} prompts differ"
        for row in result.rows
    ]
    lines.append(
        f"{result.bytes_compared} bytes compared, {result.differences} first differences, "
        f"the widest gap {result.widest_gap_ulps:.2f} ulps of {result.dtype}"
    )
    if not result.near_ties_only:
        lines.append("a difference is no near-tie: speculation has changed the text")
    return lines


@dataclass
class Divergence:
    """Compare every byte of speculative decoding with plain decoding by the same engine and type.

    The reference is k = 1 at the first batch size. Where a text first differs from it, the logits
    are computed in float32. If one of the two bytes lies more than 2 steps (ulps) of the number
    type behind the likeliest, it is no near-tie, and the command ends with exit status 1.
    """

    checkpoint: Path
    """A run folder, or one of its checkpoints."""
    prompts: Path
    """JSON lines; each row has text in "prompt" or bytes in "prompt_base64"."""
    out: Annotated[Path, Out()] | None = None
    """Also write the figures to this JSON file."""
    heads: tuple[HeadCount, ...] = (2, 4, 8)
    """The k to compare with k = 1: head 1 and k - 1 heads that draft."""
    batches: tuple[BatchSize, ...] = (1, 3, 16)
    """Batch sizes: how many prompts are decoded side by side."""
    max_bytes: ByteCount = 1024
    """Bytes of a completion at most."""
    stop: tuple[str, ...] = ()
    r"""Text that ends a completion. It is taken literally: \n is a backslash and an n."""
    exact: bool = False
    """Decode plainly in blocks as wide as speculation's (the native engine has no need of it)."""
    decoder: Annotated[DecoderOptions, tyro.conf.arg(name="")] = field(
        default_factory=DecoderOptions
    )

    def run(self) -> dict[str, Any]:
        prompts = read_prompts(self.prompts, ids=False).texts
        checkpoint = self.decoder.load(self.checkpoint)
        # In float32, but with weights rounded to the type that is decoded in.
        float32_model = self.decoder.load(self.checkpoint).model.float()
        float32_model.build_constants()
        options = DivergenceOptions(
            self.heads, self.batches, self.max_bytes, tuple(stop.encode() for stop in self.stop),
            self.exact, self.decoder.engine,
        )  # fmt: skip
        result = measure_divergence(checkpoint.model, float32_model, prompts, options)
        result = result.model_copy(update={"checkpoint_sha256": checkpoint.sha256})
        figures = result.to_dict()
        if self.out is not None:
            write_json_result(self.out, seal(figures))
        for line in divergence_lines(result):
            say(line)
        if not result.near_ties_only:
            raise Stopped(figures, 1)
        return figures
