"""Use a trained model from Python: complete, stream, score, or call its torch module.

    import bytelm
    model = bytelm.load("weights/plain-5m-n4")
    model.complete(b"def add(a, b):\n", max_bytes=64)

docs/python.md shows more. Shapes: B batch row, T position, n prediction heads, V id.
"""

from collections.abc import Generator, Iterable
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from bytelm.alphabet import BOS
from bytelm.base.errors import InputError
from bytelm.checkpoint import Checkpoint, load_checkpoint
from bytelm.config import ModelConfig
from bytelm.decode.generate import generate, stream
from bytelm.decode.options import DecodeOptions, DraftRule, Engine, SamplingOptions
from bytelm.decode.prompts import Gap, check_infilling, fitted_gap
from bytelm.decode.row import Completion
from bytelm.model.head_logits import HeadLogits
from bytelm.scoring import score_documents

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def load(
    path: str | Path | None = None,
    *,
    device: str | torch.device = "cpu",
    dtype: Literal["float32", "bfloat16"] | torch.dtype = "float32",
) -> "LanguageModel":
    """Load a trained model.

    `path`: a checkpoint folder, or a run folder, of which the newest undamaged checkpoint is
    loaded; by default `weights/small`, which comes with a clone. `device`: cpu, cuda or cuda:N.
    `dtype`: the type of weights, keys and values. bfloat16 halves the memory, and is faster on
    processors that support it.

    Raises InputError (a ValueError) if an argument is wrong, if there is no such checkpoint, if the
    checkpoint is damaged, or if this machine does not have the device.
    """
    if not isinstance(path, str | Path | None):
        raise InputError(f"path must be a str or a Path, not {type(path).__name__}")
    return LanguageModel(load_checkpoint(path, str(device), _dtype(dtype)))


