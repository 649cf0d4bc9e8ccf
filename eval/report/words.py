"""Figures as words: sizes, times, shares, and the one sentence that sums up a run."""

from collections.abc import Mapping, Sequence

from eval.records import SpeedRow
from eval.report.record import Report


def size(count: float) -> str:
    """Bytes for a person: 12.3 MB."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("KB", 1e3)):
        if count >= scale:
            return f"{count / scale:.{1 if count < 100 * scale else 0}f} {unit}"
    return f"{count:.0f} bytes"


def count_of(number: float) -> str:
    """A number of parameters: 1.3M."""
    for unit, scale in (("B", 1e9), ("M", 1e6), ("K", 1e3)):
        if number >= scale:
            return f"{number / scale:.{1 if number < 100 * scale else 0}f}{unit}"
    return f"{number:.0f}"


def duration(seconds: float) -> str:
    """Seconds for a person: 4 min 30 s."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, left = divmod(minutes, 60)
    if hours:
        return f"{hours} h {left} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def percent(share: float) -> str:
    """A share from 0 to 1: 12.3 %."""
    return f"{100 * share:.1f} %"


def interval(bounds: Sequence[float] | None) -> str:
    """A share's 95 % interval; empty where it is not known."""
    return f"{100 * bounds[0]:.1f} to {percent(bounds[1])}" if bounds else ""


def fastest(rows: Sequence[SpeedRow]) -> SpeedRow | None:
    """The row of speed for the headline: the most heads, then the best speedup."""
    return max(rows, key=lambda row: (row.k, row.speedup), default=None)


def model_words(parameters: Mapping[str, float]) -> str:
    """The model's size in words, its n-gram tables apart; empty where it is not known."""
    total, tables = parameters.get("total", 0), parameters.get("tables", 0)
    beside = f" (and {count_of(tables)} in n-gram tables)" if tables else ""
    return f"{count_of(total - tables)} parameters{beside}" if total else ""


def sentence(report: Report) -> str:
    """What this run is, in one honest sentence."""
    training, bpb = report.training, report.held_out_bpb
    size_words = model_words(training.parameters or {})
    text = "A byte-level code model" + f" of {size_words}" * bool(size_words)
    if training.train_s:
        text += f", trained for {duration(training.train_s)}"
    if bpb:
        text += f", needs {bpb[0]:.2f} bits per byte on held-out files"
        gzip = (report.compressors or {}).get("gzip")
        text += f" (gzip -9: {gzip.each:.2f})" if gzip else ""
    best = fastest(report.speed)
    if best:
        text += f" and gives {best.bytes_per_forward:.2f} bytes per forward with {best.k} heads"
        text += f", {best.speedup:.2f} times as fast as plain decoding at batch {best.batch}"
    solved = _solved(report)
    return text + (f"; it solves {solved}" if solved else "") + "."


def _solved(report: Report) -> str:
    """What shares of which suites are solved, in words; empty where nothing was graded."""
    found = []
    easy = [own for level, own in report.exercises.levels[:2]] if report.exercises else []
    if easy:
        share = sum(own.n * own.pass_at_1 for own in easy) / sum(own.n for own in easy)
        found.append(f"{percent(share)} of unseen exercises of levels 1 and 2")
    if report.humaneval:
        found.append(f"{percent(report.humaneval.pass_at_1)} of HumanEval")
    return " and ".join(found)
