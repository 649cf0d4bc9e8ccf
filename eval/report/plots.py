"""The report's plots, as matplotlib figures. Lines are named at their ends."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from eval.records import CompressorBits, GradeResult, MetricsRow, SpeedRow
from eval.style import BLUE, GREEN, GREY, INK, ORANGE, PALE, PINK, SKY, styled

REASON_COLOURS = {"stop": BLUE, "end_of_document": GREEN, "length": "#B97900"}
CURVE_POINTS = 900

End = tuple[float, str, str]


def smooth(values: npt.NDArray[np.float64], width: int) -> npt.NDArray[np.float64]:
    """A centred mean over `width` points, over fewer at the ends."""
    width = max(1, min(width, len(values)))
    window = np.ones(width)
    total = np.convolve(values, window, "full")
    count = np.convolve(np.ones(len(values)), window, "full")
    begin = (width - 1) // 2
    return (total / count)[begin : begin + len(values)]


def spread(positions: Sequence[float], gap: float) -> list[float]:
    """Move `positions` just enough that neighbours lie `gap` apart; their order stays."""
    order = sorted(range(len(positions)), key=lambda i: positions[i])
    groups: list[list[int]] = []
    for i in order:
        groups.append([i])
        while len(groups) > 1 and _top(groups[-2], positions, gap) + gap > _bottom(
            groups[-1], positions, gap
        ):
            last = groups.pop()
            groups[-1] += last
    placed = [0.0] * len(positions)
    for group in groups:
        for rank, i in enumerate(group):
            placed[i] = _bottom(group, positions, gap) + rank * gap
    return placed


def _bottom(group: Sequence[int], positions: Sequence[float], gap: float) -> float:
    centre = sum(positions[i] for i in group) / len(group)
    return centre - gap * (len(group) - 1) / 2


def _top(group: Sequence[int], positions: Sequence[float], gap: float) -> float:
    return _bottom(group, positions, gap) + gap * (len(group) - 1)


def _name_ends(axes: Axes, ends: Sequence[End], points: float = 14) -> None:
    """Write each (y, text, colour) to the right of the axes; texts do not overlap."""
    low, high = axes.get_ylim()
    figure = axes.figure
    assert isinstance(figure, Figure)
    height = axes.get_position().height * figure.get_figheight() * 72
    inside = [min(max(y, low), high) for y, _, _ in ends]
    for y, (_, text, colour) in zip(
        spread(inside, (high - low) * points / height), ends, strict=True
    ):
        axes.text(
            1.012, y, text, color=colour, transform=axes.get_yaxis_transform(), va="center", size=10
        )


@styled
def loss_curve(
    rows: Sequence[MetricsRow],
    held_out: Sequence[tuple[float, float]],
    references: Mapping[str, float],
) -> Figure:
    """Training bpb over bytes seen (raw faint, mean strong), held-out points, compressors' lines.

    `rows` are steps with a loss, `held_out` is (bytes, bpb), `references` is bpb by name.
    """
    figure = Figure(figsize=(9.2, 3.7))
    axes = figure.add_axes((0.065, 0.15, 0.745, 0.8))
    ends: list[End] = []
    at_MB = np.array([row.bytes for row in rows], dtype=np.float64) / 1e6
    raw = np.array([row.bpb for row in rows], dtype=np.float64)
    lows, highs = [y for _, y in held_out], [1.15 * y for y in references.values()]
    if len(rows):
        mean = smooth(raw, max(1, len(raw) // 60))
        keep = np.unique(np.linspace(0, len(raw) - 1, CURVE_POINTS).round().astype(int))
        axes.plot(at_MB[keep], raw[keep], color=SKY, alpha=0.35, linewidth=0.7)
        axes.plot(at_MB[keep], mean[keep], color=BLUE, linewidth=2)
        ends.append((float(mean[-1]), f"training {mean[-1]:.2f}", BLUE))
        # The first steps fall from 8 bits: they are cut off, so that the rest can be read.
        lows.append(float(np.percentile(raw, 1)))
        highs.append(min(float(raw.max()), 2.2 * float(mean[-1])))
    for name, bpb in references.items():
        axes.axhline(bpb, color=GREY, linewidth=1, linestyle=(0, (4, 3)))
        ends.append((bpb, f"{name} {bpb:.2f}", GREY))
    if held_out:
        x, y = zip(*held_out, strict=True)
        axes.plot(np.array(x) / 1e6, y, "o-", color=ORANGE, linewidth=1, markersize=5, zorder=4)
        ends.append((y[-1], f"held out {y[-1]:.2f}", ORANGE))
        highs.append(1.1 * min(y))
    low = 0.9 * min([*lows, *references.values()])
    axes.set_ylim(low, max([*highs, 1.2 * low]))
    axes.margins(x=0.01)
    axes.grid(axis="y")
    axes.set_xlabel("bytes seen (MB)")
    axes.set_ylabel("bits per byte")
    _name_ends(axes, ends)
    return figure


@styled
def head_bars(
    heads_bpb: Sequence[float], compressors: Mapping[str, CompressorBits] | None
) -> Figure:
    """Held-out bpb of every head beside the compressors', file by file and all together."""
    figure = Figure(figsize=(9.2, 3.5))
    width = 0.53 if compressors else 0.9
    left = figure.add_axes((0.065, 0.15, width, 0.72))
    n = len(heads_bpb)
    bars = left.bar(range(1, n + 1), heads_bpb, 0.72, color=[BLUE] + [PALE] * (n - 1))
    # With many heads the labels would collide: only the first and the last head get one.
    named = [n <= 12 or i in (0, n - 1) for i in range(n)]
    labels = [f"{bpb:.2f}" if name else "" for bpb, name in zip(heads_bpb, named, strict=True)]
    left.bar_label(bars, labels=labels, padding=3, size=10, color=INK)
    left.set_xticks(range(1, n + 1))
    left.set_xlabel("head (how many bytes ahead it predicts)")
    left.set_ylabel("bits per byte")
    left.set_title("the model's heads")
    left.grid(axis="y")
    every = list(heads_bpb)
    axes_all = [left]
    if compressors:
        right = figure.add_axes((0.065 + width + 0.035, 0.15, 0.36, 0.72))
        axes_all.append(right)
        each = [row.each for row in compressors.values()]
        together = [row.together for row in compressors.values()]
        for offset, sizes, colour in ((-0.2, each, GREY), (0.2, together, PALE)):
            at = np.arange(len(sizes)) + offset
            right.bar_label(
                right.bar(at, sizes, 0.37, color=colour), fmt="%.2f", padding=3, size=10
            )
            every += sizes
        right.set_xticks(range(len(compressors)), list(compressors))
        right.tick_params(axis="x", length=0, labelsize=11, labelcolor=INK)
        right.tick_params(axis="y", labelleft=False)
        right.set_title("compressors, same bytes")
        right.grid(axis="y")
        right.text(0.985, 1.0, "file by file", color=GREY, size=10, ha="right", va="top",
                   weight="bold", transform=right.transAxes)  # fmt: skip
        right.text(0.985, 0.925, "all together", color="#8C9AA8", size=10, ha="right", va="top",
                   weight="bold", transform=right.transAxes)  # fmt: skip
    for axes in axes_all:
        axes.set_ylim(0, 1.22 * max(every))
        axes.tick_params(axis="x", length=0)
        axes.axhline(heads_bpb[0], color=BLUE, linewidth=1, linestyle=(0, (4, 3)), zorder=3)
    return figure


