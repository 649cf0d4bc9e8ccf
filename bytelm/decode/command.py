"""`python -m bytelm generate`: complete prompts, to a file or to stdout."""

import base64
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import tyro

from bytelm.base import ranks
from bytelm.base.device import Device
from bytelm.base.errors import InputError
from bytelm.base.options import BatchSize, ByteCount, HeadCount, Positive, Range
from bytelm.decode.endings import Utf8Gate
from bytelm.decode.options import DecodeOptions, Engine, SamplingOptions
from bytelm.decode.prompts import Gap, Prompt, Prompts, check_infilling, fitted_gap, read_prompts
from bytelm.decode.row import Completion, bytes_per_forward
from bytelm.files.journal import Journal
from bytelm.files.places import Out, write_result
from bytelm.files.streams import read_stdin, say, write_stdout

if TYPE_CHECKING:
    from bytelm.checkpoint import Checkpoint
    from bytelm.model.model import Model


@dataclass
class Generate:
    """Complete prompts. The model's own heads draft, and head 1 verifies the drafts.

    Greedy by default. The text is exactly what head 1 alone would write, byte by byte.

    With --prompt-file, the completion's bytes are written to stdout as they are accepted. With
    --suffix-file too, the model fills the gap between the two files. With --prompts, one JSON row
    per completion is written to --out (or stdout), in the order of the prompts. The ranks of
    torchrun divide these prompts among them.
    A command with --out that was stopped goes on where it ended.
    """

    on_ranks: ClassVar[bool] = True

    checkpoint: Path | None = None
    """A run folder, or one of its checkpoints. Default: weights/small, which a clone has."""
    prompt_file: Path | None = None
    """A file whose bytes are the prompt; - is standard input."""
    suffix_file: Path | None = None
    """With --prompt-file: a file whose bytes follow the completion. The model must have been
    trained with infilling."""
    prompts: Path | None = None
    """A JSONL file; each row has "id" and "prompt" (or "prompt_base64")."""
    out: Annotated[Path, Out()] | None = None
    """The JSONL file to write; stdout if not given."""
    max_bytes: ByteCount = 1024
    """The largest number of bytes of a completion."""
    heads: HeadCount | None = None
    """k: use head 1 and k - 1 heads that draft; 1 decodes without drafts. Default: all heads."""
    batch: BatchSize = 16
    """How many completions run at a time."""
    stop: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    r"""Text that ends a completion; may be given several times. \n, \t, \\ and \xNN are escapes."""
    with_prompt: bool = False
    """Add "text" to each row: the prompt and its completion."""
    stops_span_prompt: bool = False
    """Also end at a stop that begins in the last bytes of the prompt."""
    sampling: Annotated[SamplingOptions, tyro.conf.arg(name="")] = field(
        default_factory=SamplingOptions
    )
    samples: Positive = 1
    """How many completions to sample for each prompt."""
    gate: Annotated[float, Range(0, 1, below=True)] | None = None
    """Verify a draft only if its head gives it at least this probability; 0: verify every draft.
    Default: chosen by the measured cost of a step; with --draft-rule sampled, 0.4. Changes only the
    speed. With --draft-rule sampled it also changes which text a seed gives, but not the
    distribution."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Type of weights, keys and values; bfloat16 is about twice as fast if the CPU supports it."""
    exact: bool = False
    """Feed blocks of the same width at every --heads, so that rounding, and so the text, is the
    same in bfloat16 too. The native engine does not need this."""
    engine: Engine = "auto"
    """native: C++ on a CPU; compiled: torch.compile, with CUDA graphs on a GPU; eager: plain torch;
    auto: the fastest of these that works here."""
    device: Device = "cpu"
    """cpu, cuda or cuda:N."""

    def options(self) -> DecodeOptions:
        """The decoding options of this command line."""
        return DecodeOptions(
            self.max_bytes, self.heads, self.batch, tuple(unescape(stop) for stop in self.stop),
            self.stops_span_prompt, self.sampling, self.samples, self.gate, self.engine, self.exact,
        )  # fmt: skip

    def run(self) -> dict[str, Any] | None:
        """Complete the prompts. Returns the figures of --out, or None if stdout has the text."""
        with ranks.joined(self.device) as device:
            return self._complete(device)

    def _complete(self, device: str) -> dict[str, Any] | None:
        import torch

        from bytelm.checkpoint import load_checkpoint

        if (self.prompt_file is None) == (self.prompts is None):
            raise InputError("give either --prompt-file or --prompts")
        if self.prompt_file is not None and ranks.world_size() > 1:
            raise InputError("--prompt-file is for one process: start it without torchrun")
        if self.prompt_file is not None and self.out is not None:
            raise InputError("--out goes with --prompts; with --prompt-file, redirect stdout")
        if self.suffix_file is not None and self.prompt_file is None:
            raise InputError("--suffix-file goes with --prompt-file")
        # Read the prompts first, so that a wrong file is reported before the model is loaded.
        prompts = read_prompts(self.prompts) if self.prompts is not None else None
        prompt = self._prompt()
        options = self.options()
        options.check()
        options.check_count(len(prompts.texts) if prompts else 1)
        sampling = self.sampling
        if sampling.temperature == 0 and (sampling.top_k or sampling.top_p < 1 or sampling.seed):
            say("--top-k, --top-p and --seed have no effect at --temperature 0 (greedy)")
        if self.prompt_file is not None and (self.samples > 1 or self.with_prompt):
            raise InputError("--samples and --with-prompt go with --prompts")
        checkpoint = load_checkpoint(self.checkpoint, device, getattr(torch, self.dtype))
        options.check(checkpoint.config.prediction_heads)
        if isinstance(prompt, Gap):
            check_infilling(checkpoint.infilling, checkpoint.folder)
            prompt = fitted_gap(prompt, checkpoint.config.context, self.max_bytes)
        if prompts is None:
            _stream(checkpoint.model, prompt, options)
            return None
        return self._many(checkpoint, prompts, options)

    def _prompt(self) -> Prompt:
        """What --prompt-file and --suffix-file give; without them, an empty prompt."""
        if self.prompt_file is None:
            return b""
        if self.suffix_file is None:
            return _read_file("--prompt-file", self.prompt_file)
        if str(self.prompt_file) == str(self.suffix_file) == "-":
            raise InputError("--prompt-file and --suffix-file cannot both be standard input")
        prefix = _read_file("--prompt-file", self.prompt_file)
        return Gap(prefix, _read_file("--suffix-file", self.suffix_file))

    def _many(
        self, checkpoint: "Checkpoint", prompts: Prompts, options: DecodeOptions
    ) -> dict[str, Any] | None:
        from bytelm.decode.progress import generate_with_progress, kept_completions

        started = time.monotonic()
        with Journal(self.out, self._work(prompts, options, checkpoint.sha256)) as journal:
            earlier = len(journal.rows)
            try:
                found = generate_with_progress(
                    checkpoint.model, prompts.texts, options, journal=journal
                )
            except (KeyboardInterrupt, SystemExit):
                if self.out is None:
                    write_stdout(self._lines(prompts, kept_completions(journal)))
                raise
            if not ranks.is_first():
                return None
            lines = self._lines(prompts, dict(enumerate(found)))
            if self.out is None:
                write_stdout(lines)
                return None
            write_result(self.out, lines)
            journal.finish()
        return self._figures(found, time.monotonic() - started, earlier)

    def _work(self, prompts: Prompts, options: DecodeOptions, sha256: str) -> dict[str, Any]:
        """What decides the completions, for the journal."""
        work = asdict(options)
        del work["batch"]
        work["stops"] = [stop.hex() for stop in options.stops]
        named = {"checkpoint_sha256": sha256, "prompts_sha256": prompts.sha256}
        return {**named, "dtype": self.dtype, **work}

    def _figures(self, found: Sequence[Completion], seconds: float, earlier: int) -> dict[str, Any]:
        size = sum(len(completion.text) for completion in found)
        forwards = sum(completion.forwards for completion in found)
        accepted = sum(completion.accepted_bytes for completion in found)
        return {
            "out": str(self.out),
            "prompts": len(found) // self.samples,
            "completions": len(found),
            "bytes": size,
            "accepted_bytes": accepted,
            "forwards": forwards,
            "bytes_per_forward": bytes_per_forward(found),
            # The seconds of an earlier process, which was stopped, are not known.
            "bytes_per_s": None if earlier else size / seconds,
            "seconds": round(seconds, 3),
        }

    def _lines(self, prompts: Prompts, found: dict[int, Completion]) -> bytes:
        """One JSON row per completion, in the order of the prompts and of their samples."""
        lines = []
        for index, completion in sorted(found.items()):
            number = index // self.samples
            whole = prompts.texts[number] + completion.text
            row = {
                "id": prompts.ids[number],
                **({"sample": index % self.samples} if self.samples > 1 else {}),
                "completion": _text(completion.text),
                "completion_base64": base64.b64encode(completion.text).decode(),
                **({"text": _text(whole)} if self.with_prompt else {}),
                "finish_reason": completion.finish_reason,
                "bytes": len(completion.text),
                "forwards": completion.forwards,
            }
            lines.append(json.dumps(row).encode() + b"\n")
        return b"".join(lines)


