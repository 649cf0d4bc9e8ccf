"""What `eval peers` measures: bytes a second of every peer, and whether the bytes are the same."""

import contextlib
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import torch

from bytelm.toolkit import (
    ByteCount,
    Checkpoint,
    InputError,
    Positive,
    ProgressBar,
    Range,
    check_options,
    option,
    progress_bar,
    setting,
)
from eval.measure.difference import FirstDifference, first_difference
from eval.measure.options import Dtype
from eval.measure.peers.decoders import (
    NAMES,
    Answer,
    Peer,
    PeerName,
    check_available,
    open_peer,
    versions,
)
from eval.records import Count, Interval, Number, Record, Sealed

PLAIN: PeerName = "bytelm-plain"
LLAMA_CPP: PeerName = "llama.cpp"


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
    """Seconds of the prompts' forwards alone; None where the peer does not say."""
    ratio_to_llamacpp: Number | None
    """Bytes a second by those of llama.cpp in the same type; the median over rounds."""
    ratio_range: Interval | None
    """The smallest and the largest ratio of the rounds."""
    identical: bool
    """Whether every byte is that of plain decoding by bytelm in float32."""
    first_difference: FirstDifference | None


class PeersResult(Sealed):
    """What `eval peers` measures."""

    rows: list[PeerRow]
    rounds: Count
    threads: Count
    seconds: Number
    """Wall-clock seconds of the measurement."""
    peer_versions: dict[str, str]
    checkpoint: str
    checkpoint_sha256: str
    data_sha256: str | None = None
    """Of the shards that the prompts are from."""


@dataclass(frozen=True)
class PeersOptions:
    """What is compared, and how often it is measured."""

    max_bytes: ByteCount = 1024
    """Bytes of a completion at most."""
    rounds: Positive = 3
    """Times that each row is measured."""
    threads: Annotated[int, Range(1, most=1024)] = 1
    """Threads of every peer."""
    dtypes: tuple[Dtype, ...] = ("bfloat16", "float32")
    """Number types of the weights."""
    peers: tuple[PeerName, ...] = NAMES
    """The decoders to compare."""

    def check(self, prompt_bytes: int, context: int) -> None:
        """Raise InputError for what cannot be measured; `context`: the model's positions."""
        check_options(self)
        if not self.dtypes or not self.peers:
            raise InputError(f"{option('dtypes')} and {option('peers')} name at least one each")
        check_available(self.peers)
        needed = 1 + prompt_bytes + self.max_bytes
        if needed > context:
            raise InputError(
                f"{setting('prompt_bytes', prompt_bytes)} and "
                f"{setting('max_bytes', self.max_bytes)} need "
                f"{needed} positions, and the model's context has {context}"
            )


@dataclass
class Runs:
    """What a peer gave in one type: its last answers, and the seconds of every round."""

    answers: list[Answer] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    prefills_s: list[float | None] = field(default_factory=list)

    def add(self, answers: list[Answer], seconds: float) -> None:
        """Add a round."""
        self.answers = answers
        self.seconds.append(seconds)
        self.sizes.append(sum(len(answer.text) for answer in answers))
        known = [answer.prefill_s for answer in answers if answer.prefill_s is not None]
        self.prefills_s.append(sum(known) if known else None)

    def rates(self) -> list[float]:
        """Bytes a second of each round."""
        return [size / s for size, s in zip(self.sizes, self.seconds, strict=True)]


@contextlib.contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Torch with `count` threads, and as before afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def compare_peers(
    checkpoints: Mapping[Dtype, Checkpoint], prompts: Sequence[bytes], options: PeersOptions
) -> PeersResult:
    """Decode the prompts with every peer, one prompt at a time, and compare speed and bytes.

    `checkpoints` holds one checkpoint in each of the number types, and in float32 in any case.
    Prompts have one length. Raises InputError for a peer that is not installed or cannot run the
    model, and for prompts and completions that do not fit the context.
    """
    exact = checkpoints["float32"]
    options.check(len(prompts[0]), exact.config.context)
    started = time.monotonic()
    total = 1 + len(options.dtypes) * len(options.peers) * options.rounds
    with (
        torch_threads(options.threads),
        tempfile.TemporaryDirectory(prefix="bytelm-peers-") as scratch,
        progress_bar(total=total, desc="peers", unit=" runs") as bar,
    ):
        # The reference comes last: a peer that cannot run the model says so at once.
        found = {
            dtype: _time_peers(checkpoints[dtype], dtype, prompts, options, Path(scratch), bar)
            for dtype in options.dtypes
        }
        plain = open_peer(PLAIN, exact, "float32", options.threads, 0, Path(scratch))
        reference = [plain.complete(prompt, options.max_bytes).text for prompt in prompts]
        bar.update()
        rows = []
        for dtype, timed in found.items():
            for name, runs in timed.items():
                texts = [answer.text for answer in runs.answers]
                other = first_difference(texts, reference, prompts, exact.model, dtype)
                row = peer_row(name, dtype, len(prompts[0]), runs, timed.get(LLAMA_CPP), other)
                rows.append(row)
        return PeersResult(
            rows=rows,
            rounds=options.rounds,
            threads=options.threads,
            seconds=round(time.monotonic() - started, 3),
            peer_versions=versions(options.peers),
            checkpoint=str(exact.folder),
            checkpoint_sha256=exact.sha256,
        )


def _time_peers(
    checkpoint: Checkpoint, dtype: Dtype, prompts: Sequence[bytes], options: PeersOptions,
    scratch: Path, bar: ProgressBar,
) -> dict[str, Runs]:  # fmt: skip
    """What every peer gives in one type; rounds go through the peers to and fro."""
    context = checkpoint.config.context
    peers: dict[str, Peer] = {
        name: open_peer(name, checkpoint, dtype, options.threads, context, scratch)
        for name in options.peers
    }
    for peer in peers.values():
        peer.complete(prompts[0], min(16, options.max_bytes))
    found = {name: Runs() for name in peers}
    for turn in range(options.rounds):
        order = list(peers) if turn % 2 == 0 else list(peers)[::-1]
        for name in order:
            begun = time.perf_counter()
            answers = [peers[name].complete(prompt, options.max_bytes) for prompt in prompts]
            found[name].add(answers, time.perf_counter() - begun)
            rate = found[name].rates()[-1]
            bar.set_postfix_str(f"{dtype}, {name}: {rate:.0f} bytes/s")
            bar.update()
    return found


def peer_row(
    name: str, dtype: str, prompt_bytes: int, runs: Runs, llama_cpp: Runs | None,
    other: FirstDifference | None,
) -> PeerRow:  # fmt: skip
    """The row of one peer; `llama_cpp`: what that gave in the same rounds, if it was measured."""
    rates = runs.rates()
    ratios = [a / b for a, b in zip(rates, llama_cpp.rates(), strict=True)] if llama_cpp else []
    known = [prefill_s for prefill_s in runs.prefills_s if prefill_s is not None]
    return PeerRow(
        engine=name,
        dtype=dtype,
        batch=1,
        prompts=len(runs.answers),
        prompt_bytes=prompt_bytes,
        bytes=runs.sizes[-1],
        seconds=statistics.median(runs.seconds),
        bytes_per_s=statistics.median(rates),
        prefill_s=statistics.median(known) if known else None,
        ratio_to_llamacpp=statistics.median(ratios) if ratios else None,
        ratio_range=(min(ratios), max(ratios)) if ratios else None,
        identical=other is None,
        first_difference=other,
    )
