"""Time and memory of a training step, by number and kind of heads (paper, Table S5).

The step is the real one (`compute_gradients` and `apply_gradients` of `Learner`), optimizer
included. The models have equal parameters. They are measured in turns in one process, so that other
load on the machine affects all alike. Each is compared with one head of its kind in the same round.
"""

import dataclasses
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from bytelm.base.device import Device, check_device
from bytelm.base.errors import InputError, option
from bytelm.base.options import HeadCount, Positive, check_options
from bytelm.base.rates import matmul_flops_per_s
from bytelm.config import HeadKind, ModelConfig
from bytelm.files.streams import progress_bar, say
from bytelm.model.equal import at_equal_parameters
from bytelm.native.toolchain import prepare_torch
from bytelm.shards import Split
from bytelm.training.cell import UNCOMPILED, WAYS, Cell, random_batches, shard_batches
from bytelm.training.device.compile_cache import (
    header_folder,
    remove_cut_code,
    remove_cut_headers,
)
from bytelm.training.device.speedups import pick_dtype
from bytelm.training.learner import Execution
from bytelm.training.optim.guard import GuardOptions
from bytelm.training.options import TrainOptions, check_block


@dataclass(frozen=True)
class CostOptions:
    """What `training_costs` measures."""

    model: ModelConfig
    train: TrainOptions
    kinds: tuple[HeadKind, ...] = ("unembed", "block")
    heads: tuple[HeadCount, ...] = (1, 2, 4, 8)
    steps: Positive = 10
    plain: bool = False
    eager: bool = False
    dtype: str = "auto"
    compiled: bool = True
    device: Device = "cpu"
    data: Path | None = None


def _configs(
    config: ModelConfig, options: CostOptions
) -> tuple[dict[tuple[HeadKind, int], ModelConfig], list[dict[str, Any]]]:
    """The models by (kind, n), and the combinations that are impossible, with the reason.

    Raises InputError if one head is impossible, since all are compared with it.
    """
    found, left_out = {}, []
    for kind in options.kinds:
        for n in options.heads:
            try:
                found[kind, n] = at_equal_parameters(config, n, kind)
            except InputError as error:
                left_out.append({"kind": kind, "n": n, "why": str(error)})
    for entry in left_out:
        if entry["n"] == 1:
            raise InputError(f"{entry['kind']} heads, n = 1: {entry['why']}")
    return found, left_out


def training_costs(options: CostOptions) -> dict[str, Any]:
    """One row of figures per model, and the FLOP/s of a bfloat16 matrix product between steps.

    Raises InputError for wrong options. Prints which combinations are left out.
    """
    if options.steps < 1 or 1 not in options.heads:
        raise InputError(
            f"{option('steps')} must be at least 1, and {option('heads')} must hold 1, "
            "to compare with"
        )
    check_options(options)
    check_device(options.device)
    config = options.model
    check_block(config, options.train)
    # Without a guard against spikes: a skipped step would not run the optimizer.
    train = dataclasses.replace(options.train, guard=GuardOptions(spike=0.0))
    configs, left_out = _configs(config, options)
    for entry in left_out:
        say(f"left out: {entry['kind']} heads, n = {entry['n']}: {entry['why']}")
    split = None if options.data is None else Split(options.data, "train")
    dtype = pick_dtype(options.dtype, options.device)
    if options.compiled:
        from torch._inductor.runtime.cache_dir_utils import cache_dir  # takes a second

        prepare_torch()
        remove_cut_code(Path(cache_dir()))
        remove_cut_headers(header_folder())
    cells = []
    wanted = [(kind, n, way) for kind, n in configs for way in _ways(options, n)]
    for kind, n, way in (bar := progress_bar(wanted, desc="compiling")):
        bar.set_postfix_str(f"{kind}, n = {n}, {way}")
        batches = (
            random_batches(train, n, options.device)
            if split is None
            else shard_batches(train, n, options.device, split)
        )
        execution = Execution(options.device, dtype, options.compiled and way not in UNCOMPILED)
        cell = Cell(kind, n, way, WAYS[way](configs[kind, n], train, execution), batches)
        cell.prepare()
        cells.append(cell)
    rate = _in_turns(cells, options.steps, options.device)
    return {
        "model": config.to_dict(),
        "train": train.to_dict(),
        "device": options.device,
        "dtype": str(dtype).removeprefix("torch."),
        "matmul_flops_per_s": rate,
        "rows": _rows(cells, rate),
        "left_out": left_out,
    }


def _ways(options: CostOptions, n: int) -> list[str]:
    """The ways to train n heads that are measured. With one head, "plain" equals "sequential"."""
    plain = ["plain"] if options.plain and n > 1 else []
    # Without compilation, "eager" equals "sequential". On a GPU, torch's attention is always used.
    eager = ["eager"] if options.eager and options.compiled else []
    own = ["torch"] if options.eager and options.device == "cpu" else []
    return ["sequential", *plain, *eager, *own]


def _in_turns(cells: Sequence[Cell], steps: int, device: str) -> float:
    """Time `steps` steps of each cell, in turns.

    Returns the best rate (FLOP/s) of a bfloat16 matrix product, measured once per round.
    """
    rate = 0.0
    for index in progress_bar(range(steps), desc="measuring", unit="round"):
        rate = max(rate, matmul_flops_per_s(torch.bfloat16, device))
        # The order alternates, so that a machine that slows down favours no cell.
        for cell in cells if index % 2 == 0 else reversed(cells):
            cell.steps.append(cell.step(2 + index))
    return rate


def _rows(cells: Sequence[Cell], rate: float) -> list[dict[str, Any]]:
    first = {cell.kind: cell for cell in cells if (cell.n, cell.way) == (1, "sequential")}
    return [_row(cell, first[cell.kind], rate) for cell in cells]


def _row(cell: Cell, one: Cell, rate: float) -> dict[str, Any]:
    def median(name: str, of: Cell = cell) -> float:
        return statistics.median(getattr(step, name) for step in of.steps)

    def ratios(name: str) -> list[float]:
        pairs = zip(cell.steps, one.steps, strict=True)
        return [getattr(mine, name) / getattr(its, name) for mine, its in pairs]

    options, config = cell.learner.options, cell.learner.model.config
    flops = cell.learner.flops_per_byte * options.batch * options.block
    peak = cell.held_bytes + cell.activation_bytes
    return {
        "kind": cell.kind,
        "n": cell.n,
        "way": cell.way,
        "step_s": median("step_s"),
        "shortest_step_s": min(step.step_s for step in cell.steps),
        "forward_backward_s": median("forward_backward_s"),
        "optimizer_s": median("optimizer_s"),
        "cpu_s": median("cpu_s"),
        "ratio": statistics.median(ratios("step_s")),
        "ratio_quartiles": _quartiles(ratios("step_s")),
        "cpu_ratio": statistics.median(ratios("cpu_s")),
        "cpu_ratio_quartiles": _quartiles(ratios("cpu_s")),
        "held_bytes": cell.held_bytes,
        "activation_bytes": cell.activation_bytes,
        "peak_bytes": peak,
        "peak_ratio": peak / (one.held_bytes + one.activation_bytes),
        "params": cell.learner.parameters["total"],
        "trunk_layers": config.trunk_layers,
        "hidden": config.hidden,
        "flops": flops,
        # The shortest step over the best rate: other load on the machine would look like idling.
        "matmul_share": flops / min(step.step_s for step in cell.steps) / rate,
        "compiled": cell.learner.compiled,
    }


def _quartiles(values: list[float]) -> list[float]:
    if len(values) == 1:
        return values * 2
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return [low, high]
