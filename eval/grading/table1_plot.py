"""The picture of `eval table1`: pass@k of each checkpoint with its interval, a panel for each k."""

from pathlib import Path

from matplotlib.figure import Figure

from eval.grading.table1 import Table1Result
from eval.style import BLUE, FAINT, GREEN, GREY, INK, ORANGE, PINK, SKY, styled

LONGEST_LABEL = 26
_COLOURS = (BLUE, ORANGE, GREEN, PINK, SKY, INK)


@styled
def plot_table1(result: Table1Result, path: Path) -> Figure:
    """Marks of pass@k at the best temperature, which is written beside each, and bars of 95 %."""
    ks = sorted({cell.k for row in result.rows for cell in row.cells})
    rows = result.rows
    figure = Figure(figsize=(3.0 + 2.6 * len(ks), 1.4 + 0.45 * len(rows)), layout="constrained")
    panels = figure.subplots(1, len(ks), sharey=True, squeeze=False)[0]
    for axes, k in zip(panels, ks, strict=True):
        for y, row in enumerate(rows):
            for cell in (cell for cell in row.cells if cell.k == k):
                colour = _COLOURS[y % len(_COLOURS)]
                axes.plot(cell.interval, [y, y], color=colour, linewidth=1.5)
                axes.plot(cell.pass_at_k, y, "o", color=colour, markersize=6)
                axes.annotate(
                    f"{cell.pass_at_k:.1%}, t = {cell.temperature:g}", (cell.pass_at_k, y),
                    xytext=(0, 5), textcoords="offset points", ha="center", fontsize=8.5,
                    color=GREY,
                )  # fmt: skip
        axes.set_title(f"pass@{k}")
        axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
        axes.set_yticks(range(len(rows)), [_short(row.label) for row in rows])
        axes.set_ylim(len(rows) - 0.4, -0.8)
        axes.margins(x=0.25)
        axes.grid(axis="x", color=FAINT)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=160, facecolor="white", metadata={"Software": None})
    return figure


def _short(label: str) -> str:
    """The end of a long label, such as a path: all of it would leave no room for the panels."""
    return label if len(label) <= LONGEST_LABEL else f"...{label[3 - LONGEST_LABEL :]}"