@styled
def speed_lines(rows: Sequence[SpeedRow], forecast: Mapping[str, float]) -> Figure:
    """Bytes per forward (with the teacher-forced forecast) and speedup, by k and batch size."""
    figure = Figure(figsize=(9.2, 3.5))
    ks = sorted({row.k for row in rows})
    batches = sorted({row.batch for row in rows})
    place = {k: i for i, k in enumerate(ks)}
    colours = dict(zip(batches, (BLUE, ORANGE, GREEN, PINK) * len(batches), strict=False))
    for index, title in enumerate(("bytes per forward", "speedup over k = 1")):
        axes = figure.add_axes((0.045 + 0.5 * index, 0.15, 0.33, 0.72))
        lines = {
            batch: sorted(
                (place[row.k], row.speedup if index else row.bytes_per_forward)
                for row in rows
                if row.batch == batch
            )
            for batch in batches
        }
        peak = max(y for line in lines.values() for _, y in line)
        guesses = [(place[int(k)], y) for k, y in forecast.items() if k.isdigit() and int(k) in ks]
        ends: list[End] = []
        if index == 0 and guesses:
            axes.plot(*zip(*sorted(guesses), strict=True), "D:", color=GREY, markersize=5,
                      markerfacecolor="white", linewidth=1)  # fmt: skip
            ends.append((max(guesses)[1], "forecast", GREY))
            peak = max([peak, *(y for _, y in guesses)])
        same = _overlap(lines)
        for batch, line in lines.items():
            axes.plot(*zip(*line, strict=True), "o-", color=colours[batch], linewidth=2)
            if not same:
                ends.append((line[-1][1], f"batch {batch}: {line[-1][1]:.2f}", colours[batch]))
        if same:
            which = " and ".join(map(str, batches))
            y, colour = lines[batches[-1]][-1][1], colours[batches[-1]]
            ends.append((y, f"batch {which}: {y:.2f}", colour))
        axes.set_title(title)
        axes.set_xticks(range(len(ks)), [f"k = {k}" for k in ks])
        axes.tick_params(axis="x", length=0)
        axes.set_xlim(-0.25, len(ks) - 0.85)
        axes.set_ylim(0, 1.15 * max(peak, 1))
        axes.grid(axis="y")
        _name_ends(axes, ends)
    return figure


