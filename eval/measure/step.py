"""`python -m eval step`: what a decoding step costs, beside what the hardware would allow."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tqdm import tqdm

from bytelm.toolkit import (
    InputError,
    bandwidth_bytes_per_s,
    matmul_flops_per_s,
    preset_model,
    say,
    seal,
    step_costs,
    write_json,
)
from eval.measure.speed import DTYPES


@dataclass
class Step:
    """Time one decoding step of a preset with random weights, by width, batch and position.

    The roofline is the longer of two times: to read the weights and the rows' keys and values once
    at the measured bandwidth, and to do the step's products at the measured rate. (A model that
    fits a processor's cache may be faster than its memory: a share above 1.) With --acceptance,
    bytes a forward by width as measured elsewhere, it predicts the speedup over width 1.
    """

    preset: str = "tiny"
    """A preset's name, or the path of a .toml file like one."""
    out: Path | None = None
    """Also write the figures to this JSON file."""
    widths: tuple[int, ...] = (1, 2, 4, 8)
    """Ids a row that a step feeds."""
    batches: tuple[int, ...] = (1, 16)
    """Rows."""
    positions: tuple[int, ...] = (1024, 2000)
    """Where the rows are: how many positions attention reads."""
    acceptance: tuple[float, ...] = ()
    """Bytes a forward for each of --widths, to predict the speedup."""
    rounds: int = 10
    """Steps that each is timed, in turns; the shortest counts."""
    dtype: Literal["float32", "bfloat16"] = "bfloat16"
    """Of weights, keys and values."""
    engine: Literal["auto", "native", "compiled", "eager"] = "auto"
    """As in `python -m bytelm generate`."""
    device: str = "cpu"
    """cpu or cuda."""

    def run(self) -> dict[str, Any]:
        if min(self.rounds, *self.batches, *self.widths) < 1:
            raise InputError("--rounds, --batches and --widths must be at least 1")
        if self.acceptance and len(self.acceptance) != len(self.widths):
            raise InputError("--acceptance needs one number for each of --widths")
        dtype = DTYPES[self.dtype]
        model = preset_model(self.preset, dtype, self.device)
        read, products = bandwidth_bytes_per_s(self.device), matmul_flops_per_s(dtype, self.device)
        rows: list[dict[str, Any]] = []
        for batch in tqdm(self.batches, desc="step", unit=" batches", dynamic_ncols=True):
            for position in self.positions:
                costs = step_costs(
                    model, batch, list(self.widths), position, self.rounds, self.engine
                )
                rows += [
                    self._row(model, batch, position, width, costs, read, products, dtype.itemsize)
                    for width in self.widths
                ]
        figures = {
            "preset": self.preset,
            "dtype": self.dtype,
            "engine": self.engine,
            "parameters": model.parameters_by_part()["total"],
            "bandwidth_bytes_per_s": read,
            "matmul_flops_per_s": products,
            "rows": rows,
        }
        if self.out is not None:
            write_json(self.out, seal(figures))
        say(f"memory {read / 1e9:.1f} GB/s, products {products / 1e9:.0f} GFLOP/s")
        for row in rows:
            predicted = row.get("predicted_speedup")
            say(
                f"batch {row['batch']:3d}  position {row['position']:5d}  width {row['width']:2d}  "
                f"{1e3 * row['step_s']:9.3f} ms  roofline {1e3 * row['roofline_s']:9.3f} ms "
                f"({row['bound']})  share {row['share']:.2f}"
                + ("" if predicted is None else f"  speedup {predicted:.2f}")
            )
        return figures

    def _row(
        self, model: Any, batch: int, position: int, width: int, costs: dict[int, float],
        read: float, products: float, value_bytes: int,
    ) -> dict[str, Any]:  # fmt: skip
        work = model.decoding_work(batch, width, position, value_bytes)
        memory_s, compute_s = work.bytes / read, work.flops / products
        row = {
            "batch": batch,
            "position": position,
            "width": width,
            "step_s": costs[width],
            "memory_s": memory_s,
            "compute_s": compute_s,
            "roofline_s": max(memory_s, compute_s),
            "bound": "memory" if memory_s > compute_s else "products",
            "share": max(memory_s, compute_s) / costs[width],
        }
        if self.acceptance:
            first = self.widths[0]
            gained = self.acceptance[self.widths.index(width)] / self.acceptance[0]
            row["predicted_speedup"] = gained * costs[first] / costs[width]
        return row
