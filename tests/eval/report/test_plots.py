import xml.etree.ElementTree as ElementTree

import matplotlib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from eval.records import CompressorBits, GradeResult, MetricsRow, SpeedRow
from eval.report import plots
from eval.style import to_svg

ROWS = [MetricsRow(bytes=4096 * (i + 1), bpb=2 + 6 / (i + 1)) for i in range(500)]
COMPRESSORS = {
    "gzip -9": CompressorBits(each=2.0, together=1.9),
    "xz -9e": CompressorBits(each=1.9, together=1.5),
}
HEADS = [1.9, 2.8, 3.3, 3.6, 3.9, 4.1, 4.2, 4.3]


def speed_rows(step: float = 0.0) -> list[SpeedRow]:
    return [
        SpeedRow(
            k=k, batch=batch, bytes_per_forward=k**0.5 + step * i, speedup=k**0.4, identical=True
        )
        for i, batch in enumerate((16, 1))
        for k in (1, 2, 4, 8)
    ]


FIGURES = {
    "loss": lambda: plots.loss_curve(ROWS, [(4096 * 250, 2.2)], {"gzip -9": 2.0}),
    "loss of one row": lambda: plots.loss_curve(ROWS[:1], [], {}),
    "heads": lambda: plots.head_bars(HEADS, COMPRESSORS),
    "32 heads alone": lambda: plots.head_bars([2.0] * 32, None),
    "speed": lambda: plots.speed_lines(speed_rows(), {"1": 1.0, "8": 2.5}),
    "accepted": lambda: plots.accepted_bars([5, 3, 0, 1]),
    "one length": lambda: plots.accepted_bars([5]),
    "scores": lambda: plots.score_bars(
        {
            "a": GradeResult(
                n=3, pass_at_1=0.0, pass_at_1_interval=(0.0, 0.02), finish_reasons={"stop": 3}
            )
        }
    ),
    "perfect score": lambda: plots.score_bars(
        {"a": GradeResult(n=1, pass_at_1=1.0), "b": GradeResult(n=2, pass_at_1=0.5)}
    ),
}


def texts(figure: Figure) -> set[str]:
    return {text.get_text().strip() for axes in figure.axes for text in axes.texts}


def points(line: Line2D) -> tuple[list[float], list[float]]:
    return np.asarray(line.get_xdata()).tolist(), np.asarray(line.get_ydata()).tolist()


def heights(axes: Axes) -> list[float]:
    return [bar.get_height() for bar in axes.patches if isinstance(bar, Rectangle)]


@pytest.mark.medium
@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_becomes_the_same_svg_twice(name: str) -> None:
    svg = to_svg(FIGURES[name]())
    root = ElementTree.fromstring(svg)
    assert root.tag.endswith("svg")
    assert len(root.findall(".//{*}path")) > 3
    assert svg == to_svg(FIGURES[name]())


def test_drawing_leaves_matplotlib_as_it_was() -> None:
    before = dict(matplotlib.rcParams)
    to_svg(FIGURES["loss"]())
    assert dict(matplotlib.rcParams) == before


def test_loss_curve_shows_the_data_and_names_the_lines() -> None:
    figure = plots.loss_curve(ROWS, [(1e6, 2.5), (2e6, 2.2)], {"gzip -9": 2.04, "xz -9e": 1.91})
    [axes] = figure.axes
    raw, _, *rest = axes.lines
    assert points(raw) == ([row.bytes / 1e6 for row in ROWS], [row.bpb for row in ROWS])
    assert [points(line)[1] for line in rest] == [[2.04, 2.04], [1.91, 1.91], [2.5, 2.2]]
    assert {"gzip -9 2.04", "xz -9e 1.91", "held out 2.20"} < texts(figure)
    low, high = axes.get_ylim()
    assert low < 1.91
    assert 2.2 < high < 8


def test_long_runs_are_thinned_and_keep_both_ends() -> None:
    rows = [MetricsRow(bytes=i, bpb=2.0 + i / 1e6) for i in range(1, 50_001)]
    line = plots.loss_curve(rows, [], {}).axes[0].lines[0]
    xs, ys = points(line)
    assert len(xs) == plots.CURVE_POINTS
    assert (ys[0], ys[-1]) == (rows[0].bpb, rows[-1].bpb)


def test_bars_have_the_heights_of_their_figures() -> None:
    left, right = plots.head_bars(HEADS, COMPRESSORS).axes
    assert heights(left) == HEADS
    assert heights(right) == [2.0, 1.9, 1.9, 1.5]
    assert left.get_ylim() == right.get_ylim()
    figure = plots.accepted_bars([6, 2, 0, 2])
    [axes] = figure.axes
    assert heights(axes) == [60, 20, 0, 20]
    assert "mean 1.80" in texts(figure)


def test_speed_lines_of_batches_are_named_apart_only_where_they_differ() -> None:
    same = texts(plots.speed_lines(speed_rows(), {}))
    assert "batch 1 and 16: 2.83" in same
    apart = texts(plots.speed_lines(speed_rows(step=0.5), {}))
    assert {"batch 16: 2.83", "batch 1: 3.33"} < apart


@given(
    st.lists(st.floats(0, 100), min_size=1, max_size=8), st.floats(0.01, 10, allow_subnormal=False)
)
def test_spread_keeps_order_and_distance(positions: list[float], gap: float) -> None:
    placed = plots.spread(positions, gap)
    order = np.argsort(positions, kind="stable")
    distances = np.diff(np.array(placed)[order])
    assert (distances >= gap * (1 - 1e-6) - 1e-9).all()
    assert sum(placed) == pytest.approx(sum(positions), abs=1e-6)


def test_spread_moves_nothing_that_has_room() -> None:
    assert plots.spread([5.0, 1.0, 3.0], 1.0) == [5.0, 1.0, 3.0]


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=60), st.integers(1, 80))
def test_smoothing_keeps_length_and_range(values: list[float], width: int) -> None:
    found = plots.smooth(np.array(values), width)
    assert len(found) == len(values)
    assert min(values) - 1e-9 <= found.min()
    assert found.max() <= max(values) + 1e-9


def test_smoothing_is_a_centred_mean() -> None:
    assert plots.smooth(np.array([0.0, 3.0, 6.0, 0.0]), 3).tolist() == [1.5, 3.0, 3.0, 3.0]
