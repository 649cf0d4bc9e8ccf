"""What a caller may ask of decoding."""

import math
from dataclasses import dataclass, field
from typing import Literal

from bytelm.base.errors import InputError

ENGINES = ("auto", "native", "compiled", "eager")


@dataclass(frozen=True)
class SamplingOptions:
    """How ids are chosen from head 1's logits."""

    temperature: float = 0.0
    """Logits are divided by it; 0 is greedy."""
    top_k: int = 0
    """Only the k most probable ids; 0 is all."""
    top_p: float = 1.0
    """Only the most probable ids, as few as reach this probability together."""
    seed: int = 0
    """Replays the same samples."""
    rule: Literal["argmax", "sampled"] = "argmax"
    """How heads draft: their best id (the same text at every k), or one drawn from theirs."""

    def check(self) -> None:
        """Raise InputError for values that make no sense."""
        if not (math.isfinite(self.temperature) and self.temperature >= 0):
            raise InputError(
                f"--temperature must be 0 (greedy) or a positive number, not {self.temperature}"
            )
        if self.top_k < 0:
            raise InputError(f"--top-k must be 0 (all) or more, not {self.top_k}")
        if not 0 < self.top_p <= 1:
            raise InputError(f"--top-p must be above 0 and at most 1, not {self.top_p}")
        if not 0 <= self.seed < 2**64:
            raise InputError(f"--seed must be 0 to 2^64 - 1, not {self.seed}")
        if self.rule not in ("argmax", "sampled"):
            raise InputError(f"--draft-rule must be argmax or sampled, not {self.rule!r}")


@dataclass(frozen=True)
class DecodeOptions:
    """`heads`, `batch`, `gate` and `engine` change no byte of greedy output, only the speed.

    (Two engines add in different orders, so at a tie of two logits to the last bits they may part;
    each agrees with itself.)
    """

    max_bytes: int = 1024
    """Bytes of a completion at most."""
    heads: int = 8
    """k: head 1 and k - 1 heads that draft; 1 is plain decoding."""
    batch: int = 16
    """Rows that run side by side."""
    stops: tuple[bytes, ...] = ()
    """Byte strings that end a completion; the earliest wins and is not part of it."""
    stops_span_prompt: bool = False
    """Let a stop begin in the prompt's last bytes."""
    sampling: SamplingOptions = field(default_factory=SamplingOptions)
    """Greedy by default."""
    samples: int = 1
    """Completions of each prompt."""
    gate: float | None = None
    """Feed a draft only if its head, and each before it, is at least this sure of its byte;
    0: feed every draft. None: as sure as pays on this machine, by the cost of a step; for drafts
    that are drawn (rule "sampled"), whose choice must not depend on other rows, 0.4."""
    engine: str = "auto"
    """`native` (C++ on a CPU), `compiled` (torch.compile, with CUDA graphs on a GPU) or `eager`."""
    exact: bool = False
    """Run plain decoding in blocks as wide as speculation's, so that both see the same kernels.
    The native engine needs no such thing: its sums do not depend on the width."""

    def check(self, prediction_heads: int) -> None:
        """Raise InputError for what the model cannot do."""
        if not 1 <= self.heads <= prediction_heads:
            raise InputError(
                f"--heads {self.heads}: this model has {prediction_heads} prediction heads, "
                f"so --heads must be 1 to {prediction_heads}"
            )
        counts = (
            ("max-bytes", self.max_bytes),
            ("batch", self.batch),
            ("samples", self.samples),
        )
        for name, value in counts:
            if value < 1:
                raise InputError(f"--{name} must be at least 1, not {value}")
        if any(not stop for stop in self.stops):
            raise InputError("--stop: an empty stop would end every completion at once")
        if self.gate is not None and not 0 <= self.gate < 1:
            raise InputError(f"--gate must be at least 0 and below 1, not {self.gate}")
        if self.engine not in ENGINES:
            raise InputError(f"--engine must be one of {', '.join(ENGINES)}, not {self.engine!r}")
        self.sampling.check()
        if self.samples > 1 and self.sampling.temperature == 0:
            raise InputError(
                f"--samples {self.samples} at --temperature 0 would be {self.samples} times the "
                "same completion; give a temperature"
            )
