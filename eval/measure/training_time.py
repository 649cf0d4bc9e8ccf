"""`python -m eval training-time`: what n heads add to a training step (paper, Table S5)."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from bytelm.toolkit import (
    CostOptions,
    DefaultsByType,
    ModelConfig,
    Range,
    TrainOptions,
    preset_defaults,
    say,
    seal,
    training_costs,
    write_json,
)
from eval.measure.plots import plot_training_time

# The range over the paper's model sizes, of tokens; it has no row for bytes, nor for larger n.
PAPER_S5 = {1: "1.00", 2: "1.02-1.07", 4: "1.07-1.22"}
Kind = Literal["unembed", "linear", "block", "causal", "anticausal"]


@dataclass
class TrainingTime:
    """Time a training step, and count its memory, by kind and number of heads.

    Models have equal parameters. Steps are training's own, optimizer included, of all models in
    turns; a ratio is the median over the rounds of that to one head of the same kind. Memory is
    what torch's allocator held: what lasts from step to step and the most that a step adds to it.
    """

    model: ModelConfig
    """The model, whose heads are varied. The defaults are the preset's."""
    train: TrainOptions
    """What a step does. The defaults are the preset's."""
    preset: str = "tiny"
    """A preset's name, or the path of a .toml file like one."""
    heads: tuple[int, ...] = (1, 2, 4, 8)
    """The n to compare; 1, with which the others are compared, must be among them."""
    kinds: tuple[Kind, ...] = ("unembed", "block")
    """Kinds of heads. Those with layers need more layers than heads (--model.layers)."""
    steps: Annotated[int, Range(1)] = 10
    """Steps that each is timed."""
    batch: Annotated[int, Range(1)] | None = None
    """Blocks in a batch; default: the preset's."""
    block: Annotated[int, Range(1)] | None = None
    """Bytes in a block; default: the preset's."""
    plain: bool = False
    """Also measure the plain way: all heads' losses added, and one backward."""
    eager: bool = False
    """Also measure without compiled code: `eager`, and `torch`, with torch's own attention."""
    data: Path | None = None
    """Shard folder to take batches from; default: random bytes."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of matrix products in training; auto measures which is faster here."""
    compile: bool = True
    """Compile the models where a compiler is present."""
    device: str = "cpu"
    """cpu or cuda."""
    out: Path | None = None
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
        figures = {"preset": self.preset, **training_costs(options)}
        for row in figures["rows"]:
            row["paper"] = PAPER_S5.get(row["n"]) if row["way"] == "sequential" else None
        say("\n".join(training_time_table(figures)))
        if self.out is not None:
            write_json(self.out, seal(figures))
            plot_training_time(figures, self.out.with_suffix(".png"))
        return figures


def training_time_table(figures: dict[str, Any]) -> list[str]:
    """The rows for a person, beside the paper's."""
    rate = figures["matmul_flops_per_s"] / 1e9
    lines = [
        f"{figures['dtype']}; a matrix product in bfloat16: {rate:.0f} GFLOP/s",
        "kind        n  way         step ms  to n = 1 (quartiles)  processor  paper      "
        "fwd+bwd  optim.   peak MB  to n = 1  step's MB  share",
    ]
    for row in figures["rows"]:
        low, high = row["ratio_quartiles"]
        lines.append(
            f"{row['kind']:10s} {row['n']:2d}  {row['way']:10s} {1e3 * row['step_s']:8.1f}  "
            f"{row['ratio']:6.3f} ({low:.3f}-{high:.3f}) {row['cpu_ratio']:10.3f}   "
            f"{row['paper'] or '':10s} {1e3 * row['forward_backward_s']:8.1f} "
            f"{1e3 * row['optimizer_s']:7.1f} {row['peak_bytes'] / 1e6:9.1f} "
            f"{row['peak_ratio']:9.3f} {row['activation_bytes'] / 1e6:10.1f} "
            f"{row['matmul_share']:6.2f}"
        )
    return lines
