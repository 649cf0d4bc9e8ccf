"""What a run folder holds, read and checked for the report.

Every results file may be missing; one that is there must be whole: what the page relies on is
checked here, so that the page itself never meets a surprise.
"""

import base64
import binascii
import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bytelm.toolkit import InputError
from eval.suites.problems import read_jsonl

SUITES = ("humaneval", "micro")
Check = Callable[[Any], bool]


@dataclass
class RunFolder:
    """The files of a run, as they were written; an absent one is empty."""

    path: Path
    config: dict[str, Any]
    metrics: list[dict[str, Any]]
    summary: dict[str, Any]
    bits: dict[str, Any]
    speed: dict[str, Any]
    timings: dict[str, Any]
    scores: dict[str, dict[str, Any]] = field(default_factory=dict)
    complete: dict[str, dict[str, Any]] = field(default_factory=dict)
    samples: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    other_samples: set[str] = field(default_factory=set)
    """Suites whose verdicts are of other samples than those that lie there now."""


def is_number(value: Any) -> bool:
    """A finite int or float (bool is neither)."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def is_count(value: Any) -> bool:
    """A whole number, 0 or more (bool is none)."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def is_text(value: Any) -> bool:
    """A string."""
    return isinstance(value, str)


def list_of(check: Check, least: int = 0) -> Check:
    """A list of at least `least` items that all pass."""
    return lambda value: isinstance(value, list) and len(value) >= least and all(map(check, value))


def table_of(check: Check) -> Check:
    """An object whose values all pass."""
    return lambda value: isinstance(value, dict) and all(map(check, value.values()))


def pair(value: Any) -> bool:
    """Two numbers."""
    return list_of(is_number)(value) and len(value) == 2


def anything(_: Any) -> bool:
    """Whatever is there: shown as it is."""
    return True


def fits(rules: "Rules") -> Check:
    """An object that keeps the rules."""
    return lambda value: isinstance(value, dict) and misfit(value, rules) is None


@dataclass(frozen=True)
class Rules:
    """What a JSON object must hold, and what its other keys must be where they are there."""

    needed: Mapping[str, Check] = field(default_factory=dict)
    optional: Mapping[str, Check] = field(default_factory=dict)


def misfit(value: Mapping[str, Any], rules: Rules) -> str | None:
    """The first key of `value` that breaks the rules, or None."""
    for name, check in rules.needed.items():
        if name not in value or not check(value[name]):
            return name
    for name, check in rules.optional.items():
        if value.get(name) is not None and not check(value[name]):
            return name
    return None


BPB = list_of(is_number, 1)
SEALED: dict[str, Check] = {
    "seconds": is_number,
    "command": is_text,
    "checkpoint_sha256": is_text,
    "machine": table_of(anything),
    "versions": table_of(anything),
}
DATA = Rules(
    optional={
        f"{split}_{what}": is_count
        for split in ("train", "held_out")
        for what in ("bytes", "documents")
    }
)
CONFIG = Rules(
    optional={"model": table_of(anything), "train": table_of(anything), "data": fits(DATA)}
    | {"preset": is_text}
    | SEALED
)
METRIC = Rules(
    # A step whose loss was not finite was skipped, and has none.
    {"bytes": is_number, "bpb": lambda value: value is None or is_number(value)},
    {"step": is_count, "elapsed_s": is_number, "held_out_bpb": BPB},
)
SUMMARY = Rules(
    {"steps": is_count, "bytes": is_number},
    SEALED
    | {
        "train_s": is_number,
        "held_out_bpb": BPB,
        "parameters": table_of(is_number),
        "forecast": table_of(is_number),
        "checkpoint": is_text,
    },
)
COMPRESSOR = Rules({"each": is_number, "together": is_number})
FILE = Rules({"name": is_text, "bytes": is_count, "heads_bpb": BPB})
BITS = Rules(
    {"heads_bpb": BPB},
    SEALED
    | {
        "bytes": is_count,
        "documents": is_count,
        "forecast": table_of(is_number),
        "compressors": table_of(fits(COMPRESSOR)),
        "files": list_of(fits(FILE)),
    },
)
SPEED_ROW = Rules(
    {
        "k": is_count,
        "batch": is_count,
        "bytes_per_forward": is_number,
        "speedup": is_number,
        "identical": lambda value: isinstance(value, bool),
    },
    {
        "bytes_per_s": is_number,
        "accepted_lengths": list_of(is_count),
        "distinct_windows": is_number,
        "speedup_range": pair,
        "prompts": is_count,
        "prompt_bytes": anything,
        "max_bytes": is_count,
    },
)
SPEED = Rules({"rows": list_of(fits(SPEED_ROW), 1)}, SEALED)
SCORE = Rules(
    {"pass_at_1": is_number, "n": is_count},
    SEALED
    | {
        "pass_at_1_interval": pair,
        "samples": is_count,
        "results": table_of(is_count),
        "finish_reasons": table_of(is_count),
        "prompt_form": is_text,
        "samples_sha256": is_text,
    },
)
COMPLETE = Rules(optional=SEALED | dict.fromkeys(("bytes", "forwards", "bytes_per_s"), is_number))
SAMPLE = Rules(
    {"task_id": is_text, "completion": is_text},
    {"finish_reason": is_text, "result": is_text, "completion_base64": is_text},
)


