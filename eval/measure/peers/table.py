"""The peers' rows as a table of text, for `eval bench` and the pages."""

from collections.abc import Callable, Sequence

from eval.measure.peers.decoders import LLAMA_CPP, NATIVE
from eval.measure.peers.rows import PeerRow, Ratios

Value = Callable[[PeerRow], float | None]
COLUMN = 9
PARTS = ("whole", "reading", "decoding")


def peers_lines(rows: Sequence[PeerRow]) -> list[str]:
    """Rates and ratios, whole and apart. Columns that no row has a figure for are left out.

    Results from before reading and decoding were measured apart have the whole alone.
    """
    groups = {title: _known(columns, rows) for title, columns in _groups().items()}
    groups = {title: columns for title, columns in groups.items() if columns}
    over, under = " " * 28, f"{'engine':18}{'type':10}"
    cells = [f"{row.engine:18}{row.dtype:10}" for row in rows]
    for title, columns in groups.items():
        # A group is as wide as its title, and two spaces stand before it.
        first = max(COLUMN, len(title) - COLUMN * (len(columns) - 1)) + 2
        over += f"  {title:<{first - 2 + COLUMN * (len(columns) - 1)}}"
        for number, (part, (value, digits)) in enumerate(columns.items()):
            width = COLUMN if number else first
            under += f"{part:>{width}}"
            for index, row in enumerate(rows):
                figure = value(row)
                text = "" if figure is None else f"{figure:.{digits}f}"
                cells[index] += f"{text:>{width}}"
    under += "   same bytes as plain float32"
    return [
        over,
        under,
        *(f"{cell}   {row.sameness}" for cell, row in zip(cells, rows, strict=True)),
    ]


def _groups() -> dict[str, dict[str, tuple[Value, int]]]:
    """The columns of each group: what they show of a row, and with how many digits."""
    rates: dict[str, tuple[Value, int]] = {
        "whole": (lambda row: row.bytes_per_s, 0),
        "reading": (lambda row: row.reading_bytes_per_s, 0),
        "decoding": (lambda row: row.decoding_bytes_per_s, 0),
    }
    wheel = {part: (_ratio(LLAMA_CPP, part), 2) for part in PARTS}
    native = {part: (_ratio(NATIVE, part), 2) for part in PARTS}
    return {"bytes/s": rates, f"{LLAMA_CPP} = 1": wheel, f"{NATIVE} = 1": native}


def _ratio(name: str, part: str) -> Value:
    def ratio(row: PeerRow) -> float | None:
        ratios: Ratios | None = row.ratios.get(name)
        if ratios is not None:
            found: float | None = getattr(ratios, part)
            return found
        # Files from before there were two builds of llama.cpp.
        return row.ratio_to_llamacpp if (name, part) == (LLAMA_CPP, "whole") else None

    return ratio


def _known(
    columns: dict[str, tuple[Value, int]], rows: Sequence[PeerRow]
) -> dict[str, tuple[Value, int]]:
    return {
        part: (value, digits)
        for part, (value, digits) in columns.items()
        if any(value(row) is not None for row in rows)
    }
