"""`python -m eval step`: what a decoding step costs, beside what the hardware would allow."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import tyro

from bytelm.toolkit import (
    MOST_HEADS,
    BatchSize,
    Engine,
    HeadCount,
    InputError,
    Model,
    Out,
    Positive,
    Range,
    bandwidth_bytes_per_s,
    check_options,
    matmul_flops_per_s,
    option,
    preset_model,
    progress_bar,
    say,
    seal,
    step_costs,
    write_json_result,
)
from eval.measure.options import DTYPES, DecoderOptions, dtype_name
from eval.records import Count, Number, Record, Sealed


class StepRow(Record):
    """The cost of a step at one batch size, position and width."""

    batch: Count
    """Rows."""
    position: Count
    """Where the rows are in their texts."""
    width: Count
    """Ids that the step feeds of each row."""
    step_s: Number
    """Seconds of the step, measured."""
    memory_s: Number | None = None
    """Seconds to read what the step reads, at the measured bandwidth."""
    compute_s: Number | None = None
    """Seconds to do the step's products, at the measured rate."""
    roofline_s: Number | None = None
    """The longer of the two: no step can be faster if the weights come from memory."""
    bound: str | None = None
    """Which of the two is longer: memory or products."""
    share: Number | None = None
    """The roofline's time by the measured time."""
    predicted_speedup: Number | None = None
    """How much faster than the first width, if as many drafts are accepted as was said."""


class StepResult(Sealed):
    """What `eval step` measures."""

    preset: str | None = None
    """The model's preset."""
    dtype: str
    """Of weights, keys and values."""
    engine: str
    parameters: Count
    """Parameters of the model, all of them."""
    bandwidth_bytes_per_s: Number | None = None
    """What this machine reads from memory in a second, measured."""
    matmul_flops_per_s: Number | None = None
    """The rate of a matrix product in the model's number type, measured."""
    rows: list[StepRow]


@dataclass(frozen=True)
class StepOptions:
    """The steps that are measured: every combination of width, batch size and position."""

    widths: tuple[HeadCount, ...] = (1, 2, 4, 8)
    """Ids that a step feeds of each row."""
    batches: tuple[BatchSize, ...] = (1, 16)
    """Rows."""
    positions: tuple[Annotated[int, Range(0, most=2**30)], ...] = (1024, 2000)
    """Where the rows are in their texts: how many positions attention reads."""
    rounds: Positive = 10
    """Times that each step is measured; the shortest counts."""
    acceptance: tuple[Annotated[float, Range(1, MOST_HEADS)], ...] = ()
    """Bytes per forward for each of the widths, to predict the speedup; or nothing."""
    engine: Engine = "auto"
    """What runs the steps."""


@dataclass(frozen=True)
class MachineRates:
    """What a device can do, measured: bytes read and matrix products, each in a second."""

    bandwidth_bytes_per_s: float
    matmul_flops_per_s: float


@dataclass(frozen=True)
class Roofline:
    """The least seconds of a step: for what it reads, and for its products."""

    memory_s: float
    compute_s: float


def measure_steps(model: Model, options: StepOptions) -> StepResult:
    """Time the steps of a model, and compute the roofline of each.

    Raises InputError for widths above the model's heads, and positions outside its context.
    """
    check_options(options)
    if options.acceptance and len(options.acceptance) != len(options.widths):
        raise InputError(f"{option('acceptance')} needs a number for each of {option('widths')}")
    parameter = next(model.parameters())
    rates = MachineRates(
        bandwidth_bytes_per_s(str(parameter.device)),
        matmul_flops_per_s(parameter.dtype, str(parameter.device)),
    )
    rows: list[StepRow] = []
    for batch in progress_bar(options.batches, desc="step", unit=" batches"):
        for position in options.positions:
            costs = step_costs(
                model, batch, list(options.widths), position, options.rounds, options.engine
            )
            for width in options.widths:
                limits = roofline(model, rates, batch, position, width, parameter.dtype.itemsize)
                row = _row(batch, position, width, costs[width], limits)
                rows.append(_with_speedup(row, costs, options))
    return StepResult(
        dtype=dtype_name(model),
        engine=options.engine,
        parameters=model.parameters_by_part()["total"],
        bandwidth_bytes_per_s=rates.bandwidth_bytes_per_s,
        matmul_flops_per_s=rates.matmul_flops_per_s,
        rows=rows,
    )