class LanguageModel:
    """A loaded model. `bytelm.load` returns one.

    `module`: a torch.nn.Module that returns the logits of all heads; see HeadLogits. `config`: the
    model's sizes. `folder`: the checkpoint that was loaded. `step`: its training step. `infilling`:
    the share of documents that were rearranged in training; 0: it cannot fill gaps.

    Text is bytes. Methods also accept a str and encode it as UTF-8.
    Head 1 alone decides the text, whatever the options. The other heads only draft, which makes
    decoding faster. All methods raise InputError (a ValueError) for a wrong argument and name it.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.module: HeadLogits = HeadLogits(checkpoint.model)
        self.config: ModelConfig = checkpoint.config
        self.folder: Path = checkpoint.folder
        self.step: int = checkpoint.step
        self.infilling: float = checkpoint.infilling

    def __repr__(self) -> str:
        weight = self.module.model.embedding.weight
        parameters = self.module.model.parameters_by_part()["total"] / 1e6
        return (
            f"<LanguageModel {self.folder}: {parameters:.1f}M parameters, "
            f"{self.config.prediction_heads} heads, context {self.config.context}, "
            f"{str(weight.dtype).removeprefix('torch.')} on {weight.device}>"
        )

    def complete(
        self,
        prompt: bytes | str,
        *,
        max_bytes: int = 1024,
        stops: Iterable[bytes | str] = (),
        heads: int | None = None,
        temperature: float = 0.0,
        top_k: int = 0,
        top_p: float = 1.0,
        seed: int = 0,
        engine: Engine = "auto",
        gate: float | None = None,
        draft_rule: DraftRule = "argmax",
        exact: bool = False,
    ) -> bytes:
        """Complete one prompt; returns the completion without the prompt.

        A completion ends before the first of `stops`, where the model ends the document, after
        `max_bytes` bytes, or when the context is full. `complete_many` also returns which of these
        it was.

        Options that choose the text:
            temperature: 0 takes the most probable byte (greedy); above 0, bytes are sampled.
            top_k: sample from the k most probable bytes only; 0: from all.
            top_p: sample from the most probable bytes whose probabilities reach this sum.
            seed: the same seed gives the same text.
        Options that change the speed:
            heads: how many heads to use; 1 decodes without drafts; None: all.
            engine: native (C++ on a CPU), compiled (torch.compile), eager (plain torch), or
                auto, the fastest one that works on this machine.
            gate: verify a draft only if its head gives it at least this probability, from 0
                (always) to below 1; None: chosen by the measured cost of a step.
            draft_rule: when sampling, each head drafts its most probable byte (argmax) or samples
                one (sampled; the text of a seed then depends on `heads`).
            exact: with `engine` compiled or eager in bfloat16, feed blocks of the same width for
                any number of heads. Rounding, and so the text, is then the same for all.
        """
        text = _as_bytes(prompt, "prompt")
        sampling = SamplingOptions(temperature, top_k, top_p, seed, draft_rule)
        options = DecodeOptions(
            max_bytes, heads, 1, tuple(_all_as_bytes(stops, "stops")),
            sampling=sampling, samples=1, gate=gate, engine=engine, exact=exact,
        )  # fmt: skip
        return generate(self.module.model, [text], options)[0].text

    def infill(
        self,
        prefix: bytes | str,
        suffix: bytes | str,
        *,
        max_bytes: int = 1024,
        stops: Iterable[bytes | str] = (),
        heads: int | None = None,
        temperature: float = 0.0,
        top_k: int = 0,
        top_p: float = 1.0,
        seed: int = 0,
        engine: Engine = "auto",
        gate: float | None = None,
        draft_rule: DraftRule = "argmax",
        exact: bool = False,
    ) -> bytes:
        """Write the text between `prefix` and `suffix`; returns it alone.

        It ends where the model ends it, or as a completion does. If both texts are too long for the
        context, the prefix loses its beginning and the suffix its end, and stderr says so.

        The options are those of `complete`. Raises InputError if the model was trained without
        infilling (`infilling` is 0).
        """
        gap = Gap(_as_bytes(prefix, "prefix"), _as_bytes(suffix, "suffix"))
        check_infilling(self.infilling, self.folder)
        sampling = SamplingOptions(temperature, top_k, top_p, seed, draft_rule)
        options = DecodeOptions(
            max_bytes, heads, 1, tuple(_all_as_bytes(stops, "stops")),
            sampling=sampling, samples=1, gate=gate, engine=engine, exact=exact,
        )  # fmt: skip
        options.check(self.config.prediction_heads)
        gap = fitted_gap(gap, self.config.context, max_bytes)
        return generate(self.module.model, [gap], options)[0].text

    def stream(
        self,
        prompt: bytes | str,
        *,
        max_bytes: int = 1024,
        stops: Iterable[bytes | str] = (),
        heads: int | None = None,
        temperature: float = 0.0,
        top_k: int = 0,
        top_p: float = 1.0,
        seed: int = 0,
        engine: Engine = "auto",
        gate: float | None = None,
        draft_rule: DraftRule = "argmax",
        exact: bool = False,
    ) -> Generator[bytes, None, None]:
        """Complete one prompt; yields the completion in pieces, each as soon as it is final.

        The pieces join to what `complete` returns for the same options. A piece is final when none
        of its bytes can belong to a stop. A piece may end inside a UTF-8 character. The model runs
        only when the next piece is requested. Leaving the loop, or `close()`, ends the decoding.

        The options are those of `complete`. A wrong option raises at the call, before the first
        piece.
        """
        text = _as_bytes(prompt, "prompt")
        sampling = SamplingOptions(temperature, top_k, top_p, seed, draft_rule)
        options = DecodeOptions(
            max_bytes, heads, 1, tuple(_all_as_bytes(stops, "stops")),
            sampling=sampling, samples=1, gate=gate, engine=engine, exact=exact,
        )  # fmt: skip
        return stream(self.module.model, text, options)

    def complete_many(
        self,
        prompts: Iterable[bytes | str],
        *,
        samples: int = 1,
        batch: int = 16,
        max_bytes: int = 1024,
        stops: Iterable[bytes | str] = (),
        heads: int | None = None,
        temperature: float = 0.0,
        top_k: int = 0,
        top_p: float = 1.0,
        seed: int = 0,
        engine: Engine = "auto",
        gate: float | None = None,
        draft_rule: DraftRule = "argmax",
        exact: bool = False,
    ) -> list[list[Completion]]:
        """Complete many prompts in batches; returns one list of completions for each prompt.

        In the result `found`, `found[p][i].text` is sample i of prompt p. Each prompt gets
        `samples` completions; more than one needs a temperature above 0. A Completion also holds
        the reason why it ended and the number of forward passes. `batch` rows run at a time; this
        changes speed and memory, but no text.

        The other options are those of `complete`.
        """
        texts = _all_as_bytes(prompts, "prompts")
        sampling = SamplingOptions(temperature, top_k, top_p, seed, draft_rule)
        options = DecodeOptions(
            max_bytes, heads, batch, tuple(_all_as_bytes(stops, "stops")),
            sampling=sampling, samples=samples, gate=gate, engine=engine, exact=exact,
        )  # fmt: skip
        found = generate(self.module.model, texts, options)
        return [found[first : first + samples] for first in range(0, len(found), samples)]

    def bits_per_byte(self, text: bytes | str) -> list[float]:
        """Bits per byte of each head on `text`: n numbers, head 1 first.

        Head i predicts the byte i positions ahead. A uniform guess over the bytes takes 8 bits.
        `text` is scored as one document of any length, end of document included. The value is NaN
        for a head that predicts further ahead than the text is long.

        Raises InputError if `text` is empty, or if the model gives logits that are not finite.
        """
        content = _as_bytes(text, "text")
        if not content:
            raise InputError("text is empty: there is no byte to score")
        score = score_documents(self.module.model, [content])
        score.check_finite(self.module.model)
        symbols_N = score.symbols_DN[0]
        found = score.heads_bpb()
        return [bits if symbols_N[head] else float("nan") for head, bits in enumerate(found)]

    def encode(self, text: bytes | str) -> Tensor:
        """The ids of `text` as input for `module`: BOS, then the bytes.

        Returns an int64 tensor (1, T) on the model's device, T = 1 + the number of bytes.
        """
        ids = [BOS, *_as_bytes(text, "text")]
        return torch.tensor([ids], device=self.module.model.embedding.weight.device)


def _as_bytes(text: bytes | str, argument: str) -> bytes:
    if isinstance(text, bytes):
        return text
    if not isinstance(text, str):
        raise InputError(f"{argument} must be bytes or str, not {type(text).__name__}")
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"{argument} cannot be written as UTF-8: {error}") from error


def _all_as_bytes(texts: Iterable[bytes | str], argument: str) -> list[bytes]:
    # A str or bytes is iterable too: each of its characters would become a text.
    if isinstance(texts, bytes | str):
        raise InputError(
            f"{argument} must be a list of texts, not one {type(texts).__name__}; "
            f"for a single one write {argument}=[{texts[:20]!r}]"
        )
    if not isinstance(texts, Iterable):
        raise InputError(f"{argument} must be a list of texts, not {type(texts).__name__}")
    return [_as_bytes(text, f"{argument}[{index}]") for index, text in enumerate(texts)]


def _dtype(dtype: str | torch.dtype) -> torch.dtype:
    found = DTYPES.get(dtype) if isinstance(dtype, str) else dtype
    if found not in DTYPES.values():
        raise InputError(f"dtype must be {' or '.join(DTYPES)}, not {str(dtype)!r}")
    assert isinstance(found, torch.dtype)
    return found
