"""Plots of speed by k (Table S3), by batch (Figure S10), beside peers, and of training's cost."""

from pathlib import Path
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from eval.measure.bench_tables import BenchResult
from eval.measure.peers.decoders import LLAMA_CPP, NATIVE
from eval.style import BLUE, COLOURS, FAINT, GREY, INK, ORANGE, PALE, PINK, styled

if TYPE_CHECKING:
    from eval.measure.training_time import TrainingTimeResult

PEER_COLOURS = {"bytelm": BLUE, "bytelm-plain": "#7FB3D5"}
# Which build of llama.cpp a bar is of.
PEER_NAMES = {LLAMA_CPP: "llama.cpp, the wheel", NATIVE: "llama.cpp, native"}
# The ways of training: a name and a colour.
WAYS = {
    "sequential": ("one head at a time", BLUE),
    "plain": ("the plain sum", PALE),
    "eager": ("not compiled", ORANGE),
    "torch": ("with torch's attention", PINK),
}


def _save(figure: Figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=160, facecolor="white", metadata={"Software": None})


@styled
def plot_table_s3(result: BenchResult, path: Path) -> Figure:
    """Bars of speedup and marks of bytes a forward, by k, a panel for each batch size."""
    rows = result.table_s3
    batches = sorted({row.batch for row in rows})
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    panels = figure.subplots(1, len(batches), sharey=True, squeeze=False)[0]
    for axes, batch in zip(panels, batches, strict=True):
        own = [row for row in rows if row.batch == batch]
        own.sort(key=lambda row: (row.k, row.gate is not None))
        for x, row in enumerate(own):
            gated = row.gate is None
            axes.bar(x, row.speedup, 0.62, color=BLUE if gated else PALE)
            low, high = row.speedup_range or (row.speedup, row.speedup)
            axes.plot([x, x], [low, high], color=INK, linewidth=1)
            axes.plot(x, row.bytes_per_forward, "o", color=ORANGE, markersize=6)
            axes.text(x, 0.04, f"{row.speedup:.2f}x", ha="center", va="bottom",
                      color="white" if gated else INK, fontsize=9)  # fmt: skip
        names = [f"k = {row.k}" + ("" if row.gate is None else "\nall drafts") for row in own]
        axes.set_xticks(range(len(own)), names)
        axes.set_title(f"batch {batch}")
        axes.grid(axis="y", color=FAINT)
    panels[0].set_ylabel("relative to k = 1 at the same batch")
    panels[-1].plot([], [], "s", color=BLUE, label="speedup")
    panels[-1].plot([], [], "o", color=ORANGE, label="bytes a forward")
    panels[-1].legend(frameon=False, loc="upper left", fontsize=9)
    _save(figure, path)
    return figure


@styled
def plot_batches(result: BenchResult, path: Path) -> Figure:
    """Throughput, and latency of a byte, against the batch: a line a k, relative to k = 1."""
    rows = result.figure_s10
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    for k in sorted({row.k for row in rows}):
        own = sorted((row for row in rows if row.k == k), key=lambda row: row.batch)
        batches = [row.batch for row in own]
        colour = COLOURS.get(k, INK)
        left.plot(batches, [row.bytes_per_s for row in own], "o-", color=colour, label=f"k = {k}")
        right.plot(batches, [row.speedup for row in own], "o-", color=colour, label=f"k = {k}")
    left.set_ylabel("bytes a second, all rows")
    left.set_title("throughput")
    right.set_ylabel("times k = 1 at the same batch")
    right.set_title("speedup")
    for axes in (left, right):
        _by_batch(axes, sorted({row.batch for row in rows}))
    left.set_ylim(bottom=0)
    left.legend(frameon=False, fontsize=9)
    _save(figure, path)
    return figure


