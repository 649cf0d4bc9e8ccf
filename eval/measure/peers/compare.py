"""What `eval peers` measures: bytes a second of every peer, and whether the bytes are the same."""

import contextlib
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
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
from eval.measure.difference import first_difference
from eval.measure.options import Dtype
from eval.measure.peers.decoders import (
    LLAMA_CPP,
    NAMES,
    NATIVE,
    PLAIN,
    Answer,
    Peer,
    PeerName,
    check_available,
    open_peer,
    versions,
)
from eval.measure.peers.llama_bench import LlamaBench, check_llama_bench, open_llama_bench
from eval.measure.peers.rows import PeerRow, Runs, peer_row
from eval.records import Count, Number, Sealed


class PeersResult(Sealed):
    """What `eval peers` measures."""

    rows: list[PeerRow]
    rounds: Count
    threads: Count
    seconds: Number
    """Wall-clock seconds of the measurement."""
    peer_versions: dict[str, str]
    """Of each package, and what the native build of llama.cpp says of itself."""
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
    llama_bench: Path | None = None
    """The program llama-bench of a llama.cpp that was built for this machine."""

    def check(self, prompt_bytes: int, context: int) -> None:
        """Raise InputError for what cannot be measured; `context`: the model's positions."""
        check_options(self)
        if not self.dtypes or not self.peers:
            raise InputError(f"{option('dtypes')} and {option('peers')} name at least one each")
        self.check_programs()
        needed = 1 + prompt_bytes + self.max_bytes
        if needed > context:
            raise InputError(
                f"{setting('prompt_bytes', prompt_bytes)} and "
                f"{setting('max_bytes', self.max_bytes)} need "
                f"{needed} positions, and the model's context has {context}"
            )

    def check_programs(self) -> None:
        """Raise InputError for a peer that is not there."""
        if self.llama_bench is not None:
            check_llama_bench(self.llama_bench)
            check_available((NATIVE,))
        check_available(self.peers)


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
    total = 1 + len(options.dtypes) * len(_names(options)) * options.rounds
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
                # A peer without a text has nothing to compare.
                other = first_difference(
                    texts, reference[: len(texts)], prompts, exact.model, dtype
                )
                row = peer_row(
                    name, dtype, len(prompts[0]), runs, timed.get(LLAMA_CPP), other,
                    timed.get(NATIVE),
                )  # fmt: skip
                rows.append(row)
        return PeersResult(
            rows=rows,
            rounds=options.rounds,
            threads=options.threads,
            seconds=round(time.monotonic() - started, 3),
            peer_versions=versions(options.peers) | _native_version(found.values()),
            checkpoint=str(exact.folder),
            checkpoint_sha256=exact.sha256,
        )


def _names(options: PeersOptions) -> list[str]:
    """The rows of one type, in their order: the two builds of llama.cpp beside each other."""
    names: list[str] = list(dict.fromkeys(options.peers))
    if options.llama_bench is not None:
        names.insert(names.index(LLAMA_CPP) + 1 if LLAMA_CPP in names else len(names), NATIVE)
    return names


def _time_peers(
    checkpoint: Checkpoint, dtype: Dtype, prompts: Sequence[bytes], options: PeersOptions,
    scratch: Path, bar: ProgressBar,
) -> dict[str, Runs]:  # fmt: skip
    """What every peer gives in one type; rounds go through the peers to and fro."""
    threads, context = options.threads, checkpoint.config.context
    peers: dict[str, Peer | LlamaBench] = {
        name: open_peer(name, checkpoint, dtype, threads, context, scratch)
        for name in options.peers
    }
    if options.llama_bench is not None:
        peers[NATIVE] = open_llama_bench(options.llama_bench, checkpoint, dtype, threads, scratch)
    names = _names(options)
    for name in names:
        _time_round(peers[name], prompts[:1], min(16, options.max_bytes), Runs())
    found = {name: Runs() for name in names}
    for turn in range(options.rounds):
        for name in names if turn % 2 == 0 else names[::-1]:
            _time_round(peers[name], prompts, options.max_bytes, found[name])
            rate = found[name].rates()[-1]
            bar.set_postfix_str(f"{dtype}, {name}: {rate:.0f} bytes/s")
            bar.update()
    return found


def _time_round(
    peer: Peer | LlamaBench, prompts: Sequence[bytes], max_bytes: int, runs: Runs
) -> None:
    """Complete the prompts once and add that to `runs`: the whole, and the reading apart."""
    if isinstance(peer, LlamaBench):
        found = peer.round(len(prompts), len(prompts[0]), max_bytes)
        seconds = found.prefill_s + found.decoding_s
        runs.add_times(len(prompts), len(prompts) * max_bytes, seconds, found.prefill_s)
        runs.version = found.version
        return
    answers, seconds = _timed(peer, prompts, max_bytes)
    prefill_s = None
    if any(answer.prefill_s is None for answer in answers):
        # The prompt's forward gives the first byte, so one byte takes the reading alone.
        prefill_s = seconds if max_bytes == 1 else _timed(peer, prompts, 1)[1]
    runs.add(answers, seconds, prefill_s)


def _timed(peer: Peer, prompts: Sequence[bytes], max_bytes: int) -> tuple[list[Answer], float]:
    begun = time.perf_counter()
    answers = [peer.complete(prompt, max_bytes) for prompt in prompts]
    return answers, time.perf_counter() - begun


def _native_version(found: Iterable[Mapping[str, Runs]]) -> dict[str, str]:
    """What the native build of llama.cpp says of itself, if it was measured."""
    said = [timed[NATIVE].version for timed in found if NATIVE in timed]
    return {NATIVE: said[0]} if said else {}
