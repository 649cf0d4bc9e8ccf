"""`python -m eval bench`: the decoder's tables in one sealed file, and their plots.

Table S3 (speed by k), the same for sampled text, Table S2 (code against prose), Figure S10 (by
batch), the cost of a step beside the roofline, and other engines on the same weights.
"""

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from bytelm.toolkit import (
    InputError,
    SamplingOptions,
    find_checkpoint,
    load_checkpoint,
    say,
    seal,
    write_json,
)
from eval.measure.peers import Peers
from eval.measure.plots import plot_batches, plot_peers, plot_table_s3
from eval.measure.speed import Speed
from eval.measure.step import Step

# The paper's row of Table S3 for n = 8 heads: speedup and bytes a forward at batch 16, 7B.
PAPER_S3 = {1: (1.00, 1.00), 2: (1.94, 1.98), 4: (3.67, 3.84), 8: (6.39, 7.04)}
# Table S2, 7B with n = 4 heads of tokens, not bytes: speedup and tokens a forward; prose is their
# Wikipedia.
PAPER_S2 = {
    ("code", 2): (1.85, 1.94), ("code", 3): (2.54, 2.78), ("code", 4): (3.05, 3.50),
    ("prose", 2): (1.79, 1.88), ("prose", 3): (2.35, 2.57), ("prose", 4): (2.74, 3.12),
}  # fmt: skip


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
    s2_checkpoint: Path = Path("weights/plain-5m-n4")
    """The model of Table S2, with 4 heads; left out where it is not there."""
    prose: Path | None = None
    """The text that Table S2 sets against code; default: the documentation that Python carries."""
    temperature: float = 0.8
    """Of the sampled text."""
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
        self._check()
        where = find_checkpoint(self.checkpoint)
        checkpoint = load_checkpoint(where)
        heads = tuple(k for k in (1, 2, 4, 8, 16, 32) if k <= checkpoint.config.prediction_heads)
        say("Table S3: speed by k, in rounds that alternate")
        table = self._speed(where, heads, (16, 1))
        ungated = self._speed(where, (1, heads[-1]), (16, 1), gate=0.0)
        table += [row for row in ungated if row["k"] > 1]
        say(f"the same for text sampled at a temperature of {self.temperature}")
        sampled = self._speed(where, heads, (16, 1), temperature=self.temperature, rounds=1)
        table_s2 = self._table_s2()
        say("Figure S10: speed by batch")
        figure = self._speed(
            where, heads, self.batches, prompts=max(self.batches), rounds=1, prompts_per_row=1
        )
        with tempfile.TemporaryDirectory() as scratch:
            preset = Path(scratch) / "preset.toml"
            preset.write_text(_toml(checkpoint.config.to_dict()), encoding="utf-8")
            say("the cost of a step, beside the roofline")
            step = Step(str(preset), widths=heads, dtype=self.dtype, device=self.device).run()
        figures: dict[str, Any] = {
            "table_s3": table,
            "sampled": sampled,
            "temperature": self.temperature,
            "table_s2": table_s2,
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
            "identical": all(row["identical"] for row in table + sampled + table_s2 + figure),
            "rows": len(table + sampled + table_s2 + figure + figures["peers"]),
        }

    def _check(self) -> None:
        """What would be found wrong only after minutes of measuring."""
        SamplingOptions(self.temperature).check()
        if self.temperature == 0:
            raise InputError("--temperature: the sampled text needs one above 0")
        if self.prose is not None and not self.prose.is_file():
            raise InputError(f"--prose {self.prose} is not a file")
        if self.s2_checkpoint.exists():
            find_checkpoint(self.s2_checkpoint)

    def _speed(
        self, where: Path, heads: tuple[int, ...], batches: tuple[int, ...],
        gate: float | None = None, **changes: Any,
    ) -> list[dict[str, Any]]:  # fmt: skip
        """Rows of `python -m eval speed`, as this bench is set but for `changes`."""
        values: dict[str, Any] = {
            "data": self.data,
            "prompts": self.prompts,
            "prompt_bytes": self.prompt_bytes,
            "max_bytes": self.max_bytes,
            "rounds": self.rounds,
            "dtype": self.dtype,
            "device": self.device,
            **changes,
        }
        speed = Speed(where, heads=heads, batches=batches, gate=gate, **values)
        rows: list[dict[str, Any]] = speed.run()["rows"]
        for row in rows:
            paper = PAPER_S3.get(row["k"]) if row["batch"] == 16 else None
            row["gate"] = gate
            row["paper"] = None if paper is None else {"speedup": paper[0], "forward": paper[1]}
        return rows

    def _table_s2(self) -> list[dict[str, Any]]:
        """Code against prose: bytes a forward with every draft fed, and speedup as it is run."""
        if not self.s2_checkpoint.exists():
            say(f"Table S2: left out, there is no {self.s2_checkpoint}")
            return []
        say("Table S2: code against prose")
        where = find_checkpoint(self.s2_checkpoint)
        n = load_checkpoint(where).config.prediction_heads
        heads = tuple(range(1, min(n, 4) + 1))
        half = {"prompt_bytes": self.prompt_bytes // 2, "max_bytes": self.max_bytes // 2}
        rows = []
        with tempfile.TemporaryDirectory() as scratch:
            prose = self.prose
            if prose is None:
                prose = Path(scratch) / "prose"
                prose.write_bytes(documentation())
            for domain in ("code", "prose"):
                sizes: dict[str, Any] = {**half, "prompts": min(16, self.prompts)}
                if domain == "prose":
                    sizes |= {"data": None, "text": prose}
                fed = self._speed(where, heads, (16,), 0.0, **{**sizes, "rounds": 1})
                for row, every in zip(self._speed(where, heads, (16,), **sizes), fed, strict=True):
                    paper = PAPER_S2.get((domain, row["k"]))
                    row["paper"] = paper and {"speedup": paper[0], "forward": paper[1]}
                    row |= {"domain": domain, "n": n}
                    row["identical"] &= every["identical"]
                    row["all_fed"] = {k: every[k] for k in ("bytes_per_forward", "speedup")}
                    rows.append(row)
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


def documentation() -> bytes:
    """The language reference that Python carries for `help()`: prose, and no part of the corpus."""
    from pydoc_data.topics import topics

    return "\n".join(topics.values()).encode()


def _beside(row: dict[str, Any], unit: str) -> str:
    paper = row["paper"]
    return "" if paper is None else f"{paper['forward']:.2f} {unit}, {paper['speedup']:.2f}x"


def bench_table(figures: dict[str, Any]) -> list[str]:
    """The figures for a person: Table S3, sampled text, Table S2, then the engines."""
    lines = ["batch    k  drafts fed    bytes/forward   bytes/s  speedup  share   paper (7B)"]
    for row in figures["table_s3"]:
        fed = "" if row["k"] == 1 else "all" if row["gate"] == 0 else "the sure ones"
        lines.append(_speed_line(row, fed) + _beside(row, "bytes"))
    lines += ["", f"sampled at a temperature of {figures['temperature']}"]
    for row in figures["sampled"]:
        lines.append(_speed_line(row, "" if row["k"] == 1 else "the sure ones"))
    if figures["table_s2"]:
        lines += ["", "text     k of n   bytes/forward, all fed   speedup   paper (7B, tokens)"]
    for row in figures["table_s2"]:
        if row["k"] > 1:
            forward = row["all_fed"]["bytes_per_forward"]
            lines.append(
                f"{row['domain']:8s} {row['k']} of {row['n']} {forward:23.2f} "
                f"{row['speedup']:9.2f}x   {_beside(row, 'tokens')}"
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


def _speed_line(row: dict[str, Any], fed: str) -> str:
    return (
        f"{row['batch']:5d} {row['k']:4d}  {fed:13s} {row['bytes_per_forward']:10.2f} "
        f"{row['bytes_per_s']:11.0f} {row['speedup']:7.2f}x {row['share']:6.2f}   "
    )