def _overlap(lines: Mapping[int, Sequence[tuple[int, float]]]) -> bool:
    """Whether the lines of all batches look the same (within 1 %)."""
    first, *rest = lines.values()
    return all(
        [x for x, _ in line] == [x for x, _ in first]
        and all(abs(a - b) <= 0.01 * abs(b) for (_, a), (_, b) in zip(line, first, strict=True))
        for line in rest
    )


@styled
def accepted_bars(counts: Sequence[int]) -> Figure:
    """How often a forward gave 1, 2, ... bytes; `counts[i]` forwards gave i + 1."""
    figure = Figure(figsize=(5.6, 3.2))
    axes = figure.add_axes((0.03, 0.16, 0.94, 0.74))
    lengths = np.arange(1, len(counts) + 1)
    total = max(1, sum(counts))
    shares = 100 * np.array(counts, dtype=np.float64) / total
    mean = float((lengths * np.array(counts)).sum() / total)
    bars = axes.bar(lengths, shares, 0.78, color=BLUE)
    labels = [
        "" if not count else _percent(share) for count, share in zip(counts, shares, strict=True)
    ]
    if len(counts) <= 12:
        axes.bar_label(bars, labels=labels, padding=3, size=10)
    high = 1.24 * max(float(shares.max()), 1.0)
    axes.set_ylim(0, high)
    # A pointer above all labels: a line through the bars would cross some of them.
    axes.plot([mean], [0.955 * high], "v", color=ORANGE, markersize=8)
    right = mean < (len(counts) + 1) / 2
    axes.text(
        mean + (0.18 if right else -0.18), 0.955 * high, f"mean {mean:.2f}", color=ORANGE,
        ha="left" if right else "right", va="center",
    )  # fmt: skip
    axes.set_xticks(lengths)
    axes.tick_params(axis="x", length=0)
    axes.yaxis.set_visible(False)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("bytes accepted in one forward")
    return figure


def _percent(share: float) -> str:
    return f"{share:.0f} %" if share >= 9.95 else f"{share:.1f} %" if share >= 0.1 else "<0.1 %"


@styled
def score_bars(scores: Mapping[str, GradeResult]) -> Figure:
    """pass@1 with its 95 % interval, and how completions ended, a row for each suite."""
    height = 0.85 + 0.85 * len(scores)
    figure = Figure(figsize=(9.2, height))
    bottom, tall = 0.42 / height, (height - 0.85) / height
    left = figure.add_axes((0.115, bottom, 0.345, tall))
    right = figure.add_axes((0.53, bottom, 0.46, tall))
    for row, score in enumerate(scores.values()):
        point = 100 * score.pass_at_1
        low, high = (100 * bound for bound in score.pass_at_1_interval or (point / 100,) * 2)
        left.plot(
            [low, high], [row, row], color=BLUE, linewidth=5, alpha=0.3, solid_capstyle="butt"
        )
        left.plot([point], [row], "o", color=BLUE, markersize=9, clip_on=False, zorder=4)
        label = f"{point:.1f} %"
        inside = high <= 80
        left.text(high + 2 if inside else low - 2, row, label, va="center", weight="bold",
                  ha="left" if inside else "right")  # fmt: skip
        _stack(right, row, score.finish_reasons or {})
    for axes in (left, right):
        axes.set_xlim(0, 100)
        axes.set_ylim(len(scores) - 0.45, -0.55)
        axes.set_yticks([])
    left.set_yticks(range(len(scores)), list(scores))
    left.tick_params(axis="y", labelcolor=INK, labelsize=11, pad=12)
    left.set_xticks(range(0, 101, 25), [f"{share} %" for share in range(0, 101, 25)])
    left.grid(axis="x")
    left.spines["left"].set_visible(False)
    left.set_title("pass@1, with its 95 % interval")
    right.axis("off")
    right.set_title("how completions ended")
    return figure


def _stack(axes: Axes, row: int, reasons: Mapping[str, int]) -> None:
    """Draw one bar of 100 % with a part for each reason, and their names below in their colours."""
    total = max(1, sum(reasons.values()))
    start, text_at = 0.0, 0.0
    ordered = sorted(reasons.items(), key=lambda item: -item[1])
    for index, (reason, count) in enumerate(ordered):
        colour = REASON_COLOURS.get(reason, (PINK, SKY, GREY)[index % 3])
        axes.barh(row - 0.1, 100 * count / total, 0.36, left=start, color=colour,
                  edgecolor="white", linewidth=1)  # fmt: skip
        start += 100 * count / total
        name = f"{reason.replace('_', ' ')} {count}"
        axes.text(text_at, row + 0.27, name, color=colour, size=10, va="center", weight="bold")
        text_at += 2.15 * len(name) + 4