def _text(content: bytes) -> str:
    return content.decode("utf-8", "replace")


def _stream(model: "Model", prompt: Prompt, options: DecodeOptions) -> None:
    from bytelm.decode.generate import generate

    gate = Utf8Gate()

    def show(_: int, piece: bytes) -> None:
        write_stdout(gate.push(piece))

    started = time.monotonic()
    [completion] = generate(model, [prompt], options, show)
    write_stdout(gate.flush())
    seconds, size = time.monotonic() - started, len(completion.text)
    rate = completion.bytes_per_forward
    say(
        f"\n[{size} bytes in {completion.forwards} forwards ({rate:.2f} bytes a forward), "
        f"{size / seconds:.0f} bytes/s, ended by {completion.finish_reason}]"
    )


def unescape(text: str) -> bytes:
    r"""Decode Python's escapes for bytes in `text`: \n, \t, \\, \xNN.

    Raises InputError if `text` is empty or has a wrong escape.
    """
    if not text:
        raise InputError("--stop '': an empty stop would end every completion at once")
    try:
        raw = text.encode("utf-8", "surrogateescape")
        return raw.decode("unicode_escape").encode("latin-1")
    except (UnicodeDecodeError, UnicodeEncodeError) as error:
        raise InputError(f"--stop {text!r}: {error}; write a backslash as \\\\") from error


def _read_file(name: str, path: Path) -> bytes:
    if str(path) == "-":
        return read_stdin()
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{name} {path}: {error.strerror}") from error
