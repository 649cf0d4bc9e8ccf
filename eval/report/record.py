"""report.json as a typed record: every figure of a run, and what made it."""

from pydantic import Field

from eval.records import (
    CompleteResult,
    CompressorBits,
    Count,
    DataFigures,
    GradeResult,
    HeadsBpb,
    Interval,
    Number,
    PartScore,
    Record,
    SpeedRow,
)


class Training(Record):
    """What was trained, and how far."""

    preset: str | None
    steps: Count | None
    bytes: Number | None
    """Bytes of training text read."""
    train_s: Number | None
    """Seconds of training."""
    parameters: dict[str, Number] | None
    """How many parameters each part of the model has; `total` is their sum."""
    final_bpb: Number | None
    """Head 1's bits per byte in the last step."""
    held_out_bpb: HeadsBpb | None
    """Bits per byte on a sample of the held-out text, of each head."""
    model: dict[str, object] | None
    train: dict[str, object] | None


class BitsSource(Record):
    """What the bits per byte were measured on."""

    bytes: Count | None = None
    documents: Count | None = None
    forecast_accepted: list[Count] | None = None
    """Item i counts the places where a forward would give i + 1 bytes."""
    seconds: Number | None = None
    checkpoint: str | None = None
    checkpoint_sha256: str | None = None


class SolutionScore(Record):
    """Bits per byte of a suite's reference solutions, given their prompts."""

    heads_bpb: list[Number | None]
    """Of each head; the first is head 1's."""
    heads_interval: list[Interval | None] | None = None
    """The 95 % interval of each, by bootstrap over the problems."""
    problems: Count | None = None
    """Problems whose solutions were scored."""
    bytes: Count | None = None
    """Bytes of the solutions."""
    checkpoint_sha256: str | None = None


class SuiteScore(GradeResult):
    """A suite's score, with the figures of its completions."""

    bytes_per_forward: Number | None = None
    """Bytes that one forward pass gave while the suite was completed."""
    distinct_windows: Number | None = None
    """The share (0 to 1) of distinct 32-byte windows in the completions."""
    complete: CompleteResult | None = None

    @property
    def levels(self) -> list[tuple[str, PartScore]]:
        """The levels of a suite that has them, in order, each with its score."""
        return sorted((self.by_level or {}).items())


class Report(Record):
    """The figures of a run. None, or empty, is what belongs to a stage that was not run."""

    run: str
    """The name of the run folder."""
    held_out_bpb: HeadsBpb | None
    """Bits per byte on held-out files, of each head."""
    forecast: dict[str, Number] | None
    """Expected bytes per forward, by k."""
    compressors: dict[str, CompressorBits] | None
    bits: BitsSource | None
    speed: list[SpeedRow]
    exercises: SuiteScore | None = None
    humaneval: SuiteScore | None
    micro: SuiteScore | None
    solution_bits: dict[str, SolutionScore] = Field(default_factory=dict)
    """By the suite's name."""
    training: Training
    data: DataFigures | None
    stages: dict[str, Number | None]
    """Seconds of each stage."""
    missing: list[str]
    """The stages that left nothing, each with the file that it would have left."""
    notes: list[str]
    """What a reader must know before believing the figures."""
    commands: dict[str, str]
    """The command line of each stage."""
    checkpoint: str | None
    """The newest checkpoint, relative to the run folder."""
    checkpoint_sha256: str | None
    machine: dict[str, object] | None
    versions: dict[str, object] | None

    @property
    def scores(self) -> dict[str, SuiteScore]:
        """The score of each suite that was graded, by its name."""
        found = {"exercises": self.exercises, "humaneval": self.humaneval, "micro": self.micro}
        return {suite: score for suite, score in found.items() if score is not None}