def roofline(
    model: Model, rates: MachineRates, batch: int, position: int, width: int, value_bytes: int
) -> Roofline:
    """The least seconds of a step on a machine of these rates; a value has `value_bytes` bytes."""
    work = model.decoding_work(batch, width, position, value_bytes)
    return Roofline(work.bytes / rates.bandwidth_bytes_per_s, work.flops / rates.matmul_flops_per_s)


def _row(batch: int, position: int, width: int, step_s: float, limits: Roofline) -> StepRow:
    memory_s, compute_s = limits.memory_s, limits.compute_s
    return StepRow(
        batch=batch,
        position=position,
        width=width,
        step_s=step_s,
        memory_s=memory_s,
        compute_s=compute_s,
        roofline_s=max(memory_s, compute_s),
        bound="memory" if memory_s > compute_s else "products",
        share=max(memory_s, compute_s) / step_s,
    )


def _with_speedup(row: StepRow, costs: dict[int, float], options: StepOptions) -> StepRow:
    """The row with the speedup that is predicted over the first width; as it is without one."""
    if not options.acceptance:
        return row
    gained = options.acceptance[options.widths.index(row.width)] / options.acceptance[0]
    speedup = gained * costs[options.widths[0]] / costs[row.width]
    return row.model_copy(update={"predicted_speedup": speedup})


def step_lines(result: StepResult) -> list[str]:
    """The measured rates and steps for a terminal."""
    lines = []
    if result.bandwidth_bytes_per_s is not None and result.matmul_flops_per_s is not None:
        lines.append(
            f"memory {result.bandwidth_bytes_per_s / 1e9:.1f} GB/s, "
            f"products {result.matmul_flops_per_s / 1e9:.0f} GFLOP/s"
        )
    for row in result.rows:
        line = (
            f"batch {row.batch:3d}  position {row.position:5d}  width {row.width:2d}  "
            f"{1e3 * row.step_s:9.3f} ms"
        )
        if row.roofline_s is not None:
            line += (
                f"  roofline {1e3 * row.roofline_s:9.3f} ms ({row.bound})  share {row.share:.2f}"
            )
        if row.predicted_speedup is not None:
            line += f"  speedup {row.predicted_speedup:.2f}"
        lines.append(line)
    return lines


@dataclass
class Step:
    """Time one decoding step of a preset with random weights, by width, batch size and position.

    Beside each time stands the roofline, the longer of two times: to read the weights and the rows'
    keys and values once, at the bandwidth measured here, and to do the step's matrix products, at
    the rate measured here. A model that fits the processor's cache may be faster than that.
    """

    preset: str = "tiny"
    """A preset's name, or the path of a .toml file like one."""
    out: Annotated[Path, Out()] | None = None
    """Also write the figures to this JSON file."""
    widths: tuple[HeadCount, ...] = (1, 2, 4, 8)
    """Ids that a step feeds of each row: 1 is plain decoding, w verifies w - 1 drafts."""
    batches: tuple[BatchSize, ...] = (1, 16)
    """Batch sizes: rows that a step feeds."""
    positions: tuple[Annotated[int, Range(0, most=2**30)], ...] = (1024, 2000)
    """Where the rows are in their texts: how many positions attention reads."""
    acceptance: tuple[Annotated[float, Range(1, MOST_HEADS)], ...] = ()
    """Bytes per forward for each of --widths, as measured elsewhere. With it, the speedup over the
    first width is predicted."""
    rounds: Positive = 10
    """Times that each step is measured, in turns; the shortest counts."""
    decoder: Annotated[DecoderOptions, tyro.conf.arg(name="")] = field(
        default_factory=DecoderOptions
    )

    def run(self) -> dict[str, Any]:
        options = StepOptions(
            self.widths, self.batches, self.positions, self.rounds, self.acceptance,
            self.decoder.engine,
        )  # fmt: skip
        model = preset_model(self.preset, DTYPES[self.decoder.dtype], self.decoder.device)
        result = measure_steps(model, options).model_copy(update={"preset": self.preset})
        figures = result.to_dict()
        if self.out is not None:
            write_json_result(self.out, seal(figures))
        for line in step_lines(result):
            say(line)
        return figures
