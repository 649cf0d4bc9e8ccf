"""`python -m eval training-time`: what n heads add to a training step (paper, Table S5)."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from bytelm.toolkit import (
    BatchSize,
    CostOptions,
    DefaultsByType,
    Device,
    HeadCount,
    ModelConfig,
    Out,
    Positive,
    Range,
    TrainOptions,
    preset_defaults,
    say,
    seal,
    training_costs,
    write_json_result,
)
from eval.measure.plots import plot_training_time
from eval.records import Count, Interval, Number, Record, Sealed

# The range over the paper's model sizes, of tokens; it has no row for bytes, nor for larger n.
PAPER_S5 = {1: "1.00", 2: "1.02-1.07", 4: "1.07-1.22"}
Kind = Literal["unembed", "linear", "block", "causal", "anticausal"]


class TrainingTimeRow(Record):
    """The time and memory of a training step, of one kind and number of heads."""

    kind: str
    """Kind of heads."""
    n: Count
    """Heads."""
    way: str
    """How heads are trained: sequential (one at a time), plain (losses added), eager or torch."""
    step_s: Number
    """Seconds of a step; the median, as where nothing else is said."""
    shortest_step_s: Number
    forward_backward_s: Number
    optimizer_s: Number
    cpu_s: Number
    """Seconds of the processors, over all cores."""
    ratio: Number
    """The time of a step by that of one head of the same kind, in the same round."""
    ratio_quartiles: Interval
    cpu_ratio: Number
    """The same of the processors' seconds."""
    cpu_ratio_quartiles: Interval
    held_bytes: Count
    """Memory that lasts from step to step."""
    activation_bytes: Count
    """The most memory that a step adds."""
    peak_bytes: Count
    """Both together."""
    peak_ratio: Number
    """Peak memory by that of one head of the same kind."""
    params: Count
    trunk_layers: Count
    hidden: Count
    flops: Number
    """Of a step."""
    matmul_share: Number
    """The rate of the shortest step by that of a matrix product in bfloat16."""
    compiled: bool
    paper: str | None = None
    """The paper's ratio."""


class LeftOut(Record):
    """A model that was not measured."""

    kind: str
    n: Count
    why: str


class TrainingTimeResult(Sealed):
    """What `eval training-time` measures."""

    preset: str | None = None
    model: dict[str, object]
    """Options of the model, before heads are exchanged."""
    train: dict[str, object]
    """Options of training."""
    device: str
    dtype: str
    """Of matrix products."""
    matmul_flops_per_s: Number
    """The rate of a matrix product in bfloat16, measured in the same minutes."""
    rows: list[TrainingTimeRow]
    left_out: list[LeftOut]


def measure_training_time(options: CostOptions) -> TrainingTimeResult:
    """Train models of each kind and number of heads in turns, and compare with one head.

    Raises InputError for models that cannot be made, and options that cannot be measured.
    """
    figures = training_costs(options)
    for row in figures["rows"]:
        row["paper"] = PAPER_S5.get(row["n"]) if row["way"] == "sequential" else None
    return TrainingTimeResult.model_validate(figures)


@dataclass
class TrainingTime:
    """Time a training step, and count its memory, by kind and number of heads.

    All models have the same number of parameters. Each is trained for some steps, the optimizer's
    included, in turns with the others. A ratio compares with one head of the same kind; it is the
    median over the rounds. Memory is what torch's allocator held: what lasts from step to step, and
    the most that a step adds to it.
    """

    model: ModelConfig
    """The model, whose heads are varied. The defaults are the preset's."""
    train: TrainOptions
    """What a step does. The defaults are the preset's."""
    preset: str = "tiny"
    """A preset's name, or the path of a .toml file like one."""
    heads: tuple[HeadCount, ...] = (1, 2, 4, 8)
    """The numbers of heads to compare. 1 must be among them: the others are compared with it."""
    kinds: tuple[Kind, ...] = ("unembed", "block")
    """Kinds of heads. Those with layers need more layers than heads (--model.layers)."""
    steps: Positive = 10
    """Steps that each is timed."""
    batch: BatchSize | None = None
    """Blocks in a batch; default: the preset's."""
    block: Annotated[int, Range(1, most=2**30)] | None = None
    """Bytes in a block; default: the preset's."""
    plain: bool = False
    """Also measure the plain way: the losses of all heads added, and one backward pass."""
    eager: bool = False
    """Also measure without compiled code: `eager`, and `torch`, with torch's own attention."""
    data: Path | None = None
    """Shard folder to take batches from; default: random bytes."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Number type of matrix products in training; auto measures which is faster here."""
    compile: bool = True
    """Compile the models where a compiler is present."""
    device: Device = "cpu"
    """Where the models are trained: cpu or cuda."""
    out: Annotated[Path, Out()] | None = None
    """Also write the figures to this JSON file, and a plot beside it (.png)."""

    @staticmethod
    def defaults(words: Sequence[str]) -> DefaultsByType:
        """Those of model and training, which the preset gives."""
        return preset_defaults(words)

    def run(self) -> dict[str, Any]:
        train = dataclasses.replace(
            self.train,
            batch=self.batch or self.train.batch,
            block=self.block or self.train.block,
        )
        options = CostOptions(
            model=self.model,
            train=train,
            kinds=tuple(dict.fromkeys(self.kinds)),
            heads=tuple(sorted(set(self.heads))),
            steps=self.steps,
            plain=self.plain,
            eager=self.eager,
            dtype=self.dtype,
            compiled=self.compile,
            device=self.device,
            data=self.data,
        )
        result = measure_training_time(options).model_copy(update={"preset": self.preset})
        figures = result.to_dict()
        say("\n".join(training_time_table(result)))
        if self.out is not None:
            write_json_result(self.out, seal(figures))
            plot_training_time(result, self.out.with_suffix(".png"))
        return figures


def training_time_table(result: TrainingTimeResult) -> list[str]:
    """The rows for a terminal, beside the paper's."""
    rate = result.matmul_flops_per_s / 1e9
    lines = [
        f"{result.dtype}; a matrix product in bfloat16: {rate:.0f} GFLOP/s",
        "kind        n  way         step ms  to n = 1 (quartiles)  processor  paper      "
        "fwd+bwd  optim.   peak MB  to n = 1  step's MB  share",
    ]
    for row in result.rows:
        low, high = row.ratio_quartiles
        lines.append(
            f"{row.kind:10s} {row.n:2d}  {row.way:10s} {1e3 * row.step_s:8.1f}  "
            f"{row.ratio:6.3f} ({low:.3f}-{high:.3f}) {row.cpu_ratio:10.3f}   "
            f"{row.paper or '':10s} {1e3 * row.forward_backward_s:8.1f} "
            f"{1e3 * row.optimizer_s:7.1f} {row.peak_bytes / 1e6:9.1f} "
            f"{row.peak_ratio:9.3f} {row.activation_bytes / 1e6:10.1f} "
            f"{row.matmul_share:6.2f}"
        )
    return lines
