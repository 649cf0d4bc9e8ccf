"""What `eval peers` says of each decoder: bytes a second, and its ratios to both llama.cpp.

Rates are whole (completions with their prompts), reading (the prompts' bytes alone) and decoding
(the bytes after the first, which comes of the prompt's forward).
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import Field

from eval.measure.difference import FirstDifference
from eval.measure.peers.decoders import LLAMA_CPP, NATIVE, Answer
from eval.records import Count, Interval, Number, Record


class Ratios(Record):
    """One decoder's rates by another's in the same rounds: the median, the least and the most."""

    whole: Number
    whole_range: Interval
    reading: Number | None = None
    """None where one of the two has no such rate."""
    reading_range: Interval | None = None
    decoding: Number | None = None
    decoding_range: Interval | None = None


class PeerRow(Record):
    """The speed of one peer in one number type."""

    engine: str
    """The peer's name."""
    dtype: str
    """Of the weights."""
    batch: Count
    prompts: Count
    prompt_bytes: Count
    """Bytes of a prompt."""
    bytes: Count
    """Bytes of all completions of the last round."""
    seconds: Number
    """Of a round, the prompts' forwards included; the median."""
    bytes_per_s: Number
    """The median over rounds."""
    prefill_s: Number | None
    """Seconds of the prompts' forwards alone, the median; None where that is not known."""
    reading_bytes_per_s: Number | None = None
    """Bytes of the prompts by those seconds; the median over rounds."""
    decoding_bytes_per_s: Number | None = None
    """Bytes after the first of each completion by the other seconds; the median over rounds."""
    ratio_to_llamacpp: Number | None
    """Bytes a second by those of llama.cpp's wheel in the same type; the median over rounds."""
    ratio_range: Interval | None
    """The smallest and the largest ratio of the rounds."""
    ratios: dict[str, Ratios] = Field(default_factory=dict)
    """Ratios to llama.cpp's wheel (`llama.cpp`) and to its native build (`llama.cpp-native`)."""
    identical: bool | None
    """Whether every byte is that of plain decoding by bytelm in float32; None without a text."""
    first_difference: FirstDifference | None

    @property
    def sameness(self) -> str:
        """In a few words: whether the bytes are those of plain decoding in float32."""
        other = self.first_difference
        if self.identical is None:
            return "no text"
        if other is None:
            return "yes"
        if other.near_tie:
            return f"no: a tie within {other.gap_ulps:.1f} ulps"
        return f"no: {other.ulps:.1f} ulps behind the likeliest byte"


@dataclass
class Runs:
    """What a peer gave in one type: its last answers, and bytes and seconds of every round."""

    answers: list[Answer] = field(default_factory=list)
    """Empty where the peer gives no text."""
    prompts: int = 0
    seconds: list[float] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    prefills_s: list[float | None] = field(default_factory=list)
    version: str = ""
    """What the peer says of itself, if it is no package."""

    def add(
        self, answers: Sequence[Answer], seconds: float, prefill_s: float | None = None
    ) -> None:
        """Add a round. `prefill_s`: of the prompts' forwards, where the answers do not say so."""
        self.answers = list(answers)
        known = [answer.prefill_s for answer in answers if answer.prefill_s is not None]
        if len(known) == len(answers):
            prefill_s = sum(known)
        self.add_times(
            len(answers), sum(len(answer.text) for answer in answers), seconds, prefill_s
        )

    def add_times(self, prompts: int, size: int, seconds: float, prefill_s: float | None) -> None:
        """Add a round of `prompts` completions of `size` bytes together, without their text."""
        self.prompts = prompts
        self.seconds.append(seconds)
        self.sizes.append(size)
        self.prefills_s.append(prefill_s)

    def rates(self) -> list[float]:
        """Bytes a second of each round."""
        return [size / s for size, s in zip(self.sizes, self.seconds, strict=True)]

    def reading_rates(self, prompt_bytes: int) -> list[float | None]:
        """Bytes of the prompts a second of each round; None where their seconds are not known."""
        size = self.prompts * prompt_bytes
        return [size / prefill_s if prefill_s else None for prefill_s in self.prefills_s]

    def decoding_rates(self) -> list[float | None]:
        """Bytes a second after the first of each completion, in each round.

        None where the prompts' seconds are not known, or are all that there is.
        """
        rates: list[float | None] = []
        for size, s, prefill_s in zip(self.sizes, self.seconds, self.prefills_s, strict=True):
            steps = size - self.prompts
            known = prefill_s is not None and s > prefill_s and steps > 0
            rates.append(steps / (s - prefill_s) if known and prefill_s is not None else None)
        return rates

    def ratios(self, other: "Runs", prompt_bytes: int) -> Ratios | None:
        """These rates by those of `other`; None if it wrote nothing."""
        whole = _ratio(self.rates(), other.rates())
        if whole is None:
            return None
        values: dict[str, object] = {"whole": whole[0], "whole_range": whole[1]}
        parts = {
            "reading": (self.reading_rates(prompt_bytes), other.reading_rates(prompt_bytes)),
            "decoding": (self.decoding_rates(), other.decoding_rates()),
        }
        for name, (own, others) in parts.items():
            found = _ratio(own, others)
            if found is not None:
                values |= {name: found[0], f"{name}_range": found[1]}
        return Ratios.model_validate(values)


def _ratio(
    own: Sequence[float | None], others: Sequence[float | None]
) -> tuple[float, tuple[float, float]] | None:
    """The median, and the smallest and largest, over the rounds in which both are known."""
    pairs = zip(own, others, strict=True)
    found = [one / other for one, other in pairs if one is not None and other]
    return (statistics.median(found), (min(found), max(found))) if found else None


def _median(rates: Sequence[float | None]) -> float | None:
    known = [rate for rate in rates if rate is not None]
    return statistics.median(known) if known else None


def peer_row(
    name: str, dtype: str, prompt_bytes: int, runs: Runs, llama_cpp: Runs | None,
    other: FirstDifference | None, native: Runs | None = None,
) -> PeerRow:  # fmt: skip
    """The row of one peer.

    `llama_cpp` and `native`: what llama.cpp's wheel and its native build gave in the same rounds,
    if they were measured. `other`: where the text leaves the reference.
    """
    ratios = _all_ratios(runs, {LLAMA_CPP: llama_cpp, NATIVE: native}, prompt_bytes)
    to_wheel = ratios.get(LLAMA_CPP)
    return PeerRow(
        engine=name,
        dtype=dtype,
        batch=1,
        prompts=runs.prompts,
        prompt_bytes=prompt_bytes,
        bytes=runs.sizes[-1],
        seconds=statistics.median(runs.seconds),
        bytes_per_s=statistics.median(runs.rates()),
        prefill_s=_median(runs.prefills_s),
        reading_bytes_per_s=_median(runs.reading_rates(prompt_bytes)),
        decoding_bytes_per_s=_median(runs.decoding_rates()),
        ratio_to_llamacpp=to_wheel.whole if to_wheel else None,
        ratio_range=to_wheel.whole_range if to_wheel else None,
        ratios=ratios,
        identical=other is None if runs.answers else None,
        first_difference=other,
    )


def _all_ratios(
    runs: Runs, others: Mapping[str, Runs | None], prompt_bytes: int
) -> dict[str, Ratios]:
    found = {name: runs.ratios(other, prompt_bytes) for name, other in others.items() if other}
    return {name: ratios for name, ratios in found.items() if ratios is not None}
