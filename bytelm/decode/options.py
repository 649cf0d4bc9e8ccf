"""What a caller may ask of decoding."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from bytelm.base.errors import InputError, option, setting
from bytelm.base.options import Range, check_options

Engine = Literal["auto", "native", "compiled", "eager"]
DraftRule = Literal["argmax", "sampled"]


@dataclass(frozen=True)
class SamplingOptions:
    """How bytes are chosen from head 1's distribution."""

    temperature: Annotated[float, Range(0)] = 0.0
    """0 is greedy; above, bytes are drawn from head 1's distribution at this temperature."""
    top_k: Annotated[int, Range(0, 2**63 - 1)] = 0
    """Draw from the k most probable bytes only; 0: from all."""
    top_p: Annotated[float, Range(0, 1, above=True)] = 1.0
    """Draw from the most probable bytes that together reach this probability."""
    seed: Annotated[int, Range(0, 2**64 - 1)] = 0
    """Replays the same samples."""
    draft_rule: DraftRule = "argmax"
    """In sampling, drafts are each head's best byte (then the text is the same with any number of
    heads), or drawn from the head's own distribution (then only the distribution is)."""

    def check(self) -> None:
        """Raise InputError for values that make no sense."""
        check_options(self)


@dataclass(frozen=True)
class DecodeOptions:
    """`heads`, `batch`, `gate` and `engine` change no byte of greedy output, only the speed.

    (Two engines add in different orders, so at a tie of two logits to the last bits they may part;
    each agrees with itself.)
    """

    max_bytes: Annotated[int, Range(1)] = 1024
    """Bytes of a completion at most."""
    heads: int | None = None
    """k: head 1 and k - 1 heads that draft; 1 is plain decoding. None: all heads of the model."""
    batch: Annotated[int, Range(1)] = 16
    """Rows that run side by side."""
    stops: tuple[bytes, ...] = ()
    """Byte strings that end a completion; the earliest wins and is not part of it."""
    stops_span_prompt: bool = False
    """Let a stop begin in the prompt's last bytes."""
    sampling: SamplingOptions = field(default_factory=SamplingOptions)
    """Greedy by default."""
    samples: Annotated[int, Range(1)] = 1
    """Completions of each prompt."""
    gate: Annotated[float, Range(0, 1, below=True)] | None = None
    """Feed a draft only if its head, and each before it, is at least this sure of its byte;
    0: feed every draft. None: as sure as pays on this machine, by the cost of a step; for drafts
    that are drawn (draft_rule "sampled"), whose choice must not depend on other rows, 0.4."""
    engine: Engine = "auto"
    """`native` (C++ on a CPU), `compiled` (torch.compile, with CUDA graphs on a GPU) or `eager`."""
    exact: bool = False
    """Run plain decoding in blocks as wide as speculation's, so that both see the same kernels.
    The native engine needs no such thing: its sums do not depend on the width."""

    def k(self, prediction_heads: int) -> int:
        """k for a model with so many heads."""
        return prediction_heads if self.heads is None else self.heads

    def check(self, prediction_heads: int | None = None) -> None:
        """Raise InputError for values that make no sense, or more heads than the model has."""
        check_options(self)
        self.sampling.check()
        if prediction_heads is not None and not 1 <= self.k(prediction_heads) <= prediction_heads:
            raise InputError(
                f"{setting('heads', self.heads)}: this model has {prediction_heads} prediction "
                f"heads, so {option('heads')} must be 1 to {prediction_heads}"
            )
        if not all(self.stops):
            raise InputError(f"{option('stops')}: an empty stop would end every completion at once")
        if self.samples > 1 and self.sampling.temperature == 0:
            raise InputError(
                f"{setting('samples', self.samples)} at {setting('temperature', 0)} would be "
                f"{self.samples} times the same completion; give a temperature"
            )
