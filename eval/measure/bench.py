"""`python -m eval bench`: the decoder's tables in one sealed file, and their plots.

Table S3 (speed by k), the same for sampled text, Table S2 (code against prose), Figure S10 (by
batch), the cost of a step beside the roofline, and other programs on the same weights.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from bytelm.toolkit import (
    BatchSize,
    ByteCount,
    Checkpoint,
    Device,
    InputError,
    Model,
    Out,
    Positive,
    Range,
    Stopped,
    check_options,
    cuts,
    find_checkpoint,
    load_checkpoint,
    option,
    say,
    seal,
    setting,
    write_json_result,
)
from eval.measure.bench_tables import (
    AllFed,
    BenchResult,
    BenchRow,
    CheckpointName,
    PaperSpeed,
    TableS2Row,
    bench_table,
)
from eval.measure.options import DTYPES, Dtype
from eval.measure.peers.compare import PeersOptions, PeersResult, compare_peers
from eval.measure.peers.llama_bench import check_llama_bench
from eval.measure.plots import plot_batches, plot_peers, plot_table_s3
from eval.measure.speed import SpeedOptions, measure_speed, speed_lines
from eval.measure.step import StepOptions, measure_steps
from eval.measure.text import cut_prompts, read_text, suite_prompts

# The paper's row of Table S3 for n = 8 heads: speedup and bytes per forward at batch 16, 7B.
PAPER_S3 = {1: (1.00, 1.00), 2: (1.94, 1.98), 4: (3.67, 3.84), 8: (6.39, 7.04)}
# Table S2, 7B with n = 4 heads of tokens, not bytes: speedup and tokens per forward; prose is their
# Wikipedia.
PAPER_S2 = {
    ("code", 2): (1.85, 1.94), ("code", 3): (2.54, 2.78), ("code", 4): (3.05, 3.50),
    ("prose", 2): (1.79, 1.88), ("prose", 3): (2.35, 2.57), ("prose", 4): (2.74, 3.12),
}  # fmt: skip
WIDTHS = (1, 2, 4, 8, 16, 32)
# Of Table S3 and of sampled text.
BATCHES = (16, 1)
S2_BATCH = 16
PEER_PROMPTS = PEER_ROUNDS = 3


def measure_table(model: Model, prompts: Sequence[bytes], options: SpeedOptions) -> list[BenchRow]:
    """Rows of `eval speed`, each with its gate and, at batch 16, with the paper's Table S3."""
    rows = measure_speed(model, prompts, options).rows
    for line in speed_lines(rows):
        say(line)
    return [
        BenchRow(
            **row.to_dict(),
            gate=options.gate,
            paper=_paper(PAPER_S3.get(row.k) if row.batch == 16 else None),
        )
        for row in rows
    ]


def measure_table_s3(
    model: Model, prompts: Sequence[bytes], options: SpeedOptions
) -> list[BenchRow]:
    """Table S3: every k with the gate that pays here, and the largest k with every draft fed."""
    gated = measure_table(model, prompts, options)
    most = replace(options, heads=(1, options.heads[-1]), gate=0.0)
    return gated + [row for row in measure_table(model, prompts, most) if row.k > 1]


def measure_table_s2(
    model: Model, texts: dict[str, Sequence[bytes]], options: SpeedOptions
) -> list[TableS2Row]:
    """Table S2: bytes per forward with every draft fed, and speedup with the gate that pays here.

    `texts` holds prompts by domain: code, prose.
    """
    n = model.config.prediction_heads
    options = replace(options, heads=tuple(range(1, min(n, 4) + 1)), batches=(S2_BATCH,))
    table = []
    for domain, prompts in texts.items():
        every = measure_table(model, prompts, replace(options, gate=0.0, rounds=1))
        for row, fed in zip(measure_table(model, prompts, options), every, strict=True):
            values = {
                **row.to_dict(),
                "identical": row.identical and fed.identical,
                "paper": _paper(PAPER_S2.get((domain, row.k))),
                "all_fed": AllFed(bytes_per_forward=fed.bytes_per_forward, speedup=fed.speedup),
            }
            table.append(TableS2Row(**values, domain=domain, n=n))
    return table


