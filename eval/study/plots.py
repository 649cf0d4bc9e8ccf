"""The experiments' plots: induction over training, and right answers by length."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from eval.study.summary import kinds
from eval.style import COLOURS, FAINT, GREY, INK, styled

Row = dict[str, Any]


@styled
def plot_induction(results: dict[str, Any], path: Path) -> Figure:
    """Accuracy on second parts over bytes of training; one panel per data set and width."""

    def draw(axes: Axes, own: list[Row], colour: str, label: str) -> None:
        curves = [[point["second_part"] for point in row["points"]] for row in own]
        bytes_seen = [point["bytes"] / 1e6 for point in own[0]["points"]]
        _band(axes, bytes_seen, curves, colour, label)

    figure, panels = _panels(results, draw)
    rows = results["rows"]
    chance = sum(row["first_mention"] for row in rows) / len(rows)
    for axes in panels:
        axes.axhline(chance, color=GREY, linewidth=1, linestyle="--")
        axes.set_xlim(left=0)
        axes.set_xlabel("MB read")
    # Below the line, at its right end: there the curves of models that learned lie above it.
    panels[-1].annotate(
        "control: first mentions", (0.99, chance), xycoords=("axes fraction", "data"),
        xytext=(0, -4), textcoords="offset points", color=GREY, fontsize=9, ha="right", va="top",
    )  # fmt: skip
    panels[0].set_ylabel("second parts of names: bytes right")
    _save(figure, path)
    return figure


@styled
def plot_arithmetic(results: dict[str, Any], path: Path) -> Figure:
    """Right answers by number of operations; one panel per width."""
    trained = results["options"]["operations"]

    def draw(axes: Axes, own: list[Row], colour: str, label: str) -> None:
        operations = [int(m) for m in own[0]["by_operations"]]
        curves = [list(row["by_operations"].values()) for row in own]
        _band(axes, operations, curves, colour, label)

    figure, panels = _panels(results, draw)
    constant = results["constant"]["by_operations"]
    most = max(map(int, constant))
    for axes in panels:
        axes.axvspan(trained + 0.5, most + 0.5, color=FAINT, zorder=-1)
        axes.plot(
            [int(m) for m in constant], list(constant.values()), "--", color=GREY, linewidth=1,
            label="one answer to all",
        )  # fmt: skip
        axes.set_xlim(0.5, most + 0.5)
        axes.set_xticks(range(1, most + 1))
        axes.set_xlabel("operations; shaded: longer than in training")
    panels[0].set_ylabel("right answers")
    panels[-1].legend(frameon=False, fontsize=9)
    _save(figure, path)
    return figure


def _panels(
    results: dict[str, Any], draw: Callable[[Axes, list[Row], str, str], None]
) -> tuple[Figure, list[Axes]]:
    """One panel per (data, width), with one line per n."""
    compared = kinds(results["summary"])
    width = max(5.0, 4.2 * len(compared))
    figure = Figure(figsize=(width, 3.8), layout="constrained")
    panels: list[Axes] = list(figure.subplots(1, len(compared), sharey=True, squeeze=False)[0])
    several = len({data for data, _ in compared}) > 1
    for axes, (data, size) in zip(panels, compared, strict=True):
        rows = [row for row in results["rows"] if (row["data"], row["width"]) == (data, size)]
        trunk = {row["parameters"]["trunk"] for row in rows}
        for n in sorted({row["n"] for row in rows}):
            draw(axes, [row for row in rows if row["n"] == n], COLOURS.get(n, INK), f"n = {n}")
        title = f"width {size}, trunk of {min(trunk) / 1e6:.2f}M"
        axes.set_title(f"{data}, {title}" if several else title)
        axes.grid(axis="y", color=FAINT)
        axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    panels[0].set_ylim(bottom=0)
    panels[0].legend(frameon=False, fontsize=9)
    return figure, panels


def _band(
    axes: Axes, x: list[float] | list[int], curves: list[list[float]], colour: str, label: str
) -> None:
    """Draw the mean over seeds as a line, and the range from lowest to highest as a band."""
    values = np.array(curves)
    axes.fill_between(x, values.min(0), values.max(0), color=colour, alpha=0.14, linewidth=0)
    axes.plot(x, values.mean(0), "o-", color=colour, markersize=3.5, linewidth=1.8, label=label)


def _save(figure: Figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=160, facecolor="white", metadata={"Software": None})
