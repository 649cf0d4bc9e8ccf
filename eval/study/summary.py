"""Figures of an experiment over its seeds, and a sentence on what they show."""

import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from bytelm.toolkit import InputError
from eval.records import Count, Number, Record, read_record


class ModelRow(Record):
    """row.json: the figures of one model. The experiment adds its own."""

    data: str
    width: Count
    n: Count
    seed: Count
    parameters: dict[str, Number]


def read_row(run: Path, figures: Sequence[str]) -> dict[str, Any]:
    """The figures of a run that was measured, from its row.json.

    Raises InputError if the file is damaged, or if one of `figures` is no number in it.
    """
    path, remedy = run / "row.json", f"remove {run} to train this model again"
    row = read_record(path, ModelRow, remedy).to_dict()
    points = row.get("points")
    if not isinstance(points, list) or not points:
        raise InputError(f"{path} is damaged: 'points' must be a list; {remedy}")
    for figure in figures:
        for place in (row, *points):
            value = place.get(figure) if isinstance(place, dict) else None
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise InputError(f"{path} is damaged: {figure!r} must be a number; {remedy}")
    return row


def summarize(rows: Sequence[dict[str, Any]], figures: Sequence[str]) -> list[dict[str, Any]]:
    """One entry for each (data, width, n): mean, lowest and highest of each figure over seeds.

    If there are models with one head, `gain` holds the differences to the one-head model of the
    same seed. That model started from the same trunk and read the same bytes in the same order.
    """
    groups: dict[tuple[str, int, int], dict[int, dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["data"], row["width"], row["n"]), {})[row["seed"]] = row
    found = []
    for (data, width, n), own in groups.items():
        entry: dict[str, Any] = {
            "data": data,
            "width": width,
            "n": n,
            "seeds": len(own),
            "parameters": next(iter(own.values()))["parameters"]["total"],
        }
        base = groups.get((data, width, 1))
        for figure in figures:
            values = [row[figure] for row in own.values()]
            entry[figure] = _spread(values)
            if base is not None and n > 1:
                gains = [row[figure] - base[seed][figure] for seed, row in own.items()]
                entry[figure]["gain"] = {
                    **_spread(gains),
                    "higher_in": sum(gain > 0 for gain in gains),
                }
        found.append(entry)
    return found


def _spread(values: Sequence[float]) -> dict[str, Any]:
    return {"mean": statistics.fmean(values), "low": min(values), "high": max(values)}


def kinds(summary: Iterable[dict[str, Any]]) -> list[tuple[str, int]]:
    """The pairs (data, width) that were compared, in order."""
    return list(dict.fromkeys((entry["data"], entry["width"]) for entry in summary))


def percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def points(value: float) -> str:
    return f"{100 * value:+.1f}"


def verdict(entries: Sequence[dict[str, Any]], figure: str) -> str:
    """How more heads changed `figure` in models of one data set and width, as a sentence."""
    said = []
    for entry in entries:
        gain = entry[figure].get("gain")
        if gain is None:
            continue
        seeds = entry["seeds"]
        if gain["higher_in"] == seeds:
            where = "higher with every seed"
        elif gain["higher_in"] == 0:
            where = "higher with no seed"
        else:
            where = f"higher with {gain['higher_in']} of {seeds} seeds"
        said.append(f"n = {entry['n']}: {points(gain['mean'])} points, {where}")
    return "; ".join(said)
