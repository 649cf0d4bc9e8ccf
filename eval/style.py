"""What all pictures share: colours, fonts, one quiet style, and how a figure becomes an SVG.

Figures are made without pyplot, so nothing is global and no display is needed. Colours are of Okabe
and Ito's palette, which colour-blind readers can tell apart.
"""

import io
from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Any, ParamSpec

import matplotlib
from matplotlib import font_manager
from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, PINK, SKY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9"
INK, GREY, PALE, FAINT = "#1F2933", "#6B7683", "#B8C4D0", "#E4E9EE"
COLOURS = {1: GREY, 2: GREEN, 4: ORANGE, 8: BLUE, 16: PINK, 32: INK}
"""A colour for each number of heads."""
FONTS = ("Inter", "Helvetica Neue", "Helvetica", "Arial", "Liberation Sans", "DejaVu Sans")

P = ParamSpec("P")


@lru_cache(maxsize=1)
def _style() -> Any:
    # Only installed fonts: matplotlib warns about each of the others.
    installed = {font.name for font in font_manager.fontManager.ttflist}
    return {
        "font.family": next((name for name in FONTS if name in installed), "sans-serif"),
        "font.size": 11,
        "text.color": INK,
        "axes.labelcolor": GREY,
        "axes.labelsize": 10.5,
        "axes.titlesize": 12,
        "axes.titleweight": "bold",
        "axes.titlecolor": INK,
        "axes.titlelocation": "left",
        "axes.titlepad": 12,
        "axes.edgecolor": PALE,
        "axes.linewidth": 0.8,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "xtick.color": PALE,
        "ytick.color": PALE,
        "xtick.labelcolor": GREY,
        "ytick.labelcolor": GREY,
        "xtick.labelsize": 10,
        "ytick.labelsize": 10,
        "ytick.major.size": 0,
        "grid.color": FAINT,
        "grid.linewidth": 0.8,
        "svg.fonttype": "path",
        "svg.hashsalt": "bytelm",
    }


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Draw in this style; matplotlib's own settings stay as they were."""

    @wraps(draw)
    def inner(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with matplotlib.rc_context(_style()):
            return draw(*args, **kwargs)

    return inner


def to_svg(figure: Figure) -> str:
    """The figure as an SVG document, the same every time, text as outlines."""
    file = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with matplotlib.rc_context(_style()):
        figure.savefig(file, format="svg", metadata=nothing)
    return file.getvalue()
