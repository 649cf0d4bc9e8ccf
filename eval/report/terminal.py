"""The report in the terminal: a table for people, and the figures of the JSON line."""

from typing import Any

from eval.report.record import Report
from eval.report.words import duration, fastest, model_words, percent, size
from eval.suites.problems import SUITES


def terminal_table(report: Report) -> list[str]:
    """The report in a few lines of plain text."""
    training, bpb = report.training, report.held_out_bpb
    words = [model_words(training.parameters or {})]
    words += [f"{size(training.bytes)} seen"] if training.bytes is not None else []
    words += [duration(training.train_s)] if training.train_s is not None else []
    lines = [f"{report.run}", f"  {'trained':<14}{', '.join(filter(None, words))}"]
    if bpb:
        every = " ".join(f"{value:.2f}" for value in bpb)
        lines.append(f"  {'held-out bpb':<14}{bpb[0]:.3f} head 1   (all: {every})")
    for name, row in (report.compressors or {}).items():
        lines.append(f"  {name:<14}{row.each:.3f} file by file, {row.together:.3f} together")
    lines += _speed_lines(report)
    for suite, score in report.scores.items():
        ends = ", ".join(f"{k} {v}" for k, v in (score.finish_reasons or {}).items())
        lines.append(
            f"  {suite:<14}pass@1 {percent(score.pass_at_1)} of {score.n} problems"
            + f" ({ends})" * bool(ends)
        )
        levels = [f"{level}: {percent(own.pass_at_1)}" for level, own in score.levels]
        lines += [f"  {'':<14}by level {', '.join(levels)}"] if levels else []
    solutions = {suite: bits.heads_bpb[0] for suite, bits in report.solution_bits.items()}
    known = [f"{bits:.3f} {suite}" for suite, bits in solutions.items() if bits is not None]
    lines += [f"  {'solutions':<14}bits per byte: {', '.join(known)}"] if known else []
    if report.missing:
        lines.append(f"  {'missing':<14}{', '.join(report.missing)}")
    return lines + [f"  {'note':<14}{note}" for note in report.notes]


def _speed_lines(report: Report) -> list[str]:
    lines = []
    if report.speed:
        lines.append(f"  {'speed':<14}batch    k  bytes/forward    bytes/s  speedup  identical")
    for row in sorted(report.speed, key=lambda row: (row.batch, row.k)):
        rate = f"{row.bytes_per_s:.0f}" if row.bytes_per_s is not None else "-"
        lines.append(
            f"  {'':<14}{row.batch:>5}{row.k:>5}{row.bytes_per_forward:>15.2f}{rate:>11}"
            f"{row.speedup:>8.2f}x  {'yes' if row.identical else 'NO'}"
        )
    return lines


def headline(report: Report) -> dict[str, Any]:
    """The few figures for the JSON line; None where a stage is missing."""
    best, compressors = fastest(report.speed), report.compressors or {}
    return {
        "held_out_bpb": report.held_out_bpb[0] if report.held_out_bpb else None,
        "gzip_bpb": compressors["gzip"].each if "gzip" in compressors else None,
        "k": best.k if best else None,
        "batch": best.batch if best else None,
        "bytes_per_forward": best.bytes_per_forward if best else None,
        "speedup": best.speedup if best else None,
        "identical": all(row.identical for row in report.speed) if best else None,
        **{
            f"{suite}_pass_at_1": report.scores[suite].pass_at_1 if suite in report.scores else None
            for suite in SUITES
        },
        "missing": report.missing,
        "notes": report.notes,
    }
