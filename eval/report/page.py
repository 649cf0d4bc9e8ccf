"""The report as one HTML page that needs nothing from outside: plots and styles are in it."""

import base64
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from matplotlib.figure import Figure

from eval.records import FileBits, MetricsRow
from eval.report import plots, sections, words
from eval.report.record import Report
from eval.report.samples import Shown, excerpt
from eval.report.solved import SideBySide
from eval.style import to_svg


def render(
    report: Report,
    metrics: Sequence[MetricsRow] = (),
    files: Sequence[FileBits] = (),
    shown: Sequence[Shown] = (),
    beside: SideBySide | None = None,
) -> str:
    """The page of a report: an HTML document.

    `metrics` are the rows of metrics.jsonl, `files` the figures of each held-out file, `shown` the
    sample completions (`eval.report.samples.choose`), `beside` solved and failed problems
    (`eval.report.solved.side_by_side`).
    """
    figures = {name: _embedded(figure) for name, figure in _figures(report, metrics).items()}
    template = environment().get_template("report.html")
    page = template.render(
        report=report,
        figures=figures,
        files=files,
        shown=shown,
        beside=beside or SideBySide([], []),
    )
    # Python's text may hold lone surrogates (a file's name that is not UTF-8); UTF-8 cannot.
    return page.encode("utf-8", "backslashreplace").decode("utf-8")


@cache
def environment() -> Environment:
    """The templates. They escape whatever is put into them."""
    found = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {
        "counts": sections.counts_words,
        "duration": words.duration,
        "interval": words.interval,
        "percent": words.percent,
        "size": words.size,
    }
    found.globals |= {
        "bytes_accepted": sections.bytes_accepted,
        "configuration": sections.configuration,
        "excerpt": excerpt,
        "fastest": words.fastest,
        "is_small": sections.is_small,
        "longest_block": sections.longest_block,
        "loss_references": sections.loss_references,
        "most_accepted": sections.most_accepted,
        "named_compressors": sections.named_compressors,
        "sent_as": sections.sent_as,
        "sentence": words.sentence,
        "speed_prompts": sections.speed_prompts,
        "stage_times": sections.stage_times,
        "suite_names": sections.SUITE_NAMES,
        "trained_facts": sections.trained_facts,
    }
    return found


def _figures(report: Report, metrics: Sequence[MetricsRow]) -> dict[str, Figure]:
    """The plots that there are figures for, by the name of their section."""
    found = {}
    steps = [row for row in metrics if row.bpb is not None]
    if steps:
        references = sections.loss_references(report)
        found["loss"] = plots.loss_curve(steps, _held_out(report, metrics), references)
    if report.held_out_bpb:
        compressors = sections.named_compressors(report)
        found["heads"] = plots.head_bars(report.held_out_bpb, compressors or None)
    if report.speed:
        found["speed"] = plots.speed_lines(report.speed, report.forecast or {})
    row = sections.most_accepted(report.speed)
    if row and row.accepted_lengths:
        found["accepted"] = plots.accepted_bars(row.accepted_lengths)
    if report.scores:
        scores = {sections.SUITE_NAMES[name]: score for name, score in report.scores.items()}
        found["scores"] = plots.score_bars(scores)
    return found


def _held_out(report: Report, metrics: Sequence[MetricsRow]) -> list[tuple[float, float]]:
    """Head 1's bits per byte on held-out text as training went on: (bytes seen, bpb)."""
    points = [(row.bytes, row.held_out_bpb[0]) for row in metrics if row.held_out_bpb]
    seen, last = report.training.bytes, report.training.held_out_bpb
    if last and seen is not None and not (points and points[-1][0] >= seen):
        points.append((seen, last[0]))
    return points


def _embedded(figure: Figure) -> str:
    return base64.b64encode(to_svg(figure).encode()).decode()