def _paper(figures: tuple[float, float] | None) -> PaperSpeed | None:
    return None if figures is None else PaperSpeed(speedup=figures[0], forward=figures[1])


def documentation() -> bytes:
    """The language reference that Python carries for `help()`: prose, and no part of the corpus."""
    from pydoc_data.topics import topics

    return "\n".join(topics.values()).encode()


@dataclass
class Bench:
    """Measure the decoder, in alternating rounds, and write one sealed JSON file and its plots.

    Table S3 has rows with the gate that pays on this machine (`gate` null) and, to compare with the
    paper, rows in which every draft is fed (`gate` 0).
    """

    checkpoint: Path = Path("weights/plain-5m")
    """A run folder, or one of its checkpoints."""
    data: Path = Path("data/shards/stdlib")
    """Shard folder. Prompts are cut from its held-out documents."""
    out: Annotated[Path, Out()] = Path("results/bench.json")
    """The sealed figures. Plots go beside it, as bench-*.png."""
    s2_checkpoint: Path = Path("weights/plain-5m-n4")
    """The model of Table S2, with 4 heads. The table is left out where there is no such folder."""
    suite: str | None = "exercises"
    """The suite whose solutions are the text that ends; none leaves the table out."""
    prose: Path | None = None
    """The text that Table S2 compares code with; default: the documentation that Python carries."""
    temperature: Annotated[float, Range(0, above=True, most=10**6)] = 0.8
    """Temperature of the sampled text."""
    dtype: Dtype = "bfloat16"
    """Number type of weights, keys and values. Peers are measured in bfloat16 and float32."""
    prompts: Positive = 48
    """Prompts for the largest batch of Table S3."""
    prompt_bytes: ByteCount = 1024
    """Bytes of a prompt."""
    max_bytes: ByteCount = 1024
    """Bytes of a completion at most."""
    rounds: Positive = 3
    """Times that each row of Tables S3 and S2 is measured."""
    batches: tuple[BatchSize, ...] = (1, 2, 4, 8, 16, 32, 64)
    """Batch sizes of Figure S10."""
    peers: bool = True
    """Compare with llama.cpp and transformers, if they are installed (pip install '.[peers]')."""
    llama_bench: Path | None = None
    """The program llama-bench of a llama.cpp built for this machine, to compare with too."""
    device: Device = "cpu"
    """Where the model runs: cpu or cuda."""

    def run(self) -> dict[str, Any]:
        started = time.monotonic()
        self._check()
        checkpoint = self._load(self.checkpoint)
        if self.llama_bench is not None:
            # What was asked for by name is not left out: it is refused before the work.
            self._peers_options().check(self.prompt_bytes, checkpoint.config.context)
        result = self._measure(checkpoint)
        seconds = round(time.monotonic() - started, 1)
        result = result.model_copy(update={"seconds": seconds})
        write_json_result(self.out, seal(result.to_dict()))
        self._draw(result)
        say("\n".join(bench_table(result)))
        rows = result.speed_rows()
        figures: dict[str, Any] = {
            "out": str(self.out),
            "seconds": seconds,
            "identical": all(row.identical for row in rows),
            "rows": len(rows) + len(result.peers),
        }
        if self.llama_bench is not None and not result.peers:
            # The reason was said where they were left out; the other figures are kept.
            raise Stopped(figures, 1)
        return figures

    def _check(self) -> None:
        """Refuse at once what would fail only after minutes of measuring."""
        check_options(self)
        if not self.batches:
            raise InputError(f"{option('batches')} names at least one batch size")
        if self.prose is not None and not self.prose.is_file():
            raise InputError(f"{setting('prose', self.prose)} is not a file")
        if self.s2_checkpoint.exists():
            find_checkpoint(self.s2_checkpoint)
        if self.llama_bench is not None:
            self._check_llama_bench(self.llama_bench)

    def _check_llama_bench(self, program: Path) -> None:
        asked = setting("llama_bench", str(program))
        if not self.peers:
            raise InputError(f"{asked} is one of the peers: leave out {setting('peers', False)}")
        if self.device != "cpu":
            raise InputError(f"{asked} runs on the processor: it needs {setting('device', 'cpu')}")
        check_llama_bench(program)

    def _load(self, where: Path) -> Checkpoint:
        return load_checkpoint(where, self.device, DTYPES[self.dtype])

    def _measure(self, checkpoint: Checkpoint) -> BenchResult:
        model = checkpoint.model
        heads = tuple(k for k in WIDTHS if k <= checkpoint.config.prediction_heads)
        options = SpeedOptions(heads, BATCHES, self.max_bytes, self.rounds)
        prompts = self._prompts(self.prompts, self.prompt_bytes)
        say("Table S3: speed by k, in rounds that alternate")
        table_s3 = measure_table_s3(model, prompts, options)
        say(f"the same for text sampled at a temperature of {self.temperature}")
        once = replace(options, rounds=1)
        sampled = measure_table(model, prompts, replace(once, temperature=self.temperature))
        ends = self._ends(model, options)
        table_s2 = self._table_s2()
        say("Figure S10: speed by batch")
        by_batch = replace(once, batches=self.batches, prompts_per_row=1)
        many = self._prompts(max(self.batches), self.prompt_bytes)
        figure_s10 = measure_table(model, many, by_batch)
        say("the cost of a step, beside the roofline")
        step = measure_steps(model, StepOptions(heads))
        peers = self._peers(checkpoint) if self.peers and self.device == "cpu" else None
        return BenchResult(
            table_s3=table_s3,
            sampled=sampled,
            temperature=self.temperature,
            ends=ends,
            table_s2=table_s2,
            figure_s10=figure_s10,
            step=step.model_copy(update={"preset": "as the checkpoint"}),
            peers=peers.rows if peers else [],
            peer_versions=peers.peer_versions if peers else {},
            dtype=self.dtype,
            parameters=model.parameters_by_part(),
            checkpoint=CheckpointName(path=str(self.checkpoint), sha256=checkpoint.sha256),
        )

    def _prompts(self, count: int, size: int) -> list[bytes]:
        return cut_prompts(self.data, None, count, size)

    def _ends(self, model: Model, options: SpeedOptions) -> list[BenchRow]:
        if self.suite is None:
            return []
        say(f"text that ends: solutions of {self.suite}")
        prompts, stops = suite_prompts(self.suite, self.prompts)
        return measure_table(model, prompts, replace(options, stops=stops))

    def _table_s2(self) -> list[TableS2Row]:
        if not self.s2_checkpoint.exists():
            say(f"Table S2: left out, there is no {self.s2_checkpoint}")
            return []
        say("Table S2: code against prose")
        size, count = self.prompt_bytes // 2, min(16, self.prompts)
        prose = documentation() if self.prose is None else read_text(self.prose)
        texts: dict[str, Sequence[bytes]] = {
            "code": self._prompts(count, size),
            "prose": cuts(prose, count, size, str(self.prose or "Python's documentation")),
        }
        options = SpeedOptions(max_bytes=self.max_bytes // 2, rounds=self.rounds)
        return measure_table_s2(self._load(self.s2_checkpoint).model, texts, options)

    def _peers_options(self) -> PeersOptions:
        return PeersOptions(self.max_bytes, PEER_ROUNDS, llama_bench=self.llama_bench)

    def _peers(self, checkpoint: Checkpoint) -> PeersResult | None:
        if self.prompt_bytes + self.max_bytes >= checkpoint.config.context:
            say("peers: left out, prompt and completion do not fit the context")
            return None
        say("other programs on the same weights, one thread, batch 1")
        options = self._peers_options()
        try:
            options.check(self.prompt_bytes, checkpoint.config.context)
            prompts = self._prompts(PEER_PROMPTS, self.prompt_bytes)
            checkpoints = {
                dtype: checkpoint
                if dtype == self.dtype
                else load_checkpoint(checkpoint.folder, "cpu", DTYPES[dtype])
                for dtype in options.dtypes
            }
            return compare_peers(checkpoints, prompts, options)
        except InputError as error:
            say(f"peers: left out: {error}")
            return None

    def _draw(self, result: BenchResult) -> None:
        plot_table_s3(result, self.out.with_name("bench-speed.png"))
        plot_batches(result, self.out.with_name("bench-batches.png"))
        if result.peers:
            plot_peers(result, self.out.with_name("bench-peers.png"))
