"""`python -m eval readme`: README's tables are made from sealed results, never typed."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bytelm.toolkit import InputError, say, write_text
from eval.measure.bench_tables import BenchResult, bench_table
from eval.report.report import terminal_table
from eval.study.sweep import SweepResult, sweep_table


def marks(name: str) -> tuple[str, str]:
    """The lines of README between which block `name` stands."""
    return f"<!-- {name}: begin -->", f"<!-- {name}: end -->"


def _text(lines: list[str]) -> str:
    table = "\n".join(line.rstrip() for line in lines)
    return f"```text\n{table}\n```"


def measured_block(report: dict[str, Any]) -> str:
    """The terminal's table, and what it was measured on."""
    machine, versions = report["machine"], report["versions"]
    # The caption says what the figures are of, so that nobody takes them for another machine's.
    where = f"{machine['processor']}, {machine['cores']} cores, torch {versions['torch']}"
    return f"{_text(terminal_table(report))}\n\nMeasured on {where}."


def bench_block(bench: dict[str, Any]) -> str:
    """The decoder's tables, and what they were measured on."""
    machine, versions = bench["machine"], {**bench["versions"], **bench["peer_versions"]}
    packages = ", ".join(
        f"{name} {versions[name]}"
        for name in ("torch", "xllamacpp", "transformers")
        if name in versions
    )
    where = f"{machine['processor']}, {machine['cores']} cores, {bench['dtype']}, {packages}"
    return f"{_text(bench_table(BenchResult.model_validate(bench)))}\n\nMeasured on {where}."


def sweep_block(sweep: dict[str, Any]) -> str:
    """The comparison of runs of different n."""
    return _text(sweep_table(SweepResult.model_validate(sweep).rows))


def training_block(times: dict[str, Any]) -> str:
    """What heads cost on one machine, beside the plain sum of the losses."""
    machine, train, first = times["machine"], times["train"], times["rows"][0]
    on_gpu = times["device"].startswith("cuda")
    device = machine["gpu"] if on_gpu else f"{machine['processor']}, {machine['cores']} cores"
    compiled = all(row["compiled"] for row in times["rows"] if row["way"] == "sequential")
    lines = [
        f"{first['params'] / 1e6:.1f}M parameters, {times['model']['layers']} layers, "
        f"{train['batch']} blocks of {train['block']}" + ("" if compiled else ", not compiled"),
        f"{device}, torch {times['versions']['torch']}",
        "              time of a step, to n = 1     peak memory, to n = 1     share of a",
        "kind      n  (quartiles)     plain sum              plain sum     product's rate",
    ]
    ways = {(row["kind"], row["n"], row["way"]): row for row in times["rows"]}
    for (kind, n, way), row in ways.items():
        if way != "sequential":
            continue
        plain = ways.get((kind, n, "plain"))
        low, high = row["ratio_quartiles"]
        spread = f"({low:.2f}-{high:.2f})" if n > 1 else ""
        sums = [f"{plain[key]:.2f}" if plain else "" for key in ("ratio", "peak_ratio")]
        lines.append(
            f"{kind:8s} {n:2d}  {row['ratio']:.2f} {spread:12s}  {sums[0]:8s}     "
            f"{row['peak_ratio']:.2f}     {sums[1]:14s}{row['matmul_share']:.2f}"
        )
    return _text(lines)


def with_block(readme: str, name: str, block: str) -> str:
    """`readme` with what stands between the marks of `name` replaced by `block`.

    Raises InputError where they are not there.
    """
    begin_mark, end_mark = marks(name)
    begin, end = readme.find(begin_mark), readme.find(end_mark)
    if begin < 0 or end < begin:
        raise InputError(f"the README has no lines {begin_mark} and {end_mark} in this order")
    return f"{readme[:begin]}{begin_mark}\n{block}\n{readme[end:]}"


@dataclass
class Readme:
    """Put the tables of sealed results into the README, between their marks."""

    report: Path = Path("results/tiny.json")
    """A report.json, as `python -m eval report` writes it."""
    readme: Path = Path("README.md")
    """The file to change."""
    bench: Path | None = None
    """A bench.json, as `python -m eval bench` writes it."""
    sweep: Path | None = None
    """A sweep.json, as `python -m eval sweep` writes it."""
    training: tuple[Path, ...] = ()
    """What `python -m eval training-time --out` writes, of one machine or several."""

    def run(self) -> dict[str, Any]:
        try:
            text = self.readme.read_text(encoding="utf-8")
        except OSError as error:
            raise InputError(f"{error.filename}: {error.strerror}") from error
        new = with_block(text, "measured", _block(self.report, measured_block))
        if self.bench is not None:
            new = with_block(new, "bench", _block(self.bench, bench_block))
        if self.sweep is not None:
            new = with_block(new, "sweep", _block(self.sweep, sweep_block))
        if self.training:
            blocks = [_block(path, training_block) for path in self.training]
            new = with_block(new, "training", "\n\n".join(blocks))
        if new != text:
            write_text(self.readme, new)
        say(f"{self.readme}: {'changed' if new != text else 'up to date'}")
        return {"readme": str(self.readme), "changed": new != text}


def _block(path: Path, make: Callable[[dict[str, Any]], str]) -> str:
    try:
        return make(json.loads(path.read_bytes()))
    except OSError as error:
        raise InputError(f"{error.filename}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is not what its command writes: {error!r}") from error
