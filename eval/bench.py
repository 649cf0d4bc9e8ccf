"""`python -m eval bench`: the decoder's tables in one sealed file, and their plots.

Table S3 (speed by k), Figure S10 (by batch), the cost of a step beside the roofline, and other
engines on the same weights.
"""

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from bytelm import InputError, find_checkpoint, load_checkpoint, say, seal, write_json
from eval.bench_plots import plot_batches, plot_peers, plot_table_s3
from eval.peers import Peers
from eval.speed import Speed
from eval.step import Step

# The paper's row of Table S3 for n = 8 heads: speedup and bytes a forward at batch 16, 7B.
PAPER_S3 = {1: (1.00, 1.00), 2: (1.94, 1.98), 4: (3.67, 3.84), 8: (6.39, 7.04)}


@dataclass
class Bench:
    """Measure the decoder, in alternating rounds, and write one sealed JSON and its plots.

    Rows of `table_s3` have the gate that pays on this machine (`gate` null) and, for comparison
    with the paper, one in which every draft is fed (`gate` 0).
    """

    checkpoint: Path = Path("weights/plain-5m")
    """A run folder, or one of its checkpoints."""
    data: Path = Path("data/shards/stdlib")
    """Shard folder: prompts are cut from its held-out documents."""
    out: Path = Path("results/bench.json")
    """The sealed figures; plots go beside it, as bench-*.png."""
    dtype: Literal["float32", "bfloat16"] = "bfloat16"
    """Of weights, keys and values in the tables of our own decoder."""
    prompts: int = 48
    """Prompts for the largest batch of Table S3."""
    prompt_bytes: int = 1024
    """Bytes of a prompt."""
    max_bytes: int = 1024
    """Bytes of a completion."""
    rounds: int = 3
    """Times that each row is measured."""
    batches: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64)
    """Batch sizes of Figure S10."""
    peers: bool = True
    """Compare with the other engines that are installed (pip install '.[peers]')."""
    device: str = "cpu"
    """cpu or cuda."""

    def run(self) -> dict[str, Any]:
        started = time.monotonic()
        where = find_checkpoint(self.checkpoint)
        checkpoint = load_checkpoint(where)
        heads = tuple(k for k in (1, 2, 4, 8, 16, 32) if k <= checkpoint.config.prediction_heads)
        say("Table S3: speed by k, in rounds that alternate")
        table = self._speed(where, heads, (16, 1), self.prompts, self.rounds)
        ungated = self._speed(where, (1, heads[-1]), (16, 1), self.prompts, self.rounds, 0.0)
        table += [row for row in ungated if row["k"] > 1]
        say("Figure S10: speed by batch")
        figure = self._speed(where, heads, self.batches, max(self.batches), 1, prompts_per_row=1)
        with tempfile.TemporaryDirectory() as scratch:
            preset = Path(scratch) / "preset.toml"
            preset.write_text(_toml(checkpoint.config.to_dict()), encoding="utf-8")
            say("the cost of a step, beside the roofline")
            step = Step(str(preset), widths=heads, dtype=self.dtype, device=self.device).run()
        figures: dict[str, Any] = {
            "table_s3": table,
            "figure_s10": figure,
            "step": {**step, "preset": "as the checkpoint"},
            "peers": [],
            "peer_versions": {},
            "dtype": self.dtype,
            "parameters": checkpoint.model.parameters_by_part(),
            "checkpoint": {"path": str(self.checkpoint), "sha256": checkpoint.sha256},
        }
        if self.peers and self.device == "cpu":
            self._peers(figures, where, checkpoint.config.context)
        figures["seconds"] = round(time.monotonic() - started, 1)
        write_json(self.out, seal(figures))
        self._draw(figures)
        say("\n".join(bench_table(figures)))
        return {
            "out": str(self.out),
            "seconds": figures["seconds"],
            "identical": all(row["identical"] for row in table + figure),
            "rows": len(table) + len(figure) + len(figures["peers"]),
        }

    def _speed(
        self, where: Path, heads: tuple[int, ...], batches: tuple[int, ...], prompts: int,
        rounds: int, gate: float | None = None, prompts_per_row: int = 4,
    ) -> list[dict[str, Any]]:  # fmt: skip
        speed = Speed(
            where, self.data, None, heads, batches, prompts, self.prompt_bytes, self.max_bytes,
            rounds, gate, self.dtype, prompts_per_row, self.device,
        )  # fmt: skip
        rows: list[dict[str, Any]] = speed.run()["rows"]
        for row in rows:
            paper = PAPER_S3.get(row["k"]) if row["batch"] == 16 else None
            row["gate"] = gate
            row["paper"] = None if paper is None else {"speedup": paper[0], "forward": paper[1]}
        return rows

    def _peers(self, figures: dict[str, Any], where: Path, context: int) -> None:
        if self.prompt_bytes + self.max_bytes >= context:
            return say("peers: left out, prompt and completion do not fit the context")
        try:
            say("other engines on the same weights, one thread, batch 1")
            found = Peers(where, self.data, None, 3, self.prompt_bytes, self.max_bytes, 3).run()
        except InputError as error:
            return say(f"peers: left out: {error}")
        figures["peers"] = found["rows"]
        figures["peer_versions"] = found["peer_versions"]
        return None

    def _draw(self, figures: dict[str, Any]) -> None:
        for name, draw in (
            ("speed", plot_table_s3), ("batches", plot_batches), ("peers", plot_peers)
        ):  # fmt: skip
            if name != "peers" or figures["peers"]:
                draw(figures, self.out.with_name(f"bench-{name}.png"))


def _toml(config: dict[str, Any]) -> str:
    """A preset of the model's own shape."""
    lines = ["[model]"]
    for name, value in config.items():
        shown = f'"{value}"' if isinstance(value, str) else value
        lines.append(f"{name} = {list(value) if isinstance(value, tuple) else shown}")
    return "\n".join(lines) + "\n"


def bench_table(figures: dict[str, Any]) -> list[str]:
    """The figures for a person: Table S3, then the engines."""
    lines = ["batch    k  drafts fed    bytes/forward   bytes/s  speedup  share   paper (7B)"]
    for row in figures["table_s3"]:
        paper = row["paper"]
        beside = "" if paper is None else f"{paper['forward']:.2f} bytes, {paper['speedup']:.2f}x"
        fed = "" if row["k"] == 1 else "all" if row["gate"] == 0 else "the sure ones"
        lines.append(
            f"{row['batch']:5d} {row['k']:4d}  {fed:13s} {row['bytes_per_forward']:10.2f} "
            f"{row['bytes_per_s']:11.0f} {row['speedup']:7.2f}x {row['share']:6.2f}   {beside}"
        )
    if figures["peers"]:
        lines += [
            "",
            "engine        type      bytes/s   llama.cpp = 1   same bytes as plain float32",
        ]
    for row in figures["peers"]:
        ratio = row["ratio_to_llamacpp"]
        first = row["first_difference"]
        same = "yes" if first is None else f"no: a tie within {first['gap_ulps']:.1f} ulps"
        lines.append(
            f"{row['engine']:13s} {row['dtype']:9s} {row['bytes_per_s']:7.0f} "
            f"{'' if ratio is None else f'{ratio:.2f}':>15s}   {same}"
        )
    return lines