def read_run(folder: Path) -> RunFolder:
    """Read a run folder.

    Raises InputError where nothing was trained in it, or a file of it is damaged.
    """
    if not folder.is_dir():
        raise InputError(f"--run {folder}: no such folder; give a run folder such as runs/tiny")
    metrics = _read_metrics(folder / "metrics.jsonl")
    summary = _read_json(folder / "summary.json", SUMMARY)
    if not metrics and not summary:
        raise InputError(
            f"{folder}: nothing was trained here (neither metrics.jsonl nor summary.json); "
            "train first, or give another --run"
        )
    results = folder / "results"
    run = RunFolder(
        path=folder,
        config=_read_json(folder / "config.json", CONFIG),
        metrics=metrics,
        summary=summary,
        bits=_read_json(results / "bits.json", BITS),
        speed=_read_json(results / "speed.json", SPEED),
        timings=_read_json(results / "timings.json", Rules()),
    )
    for suite in SUITES:
        run.scores[suite] = _read_json(results / f"{suite}.json", SCORE)
        run.complete[suite] = _read_json(results / f"{suite}.complete.json", COMPLETE)
        run.samples[suite] = _read_samples(results, suite)
        graded = run.scores[suite].get("samples_sha256")
        path = results / f"{suite}.jsonl"
        if graded and path.is_file() and graded != _sha256(path):
            run.other_samples.add(suite)
    return run


def completion_bytes(sample: Mapping[str, Any]) -> bytes:
    """A sample's raw bytes: `completion_base64` where it is there, else `completion` in UTF-8."""
    encoded = sample.get("completion_base64")
    if encoded is not None:
        return base64.b64decode(encoded, validate=True)
    text: str = sample["completion"]
    return text.encode("utf-8", "surrogatepass")


def finite(value: Any) -> Any:
    """`value` with every NaN and infinity, which JSON does not know, replaced by None."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [finite(item) for item in value]
    return value


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_json(path: Path, rules: Rules) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        value = finite(json.loads(path.read_bytes()))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}; is the path right?") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: damaged, not JSON ({error}); run its stage again") from error
    if not isinstance(value, dict):
        raise InputError(f"{path}: a JSON object is needed; run its stage again")
    wrong = misfit(value, rules)
    if wrong is not None:
        raise InputError(
            f"{path}: {wrong!r} is missing or not what it should be; run its stage again"
        )
    return value


def _read_metrics(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    lines = path.read_bytes().splitlines(keepends=True)
    if lines and not lines[-1].endswith(b"\n"):
        # The row that a run was killed over, or is writing now.
        lines.pop()
    rows = []
    for number, line in enumerate(lines, 1):
        try:
            row = finite(json.loads(line))
            wrong = "the row" if not isinstance(row, dict) else misfit(row, METRIC)
        except (ValueError, RecursionError):
            wrong = "the row"
        if wrong is not None:
            raise InputError(
                f"{path}:{number}: damaged ({wrong} is missing or not what it should be); "
                "resume the training, which writes it again from its checkpoint"
            )
        rows.append(row)
    return rows


def _read_samples(results: Path, suite: str) -> list[dict[str, Any]]:
    """The samples of a suite, with verdicts where they were graded."""
    for name in (f"{suite}.jsonl_results.jsonl", f"{suite}.jsonl"):
        path = results / name
        if not path.exists():
            continue
        rows = []
        for number, raw in read_jsonl(path):
            row = finite(raw)
            wrong = misfit(row, SAMPLE)
            if wrong is None:
                try:
                    completion_bytes(row)
                except (binascii.Error, ValueError):
                    wrong = "completion_base64"
            if wrong is not None:
                raise InputError(
                    f"{path}:{number}: {wrong!r} is missing or not what it should be; "
                    "complete the suite again"
                )
            rows.append(row)
        return rows
    return []
