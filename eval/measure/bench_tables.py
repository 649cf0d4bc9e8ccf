"""The tables of `eval bench`: what their rows hold, and how they read in a terminal and README."""

from collections.abc import Sequence

from pydantic import Field

from eval.measure.peers.rows import PeerRow
from eval.measure.peers.table import peers_lines
from eval.measure.step import StepResult
from eval.records import Count, Number, Record, Sealed, SpeedRow


class PaperSpeed(Record):
    """The paper's figures for a row, of a 7B model."""

    speedup: Number
    forward: Number
    """Bytes (Table S2: tokens) per forward."""


class BenchRow(SpeedRow):
    """A row of `eval speed`, with its gate and the paper's figures."""

    gate: Number | None
    """The least probability at which a draft is fed; 0: all are; None: as it pays here."""
    paper: PaperSpeed | None


class AllFed(Record):
    """The same row with every draft fed."""

    bytes_per_forward: Number
    speedup: Number


class TableS2Row(BenchRow):
    """A row of Table S2: one domain and k."""

    domain: str
    """code or prose."""
    n: Count
    """Prediction heads of the model."""
    all_fed: AllFed


class CheckpointName(Record):
    """Which checkpoint was measured."""

    path: str
    sha256: str


class BenchResult(Sealed):
    """bench.json: what `eval bench` measures."""

    table_s3: list[BenchRow]
    """Speed by k; gate None: as it pays here, gate 0: every draft fed."""
    sampled: list[BenchRow]
    """The same for sampled text."""
    temperature: Number
    """Of the sampled text."""
    ends: list[BenchRow] = Field(default_factory=list)
    """Speed by k on the prompts of a suite, whose solutions end by themselves and do not loop."""
    table_s2: list[TableS2Row]
    """Code against prose; empty where the model for it is missing."""
    figure_s10: list[BenchRow]
    """Speed by batch size."""
    step: StepResult
    """The cost of a step beside the roofline."""
    peers: list[PeerRow]
    """Other programs on the same weights; empty where they were left out."""
    peer_versions: dict[str, str]
    """Of each package, and what the native build of llama.cpp says of itself."""
    dtype: str
    """Of weights, keys and values, but for the peers."""
    parameters: dict[str, Count]
    """By part of the model."""
    checkpoint: CheckpointName
    seconds: Number | None = None
    """Wall-clock seconds of the command."""

    def speed_rows(self) -> list[BenchRow]:
        """The rows of all tables of bytelm's own speed."""
        return [*self.table_s3, *self.sampled, *self.ends, *self.table_s2, *self.figure_s10]


def bench_table(result: BenchResult) -> list[str]:
    """The figures for a terminal: Table S3, sampled text, Table S2, then the peers."""
    return [
        *_table_s3(result.table_s3),
        *_sampled(result.sampled, result.temperature),
        *_ends(result.ends),
        *_table_s2(result.table_s2),
        *(["", *peers_lines(result.peers)] if result.peers else []),
    ]


def _table_s3(rows: Sequence[BenchRow]) -> list[str]:
    lines = ["batch    k  drafts fed    bytes/forward   bytes/s  speedup  share   paper (7B)"]
    for row in rows:
        fed = "" if row.k == 1 else "all" if row.gate == 0 else "the sure ones"
        lines.append(_speed_line(row, fed) + _paper(row, "bytes"))
    return lines


def _sampled(rows: Sequence[BenchRow], temperature: float) -> list[str]:
    lines = [_speed_line(row, "" if row.k == 1 else "the sure ones") for row in rows]
    return ["", f"sampled at a temperature of {temperature}", *lines]


def _ends(rows: Sequence[BenchRow]) -> list[str]:
    lines = [
        f"{_speed_line(row, '' if row.k == 1 else 'the sure ones')}{row.ended or 0:6.0%}"
        f"{row.distinct_windows or 0:18.0%}"
        for row in rows
    ]
    title = ["", "solutions of a suite" + " " * 48 + "ended  distinct windows"]
    return [*title, *lines] if rows else []


def _table_s2(rows: Sequence[TableS2Row]) -> list[str]:
    lines = [
        f"{row.domain:8s} {row.k} of {row.n} {row.all_fed.bytes_per_forward:23.2f} "
        f"{row.speedup:9.2f}x   {_paper(row, 'tokens')}"
        for row in rows
        if row.k > 1
    ]
    title = ["", "text     k of n   bytes/forward, all fed   speedup   paper (7B, tokens)"]
    return [*title, *lines] if rows else []


def _paper(row: BenchRow, unit: str) -> str:
    paper = row.paper
    return "" if paper is None else f"{paper.forward:.2f} {unit}, {paper.speedup:.2f}x"


def _speed_line(row: BenchRow, fed: str) -> str:
    return (
        f"{row.batch:5d} {row.k:4d}  {fed:13s} {row.bytes_per_forward:10.2f} "
        f"{row.bytes_per_s:11.0f} {row.speedup:7.2f}x {row.share:6.2f}   "
    )
