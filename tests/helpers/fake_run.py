"""A run folder as all stages leave it, with figures that are made up and text that is hostile."""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

from support import write_rows

HOSTILE = "<script>alert('x')</script>\"&"
OURS, OTHER = "a" * 64, "b" * 64
BPB = [2.0, 2.9, 3.3, 3.6, 3.9, 4.1, 4.2, 4.3]
SUITES = {"exercises": "exercises/1/0", "humaneval": "HumanEval/0", "micro": "micro/0"}


def write(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def edit(path: Path, **changes: Any) -> None:
    write(path, {**json.loads(path.read_text()), **changes})


def sample(task_id: str, text: bytes, **more: Any) -> dict[str, Any]:
    return {
        "task_id": task_id,
        "completion": text.decode("utf-8", "replace"),
        "completion_base64": base64.b64encode(text).decode(),
        "finish_reason": "stop",
        "bytes": len(text),
        "forwards": 2,
        "accepted": [1, len(text) - 1],
        **more,
    }


def score(samples: bytes) -> dict[str, Any]:
    return {
        "n": 2,
        "samples": 2,
        "pass_at_1": 0.5,
        "pass_at_1_interval": [0.1, 0.9],
        "results": {"passed": 1, "failed": 1, "timed out": 0},
        "finish_reasons": {"stop": 2},
        "prompt_form": "raw",
        "seconds": 3.5,
        "samples_sha256": hashlib.sha256(samples).hexdigest(),
    }


def make_run(folder: Path) -> Path:
    results = folder / "results"
    write(
        folder / "config.json",
        {
            "preset": "tiny",
            "model": {"width": 128, "note": HOSTILE},
            "train": {"batch": 8},
            "data": {
                "folder": "shards",
                "train_bytes": 10_000,
                "train_documents": 3,
                "seconds": 1.5,
            },
            "machine": {"processor": HOSTILE, "cores": 2, "gpu": None},
            "versions": {"python": "3.11"},
            "command": f"python -m bytelm train {HOSTILE}",
        },
    )
    rows: list[dict[str, Any]] = [
        {"step": i, "bytes": 4096 * i, "bpb": 2 + 6 / i, "elapsed_s": i} for i in range(1, 40)
    ]
    rows[19]["held_out_bpb"] = BPB
    write_rows(folder / "metrics.jsonl", rows)
    write(
        folder / "summary.json",
        {
            "steps": 39,
            "bytes": 4096 * 39,
            "train_s": 39.0,
            "parameters": {"total": 18_000_000, "tables": 17_000_000},
            "held_out_bpb": [value + 0.1 for value in BPB],
            "forecast": {"1": 1.0, "8": 2.2},
            "checkpoint": "checkpoints/step-000039",
            "checkpoint_sha256": OURS,
        },
    )
    compressors = {
        name: {"each": 2.1, "together": 1.6} for name in ("gzip", "zstd", "xz", "brotli")
    }
    write(
        results / "bits.json",
        {
            "heads_bpb": BPB,
            "bytes": 5000,
            "documents": 2,
            "compressors": compressors,
            "forecast": {"1": 1.0, "8": 2.3},
            "files": [{"name": HOSTILE, "bytes": 5000, "heads_bpb": BPB}],
            "seconds": 2.5,
            "checkpoint_sha256": OURS,
            "command": "python -m eval bits",
        },
    )
    speed = [
        {"k": k, "batch": batch, "bytes_per_forward": k**0.5, "bytes_per_s": 1000.0 * k,
         "speedup": k**0.4, "identical": True, "accepted_lengths": [3] * k,
         "distinct_windows": 0.4, "prompts": 4, "prompt_bytes": 1024, "max_bytes": 64}
        for batch in (16, 1) for k in (1, 2, 4, 8)
    ]  # fmt: skip
    write(results / "speed.json", {"rows": speed, "seconds": 9.0, "checkpoint_sha256": OURS})
    for suite, task_id in SUITES.items():
        samples = [sample(task_id, b"return 1\n"), sample(HOSTILE, HOSTILE.encode() + b"\xff\0")]
        raw = b"".join(json.dumps(row).encode() + b"\n" for row in samples)
        (results / f"{suite}.jsonl").write_bytes(raw)
        graded = [{**row, "result": f"failed: {HOSTILE}", "passed": False} for row in samples]
        write_rows(results / f"{suite}.jsonl_results.jsonl", graded)
        write(results / f"{suite}.json", score(raw))
        done = {"seconds": 4.0, "bytes": 100, "forwards": 40, "bytes_per_forward": 2.5,
                "checkpoint_sha256": OURS}  # fmt: skip
        bits = {
            "heads_bpb": [0.5, None],
            "heads_interval": [[0.4, 0.6], None],
            "problems": 2,
            "bytes": 80,
            "seconds": 1.0,
            "checkpoint_sha256": OURS,
            "solutions": [],
        }
        write(results / f"solutions-{suite}.json", bits)
        write(results / f"{suite}.complete.json", done)
    part = {"n": 1, "samples": 1, "pass_at_1_interval": [0.1, 0.9], "pass_at_k": {}}
    levels = {str(level): {**part, "pass_at_1": level % 2} for level in (1, 2, 3)}
    edit(results / "exercises.json", by_level=levels)
    return folder


def report_of(folder: Path) -> dict[str, Any]:
    def refuse(name: str) -> None:
        raise AssertionError(f"{name} in JSON")

    text = (folder / "report.json").read_text()
    found: dict[str, Any] = json.loads(text, parse_constant=refuse)
    return found
