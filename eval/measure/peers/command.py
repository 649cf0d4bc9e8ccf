"""`python -m eval peers`: the decoder's speed beside llama.cpp and transformers, same weights."""

from collections.abc import Sequence
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
from eval.measure.peers.compare import PeerRow, PeersOptions, compare_peers
from eval.measure.peers.decoders import NAMES, PeerName, check_available


def load_in(where: Path, dtypes: Sequence[Dtype]) -> dict[Dtype, Checkpoint]:
    """A checkpoint loaded once in each number type."""
    return {dtype: load_checkpoint(where, "cpu", DTYPES[dtype]) for dtype in dict.fromkeys(dtypes)}


@dataclass
class Peers:
    """Measure greedy decoding beside llama.cpp and transformers, on the same weights and threads.

    Prompts are completed one at a time. Rounds alternate over the peers. The time of a row is that
    of whole completions, the prompt's forward included. Its ratio is its bytes a second by those of
    llama.cpp in the same number type, the median over rounds. `identical` says whether every byte
    is that of plain decoding by bytelm in float32. If not, the row says how close the choice was at
    the first difference.
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

    def run(self) -> dict[str, Any]:
        check_options(self)
        options = PeersOptions(self.max_bytes, self.rounds, self.threads, self.dtypes, self.peers)
        # What is missing is said before a model is loaded.
        check_available(self.peers)
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
    """The rows for a terminal."""
    lines = [f"{'peer':14}{'type':10}{'bytes/s':>8}  {'llama.cpp = 1':>22}  identical"]
    for row in rows:
        ratio = "-"
        if row.ratio_range is not None:
            low, high = row.ratio_range
            ratio = f"{row.ratio_to_llamacpp:.2f} ({low:.2f} to {high:.2f})"
        same, other = "yes", row.first_difference
        if other is not None:
            same = (
                f"to byte {other.offset} of prompt {other.prompt}, where the two likeliest bytes "
                f"were {other.gap:.2g} apart ({other.gap_ulps:.1f} ulps)"
            )
        rate = f"{row.bytes_per_s:.0f}"
        lines.append(f"{row.engine:14}{row.dtype:10}{rate:>8}  {ratio:>22}  {same}")
    return "\n".join(lines)