def _by_batch(axes: Axes, batches: list[int]) -> None:
    axes.set_xscale("log", base=2)
    axes.set_xticks(batches, [str(batch) for batch in batches])
    axes.minorticks_off()
    axes.set_xlabel("batch")
    axes.grid(axis="y", color=FAINT)


@styled
def plot_peers(result: BenchResult, path: Path) -> Figure:
    """Bytes a second of each peer on the same weights, a panel for each number type.

    Bars are of whole completions, and marks of decoding alone, where that was measured.
    """
    rows = result.peers
    dtypes = list(dict.fromkeys(row.dtype for row in rows))
    most = max(sum(row.dtype == dtype for row in rows) for dtype in dtypes)
    figure = Figure(figsize=(9, 1 + 0.4 * most), layout="constrained")
    panels = figure.subplots(1, len(dtypes), sharex=True, squeeze=False)[0]
    for axes, dtype in zip(panels, dtypes, strict=True):
        own = [row for row in rows if row.dtype == dtype][::-1]
        for y, row in enumerate(own):
            axes.barh(y, row.bytes_per_s, 0.62, color=PEER_COLOURS.get(row.engine, PALE))
            far = max(row.bytes_per_s, row.decoding_bytes_per_s or 0)
            axes.text(far, y, f"  {row.bytes_per_s:.0f}", va="center", fontsize=9)
            if row.decoding_bytes_per_s is not None:
                axes.plot(row.decoding_bytes_per_s, y, "o", color=ORANGE, markersize=5)
        names = [PEER_NAMES.get(row.engine, row.engine) for row in own]
        axes.set_yticks(range(len(own)), names)
        axes.set_title(dtype)
        axes.set_xlabel("bytes a second, batch 1, one thread")
        axes.margins(x=0.14)
        axes.grid(axis="x", color=FAINT)
    if any(row.decoding_bytes_per_s is not None for row in rows):
        panels[-1].plot([], [], "o", color=ORANGE, label="decoding alone")
        panels[-1].legend(frameon=False, loc="lower right", fontsize=9)
    _save(figure, path)
    return figure


@styled
def plot_training_time(result: "TrainingTimeResult", path: Path) -> Figure:
    """Bars of a training step's time and peak memory by kind and n, relative to one head."""
    rows = result.rows
    kinds = list(dict.fromkeys(row.kind for row in rows))
    ways = [way for way in WAYS if any(row.way == way for row in rows)]
    figure = Figure(figsize=(9, 5.4), layout="constrained")
    panels = figure.subplots(2, len(kinds), sharey="row", squeeze=False)
    for column, kind in enumerate(kinds):
        own = [row for row in rows if row.kind == kind]
        for axes, name in zip(panels[:, column], ("ratio", "peak_ratio"), strict=True):
            for x, row in enumerate(own):
                value = row.ratio if name == "ratio" else row.peak_ratio
                axes.bar(x, value, 0.62, color=WAYS[row.way][1])
                low, high = row.ratio_quartiles if name == "ratio" else (value, value)
                axes.plot([x, x], [low, high], color=INK, linewidth=1)
                axes.text(x, high, f"{value:.2f}", ha="center", va="bottom", fontsize=9)
            axes.axhline(1, color=GREY, linewidth=0.8)
            axes.set_xticks(
                range(len(own)),
                [f"n = {row.n}" for row in own],
                rotation=45 if len(own) > 6 else 0,
            )
            axes.grid(axis="y", color=FAINT)
        panels[0, column].set_title(kind)
    panels[0, 0].set_ylabel("step's time, to n = 1")
    panels[1, 0].set_ylabel("peak memory, to n = 1")
    if len(ways) > 1:
        for way in ways:
            label, colour = WAYS[way]
            panels[0, -1].plot([], [], "s", color=colour, label=label)
        # Above the last panel, to the left, where there may be more room.
        panels[0, -1].legend(
            frameon=False, loc="lower right", bbox_to_anchor=(1, 1), ncols=2, fontsize=9
        )
    _save(figure, path)
    return figure
