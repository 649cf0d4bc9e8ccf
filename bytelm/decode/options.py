"""The options of decoding."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from bytelm.base.errors import InputError, option, setting
from bytelm.base.options import (
    BatchSize,
    ByteCount,
    HeadCount,
    Positive,
    Range,
    check_options,
)

Engine = Literal["auto", "native", "compiled", "eager"]
DraftRule = Literal["argmax", "sampled"]
# All completions of a call are held in memory, at some hundred bytes each and more.
MOST_COMPLETIONS = 10_000_000


@dataclass(frozen=True)
class SamplingOptions:
    """How a byte is chosen from head 1's distribution."""

    temperature: Annotated[float, Range(0, most=10**6)] = 0.0
    """0 is greedy; above 0, bytes are sampled from head 1's distribution at this temperature."""
    top_k: Annotated[int, Range(0, 2**63 - 1)] = 0
    """Sample from the k most probable bytes only; 0: from all."""
    top_p: Annotated[float, Range(0, 1, above=True)] = 1.0
    """Sample from the most probable bytes whose probabilities reach this sum."""
    seed: Annotated[int, Range(0, 2**64 - 1)] = 0
    """The same seed gives the same samples."""
    draft_rule: DraftRule = "argmax"
    """How heads draft when sampling. argmax: each head's most probable byte; a seed gives the same
    text with any number of heads. sampled: a sample of the head's own distribution; only the
    distribution of the text is the same with any number of heads."""

    def check(self) -> None:
        """Raise InputError for a value of a wrong type or outside its range."""
        check_options(self)


@dataclass(frozen=True)
class DecodeOptions:
    """The options of decoding.

    `heads`, `batch`, `gate` and `engine` change only the speed of greedy decoding, not its output.
    Two engines add in different orders, so they can differ where two logits are equal up to
    rounding. Each engine alone always gives the same output.
    """

    max_bytes: ByteCount = 1024
    """The largest number of bytes of a completion."""
    heads: HeadCount | None = None
    """k: use head 1 and k - 1 heads that draft; 1 decodes without drafts. None: all heads."""
    batch: BatchSize = 16
    """How many completions run at a time."""
    stops: tuple[bytes, ...] = ()
    """Byte strings that end a completion. The first one to occur ends it, and is not part of it."""
    stops_span_prompt: bool = False
    """Also end at a stop that begins in the last bytes of the prompt."""
    sampling: SamplingOptions = field(default_factory=SamplingOptions)
    """How bytes are chosen; greedy by default."""
    samples: Positive = 1
    """How many completions to sample for each prompt."""
    gate: Annotated[float, Range(0, 1, below=True)] | None = None
    """Verify a draft only if its head, and each head before it, gives its draft at least this
    probability; 0: verify every draft. None: chosen by the measured cost of a step. With draft_rule
    "sampled" None means 0.4, since a choice by cost would depend on the other rows."""
    engine: Engine = "auto"
    """`native` (C++ on a CPU), `compiled` (torch.compile, with CUDA graphs on a GPU), `eager`
    (plain torch), or `auto`, the fastest of these that works here."""
    exact: bool = False
    """Feed blocks of the same width for any number of heads, so that torch uses the same kernels.
    The native engine does not need this, since its sums do not depend on the width."""

    def k(self, prediction_heads: int) -> int:
        """The number of heads to use for a model with `prediction_heads` heads."""
        return prediction_heads if self.heads is None else self.heads

    def check(self, prediction_heads: int | None = None) -> None:
        """Raise InputError for wrong values, or for more heads than the model has.

        `prediction_heads`: the model's heads, if they are known yet.
        """
        if prediction_heads is not None:
            self._check_heads(prediction_heads)
        check_options(self)
        if not all(self.stops):
            raise InputError(f"{option('stops')}: an empty stop would end every completion at once")
        if self.samples > 1 and self.sampling.temperature == 0:
            raise InputError(
                f"{setting('samples', self.samples)} at {setting('temperature', 0)} would be "
                f"{self.samples} times the same completion; set a temperature above 0"
            )

    def check_count(self, prompts: int) -> None:
        """Raise InputError if these are more completions than one call can hold."""
        if prompts * self.samples > MOST_COMPLETIONS:
            raise InputError(
                f"{prompts} prompts and {setting('samples', self.samples)} give "
                f"{prompts * self.samples} completions; at most {MOST_COMPLETIONS} are made at once"
            )

    def _check_heads(self, prediction_heads: int) -> None:
        k = self.k(prediction_heads)
        # Other types, and numbers too long to be written, are left to the check of all options.
        if isinstance(k, int) and abs(k) < 2**63 and not 1 <= k <= prediction_heads:
            raise InputError(
                f"{setting('heads', self.heads)}: this model has {prediction_heads} prediction "
                f"heads, so {option('heads')} must be 1 to {prediction_heads}"
            )
