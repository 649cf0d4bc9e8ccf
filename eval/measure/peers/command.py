"""`python -m eval peers`: the decoder's speed beside llama.cpp and transformers, same weights."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from bytelm.toolkit import (
    ByteCount,
    Checkpoint,
    Out,
    Positive,
    Range,
    Split,
    check_options,
    load_checkpoint,
    say,
    seal,
    write_json_result,
)
from eval.measure.options import DTYPES, Dtype
from eval.measure.peers.compare import PeersOptions, compare_peers
from eval.measure.peers.decoders import LLAMA_CPP, NAMES, NATIVE, PeerName
from eval.measure.peers.rows import PeerRow


def load_in(where: Path, dtypes: Sequence[Dtype]) -> dict[Dtype, Checkpoint]:
    """A checkpoint loaded once in each number type."""
    return {dtype: load_checkpoint(where, "cpu", DTYPES[dtype]) for dtype in dict.fromkeys(dtypes)}


@dataclass
class Peers:
    """Measure greedy decoding beside llama.cpp and transformers, on the same weights and threads.

    Prompts are completed one at a time, in rounds that alternate over the peers. Bytes a second
    count whole completions, the prompt's forward included. Reading (bytes of prompts a second) and
    decoding (bytes after the first) stand beside them. Ratios are medians over rounds, to llama.cpp
    as its wheel comes and to a native build (`--llama-bench`), in the same number type. `identical`
    says whether every byte is that of plain decoding by bytelm in float32. If not, the row says how
    close the choice was at the first difference.
    """

    checkpoint: Path
    """A run folder, or one of its checkpoints; a model that `bytelm export` takes."""
    data: Path
    """Shard folder. Prompts are cut from its held-out documents."""
    out: Annotated[Path, Out()] | None = None
    """Also write the figures to this JSON file."""
    prompts: Positive = 4
    """Prompts, completed one after another."""
    prompt_bytes: ByteCount = 1024
    """Bytes of a prompt."""
    max_bytes: ByteCount = 1024
    """Bytes of a completion at most."""
    rounds: Positive = 3
    """Times that each row is measured."""
    threads: Annotated[int, Range(1, most=1024)] = 1
    """Threads of every peer."""
    dtypes: tuple[Dtype, ...] = ("bfloat16", "float32")
    """Number types of the weights."""
    peers: Annotated[tuple[PeerName, ...], tyro.conf.arg(aliases=["--engines"])] = NAMES
    """What is compared: bytelm with all its heads, bytelm by plain decoding, and other programs
    (pip install '.[peers]')."""
    llama_bench: Path | None = None
    """The program llama-bench of a llama.cpp built for this machine: one more row,
    llama.cpp-native. The row llama.cpp is of a wheel, which is built for any processor."""

    def run(self) -> dict[str, Any]:
        check_options(self)
        options = PeersOptions(
            self.max_bytes, self.rounds, self.threads, self.dtypes, self.peers, self.llama_bench
        )
        # What is missing is said before a model is loaded.
        options.check_programs()
        split = Split(self.data, "held_out")
        prompts = split.cuts(self.prompts, self.prompt_bytes)
        checkpoints = load_in(self.checkpoint, ("float32", *self.dtypes))
        result = compare_peers(checkpoints, prompts, options)
        result = result.model_copy(update={"data_sha256": split.sha256})
        figures = result.to_dict()
        if self.out is not None:
            write_json_result(self.out, seal(figures))
        say(peers_table(result.rows))
        return figures


def peers_table(rows: Sequence[PeerRow]) -> str:
    """The rows for a terminal. Columns that no row has a figure for are left out."""
    others = [name for name in (LLAMA_CPP, NATIVE) if any(name in row.ratios for row in rows)]
    titles = "".join(f"  {f'{name} = 1':>23}" for name in others or [LLAMA_CPP])
    lines = [
        f"{'peer':18}{'type':10}{'bytes/s':>8}{'reading':>9}{'decoding':>9}{titles}  identical"
    ]
    for row in rows:
        ratios = "".join(f"  {_ratio(row, name):>23}" for name in others or [LLAMA_CPP])
        rates = f"{row.bytes_per_s:8.0f}{_rate(row.reading_bytes_per_s):>9}"
        rates += f"{_rate(row.decoding_bytes_per_s):>9}"
        lines.append(f"{row.engine:18}{row.dtype:10}{rates}{ratios}  {row.sameness}{_where(row)}")
    return "\n".join([*lines, *_apart(rows, others)])


def _apart(rows: Sequence[PeerRow], others: Sequence[str]) -> Iterator[str]:
    """The ratios of reading and of decoding, a line for each pair of peers."""
    for row in rows:
        for name in others:
            ratios = row.ratios.get(name)
            if ratios is None or row.engine == name:
                continue
            parts = {"reading": ratios.reading, "decoding": ratios.decoding}
            said = [f"{part} {ratio:.2f}" for part, ratio in parts.items() if ratio is not None]
            if said:
                yield f"{row.engine} in {row.dtype} by {name}, apart: {', '.join(said)}"


def _rate(bytes_per_s: float | None) -> str:
    return "-" if bytes_per_s is None else f"{bytes_per_s:.0f}"


def _ratio(row: PeerRow, name: str) -> str:
    ratios = row.ratios.get(name)
    if ratios is None:
        return "-"
    low, high = ratios.whole_range
    return f"{ratios.whole:.2f} ({low:.2f} to {high:.2f})"


def _where(row: PeerRow) -> str:
    other = row.first_difference
    return "" if other is None else f" (same to byte {other.offset} of prompt {other.prompt})"
