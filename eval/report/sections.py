"""What the sections of the page say, as plain text and numbers; their HTML is in `templates/`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from eval.records import CompressorBits, SpeedRow
from eval.report.record import Report
from eval.report.samples import Shown
from eval.report.words import count_of, duration, size

COMPRESSOR_NAMES = {"gzip": "gzip -9", "zstd": "zstd -19", "xz": "xz -9e", "brotli": "brotli -q 11"}
SUITE_NAMES = {"exercises": "exercises", "humaneval": "HumanEval", "micro": "micro"}
# A model of fewer parameters is expected to solve next to none of HumanEval; the page says so.
SMALL_PARAMETERS = 100e6
LONGEST_TIME_PX = 420


def is_small(parameters: Mapping[str, float]) -> bool:
    """Whether a model is too small to solve HumanEval's problems; n-gram tables do not count."""
    return parameters.get("total", 0) - parameters.get("tables", 0) < SMALL_PARAMETERS


def trained_facts(report: Report) -> list[tuple[str, str]]:
    """The known facts of "What was trained, on what", as (name, text)."""
    training, data, machine = report.training, report.data, report.machine or {}
    parts, model = training.parameters or {}, training.model or {}
    split = ", ".join(f"{name} {count_of(n)}" for name, n in parts.items() if name != "total")
    shape = [
        f"{k} {model[k]}"
        for k in ("width", "layers", "context", "window", "short_window")
        if model.get(k)
    ]
    device = machine.get("gpu") or machine.get("processor") or machine.get("cpu")
    units = machine.get("vector_units")
    if isinstance(units, list) and units and not machine.get("gpu"):
        device = f"{device} ({', '.join(map(str, units))})"
    cores = f", {machine['cores']} cores" if machine.get("cores") else ""
    total, seconds = parts.get("total"), training.train_s
    facts = {
        "Preset": training.preset,
        "Parameters": count_of(total) + f" ({split})" * bool(split) if total is not None else None,
        "Shape": ", ".join(shape),
        "Training text": _text(data.train_bytes, data.train_documents) if data else None,
        "Held-out text": _text(data.held_out_bytes, data.held_out_documents) if data else None,
        "Bytes seen": _seen(report),
        "Training time": duration(seconds) if seconds is not None else None,
        "Machine": f"{device}{cores}" if device else None,
    }
    return [(name, words) for name, words in facts.items() if words]


def _text(size_bytes: int | None, documents: int | None) -> str | None:
    if size_bytes is None:
        return None
    return size(size_bytes) + (f" in {documents:,} files" if documents is not None else "")


def _seen(report: Report) -> str | None:
    seen, steps = report.training.bytes, report.training.steps
    whole = report.data.train_bytes if report.data else None
    if seen is None:
        return None
    passes = f" ({seen / whole:.2f} times the training text)" if whole else ""
    return size(seen) + passes + (f", {steps:,} steps" if steps else "")


def named_compressors(report: Report) -> dict[str, CompressorBits]:
    """The compressors by the names that a reader knows, such as "gzip -9"."""
    found = (report.compressors or {}).items()
    return {COMPRESSOR_NAMES.get(name, name): row for name, row in found}


def loss_references(report: Report) -> dict[str, float]:
    """Bits per byte of the compressors that the loss curve is compared with, by their names."""
    found = report.compressors or {}
    return {COMPRESSOR_NAMES[name]: found[name].each for name in ("gzip", "xz") if name in found}


def speed_prompts(rows: Sequence[SpeedRow]) -> str:
    """How many prompts each batch size was measured with; empty where that is not known."""
    by_batch = {row.batch: row.prompts for row in rows if row.prompts}
    if not by_batch or not rows[0].max_bytes:
        return ""
    return ", ".join(f"{by_batch[batch]} at batch {batch}" for batch in sorted(by_batch))


def most_accepted(rows: Sequence[SpeedRow]) -> SpeedRow | None:
    """The row whose accepted lengths are shown: the most heads, then the largest batch."""
    counted = [row for row in rows if sum(row.accepted_lengths or ())]
    return max(counted, key=lambda row: (row.k, row.batch), default=None)


def bytes_accepted(counts: Sequence[int]) -> int:
    """The bytes of all forwards; `counts[i]` forwards gave i + 1."""
    return sum(length * count for length, count in enumerate(counts, 1))


def sent_as(report: Report) -> str:
    """Which form of the prompt, and which stops: both are part of the result."""
    found = set()
    for score in report.scores.values():
        stops = score.complete.stops if score.complete else None
        if score.prompt_form:
            found.add(f"prompt {score.prompt_form}" + f", stops {stops}" * bool(stops))
    return "; ".join(sorted(found))


def counts_words(counts: Mapping[str, int] | None) -> str:
    """Those that are not 0: "passed 3, timed out 2"."""
    found = (counts or {}).items()
    return ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in found if count)


def longest_block(shown: Sequence[Shown]) -> int:
    """Bytes of the longest block that one forward gave."""
    return max((len(block.content) for one in shown for block in one.known), default=8)


@dataclass(frozen=True)
class StageTime:
    """A stage's row in the table of times."""

    name: str
    seconds: float
    width: int
    """Of its bar, in pixels."""


@dataclass(frozen=True)
class StageTimes:
    """The table of times; `unknown` are the stages that no time is known of."""

    known: list[StageTime]
    unknown: list[str]
    total: float


def stage_times(report: Report) -> StageTimes:
    """How long each stage took, the bars to the scale of the longest."""
    stages = {name.replace("_", " "): seconds for name, seconds in report.stages.items()}
    known = {name: seconds for name, seconds in stages.items() if seconds is not None}
    longest = max(known.values(), default=1.0) or 1.0
    return StageTimes(
        known=[
            StageTime(name, seconds, max(2, round(LONGEST_TIME_PX * seconds / longest)))
            for name, seconds in known.items()
        ],
        unknown=[name for name in stages if name not in known],
        total=sum(known.values()),
    )


def configuration(report: Report) -> dict[str, dict[str, str]]:
    """The tables of the last section: each value as text, by key."""
    tables: dict[str, Mapping[str, object] | None] = {
        "Model": report.training.model,
        "Training options": report.training.train,
        "Data": report.data.to_dict() if report.data else None,
        "Machine": report.machine,
        "Versions": report.versions,
        "Commands": report.commands,
    }
    return {
        name: {key: _plain(value) for key, value in values.items()}
        for name, values in tables.items()
        if values
    }


def _plain(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "none" if value is None else str(value)
