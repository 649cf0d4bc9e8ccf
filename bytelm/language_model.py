"""A trained model to work with from Python: complete, stream, score, and the module itself.

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
from bytelm.decode.row import Completion
from bytelm.model.head_logits import HeadLogits
from bytelm.scoring import score_documents

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def load(
    path: str | Path,
    *,
    device: str | torch.device = "cpu",
    dtype: Literal["float32", "bfloat16"] | torch.dtype = "float32",
) -> "LanguageModel":
    """Load a trained model.

    `path`: a run folder (its newest whole checkpoint is taken) or a checkpoint. `device`: cpu,
    cuda or cuda:N. `dtype`: of weights, keys and values; bfloat16 halves the memory and is faster
    where the processor has it.

    Raises InputError (a ValueError) that names the argument, where there is no such checkpoint,
    where it is damaged, or where this machine cannot serve.
    """
    if not isinstance(path, str | Path):
        raise InputError(f"path must be a str or a Path, not {type(path).__name__}")
    return LanguageModel(load_checkpoint(path, str(device), _dtype(dtype)))


class LanguageModel:
    """A loaded model. Get one from `bytelm.load`.

    `module`: a torch.nn.Module that gives the logits of all heads, see HeadLogits. `config`: the
    model's sizes. `folder`: the checkpoint that was loaded. `step`: the training step it is from.

    Text is bytes. A str is accepted wherever bytes are, and stands for its bytes in UTF-8.
    Whatever the options, text is chosen by head 1 alone: the other heads draft, and change the
    speed. All methods raise InputError (a ValueError) that names the wrong argument.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.module: HeadLogits = HeadLogits(checkpoint.model)
        self.config: ModelConfig = checkpoint.config
        self.folder: Path = checkpoint.folder
        self.step: int = checkpoint.step

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

        It ends before the first of `stops`, where the model ends the document, after `max_bytes`
        bytes, or where the context is full. `complete_many` also says which of these it was.

        What is written:
            temperature: 0 takes the most probable byte (greedy); above, bytes are drawn.
            top_k: draw from the k most probable bytes only; 0: from all.
            top_p: draw from the most probable bytes that together reach this probability.
            seed: the same seed gives the same text.
        How fast:
            heads: how many heads take part, 1 is decoding without drafts; None: all.
            engine: native (C++ on a CPU), compiled (torch.compile), eager (plain torch), or
                auto, the fastest that works here.
            gate: feed a draft only if its head is at least this sure of it, from 0 (always) to
                below 1; None: as sure as pays on this machine.
            draft_rule: in sampling, heads draft their best byte (argmax), or one drawn from their
                own distribution (sampled; then a seed's text depends on `heads`).
            exact: with `engine` compiled or eager in bfloat16, let decoding with few heads use
                blocks as wide as with all, so that rounding is the same.
        """
        text = _as_bytes(prompt, "prompt")
        sampling = SamplingOptions(temperature, top_k, top_p, seed, draft_rule)
        options = DecodeOptions(
            max_bytes, heads, 1, tuple(_all_as_bytes(stops, "stops")),
            sampling=sampling, samples=1, gate=gate, engine=engine, exact=exact,
        )  # fmt: skip
        return generate(self.module.model, [text], options)[0].text

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
        """Complete one prompt; yields the completion piece by piece, as soon as each is final.

        Joined, the pieces are what `complete` returns with the same options. A piece is final when
        no stop can take it back. It may end within a UTF-8 character. The model runs only while
        the next piece is asked for; leaving the loop, or `close()`, ends the decoding.

        Options as in `complete`. Wrong ones raise at the call, before the first piece.
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
        """Complete many prompts side by side; returns for each prompt a list of its completions.

        `found[p][i].text` is sample i of prompt p. Each prompt has `samples` completions (one by
        default; several need a temperature above 0). A Completion also says why it ended and how
        many forwards it took. `batch` rows run at a time. It changes the speed and the memory, and
        no text.

        Other options as in `complete`.
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
        """How many bits each head needs for a byte of `text`: n numbers, head 1's first.

        Head i predicts the byte i places ahead; 8 bits is what a guess at random would need. The
        text is scored as one document of any length, its end included. NaN for a head that looks
        further ahead than the text is long.
        """
        content = _as_bytes(text, "text")
        if not content:
            raise InputError("text is empty: there is no byte to score")
        score = score_documents(self.module.model, [content])
        symbols_N = score.symbols_DN[0]
        found = score.heads_bpb()
        return [bits if symbols_N[head] else float("nan") for head, bits in enumerate(found)]

    def encode(self, text: bytes | str) -> Tensor:
        """The ids of `text` for `module`: BOS and the bytes, (1, T) of int64, on its device."""
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
    # Python would take one text apart into its characters.
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
