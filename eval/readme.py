"""`python -m eval readme`: README's measured block is made from a sealed report, never typed."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bytelm import InputError, say, write_text
from eval.bench import bench_table
from eval.report import terminal_table
from eval.sweep import sweep_table

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
BENCH_BEGIN, BENCH_END = "<!-- bench: begin -->", "<!-- bench: end -->"
SWEEP_BEGIN, SWEEP_END = "<!-- sweep: begin -->", "<!-- sweep: end -->"


def measured_block(report: dict[str, Any]) -> str:
    """What stands between README's marks: the terminal's table, and what it was measured on."""
    machine, versions = report["machine"], report["versions"]
    table = "\n".join(terminal_table(report))
    where = f"{machine['processor']}, {machine['cores']} cores, torch {versions['torch']}"
    # The caption says what the figures are of, so that nobody takes them for another machine's.
    return f"{BEGIN}\n```text\n{table}\n```\n\nMeasured on {where}.\n{END}"


def bench_block(bench: dict[str, Any]) -> str:
    """The decoder's tables, and what they were measured on."""
    machine, versions = bench["machine"], {**bench["versions"], **bench["peer_versions"]}
    table = "\n".join(line.rstrip() for line in bench_table(bench))
    packages = ", ".join(
        f"{name} {versions[name]}"
        for name in ("torch", "xllamacpp", "transformers")
        if name in versions
    )
    where = f"{machine['processor']}, {machine['cores']} cores, {bench['dtype']}, {packages}"
    return f"{BENCH_BEGIN}\n```text\n{table}\n```\n\nMeasured on {where}.\n{BENCH_END}"


def sweep_block(sweep: dict[str, Any]) -> str:
    """The comparison of runs of different n."""
    table = "\n".join(line.rstrip() for line in sweep_table(sweep["rows"]))
    return f"{SWEEP_BEGIN}\n```text\n{table}\n```\n{SWEEP_END}"


def with_block(readme: str, block: str, begin_mark: str = BEGIN, end_mark: str = END) -> str:
    """`readme` with the text between its marks replaced. Raises InputError where they are not."""
    begin, end = readme.find(begin_mark), readme.find(end_mark)
    if begin < 0 or end < begin:
        raise InputError(f"the README has no lines {begin_mark} and {end_mark} in this order")
    return readme[:begin] + block + readme[end + len(end_mark) :]


@dataclass
class Readme:
    """Put the tables of a report and of a bench into the README, between their marks."""

    report: Path = Path("results/tiny.json")
    """A report.json, as `python -m eval report` writes it."""
    readme: Path = Path("README.md")
    """The file to change."""
    bench: Path | None = None
    """A bench.json, as `python -m eval bench` writes it."""
    sweep: Path | None = None
    """A sweep.json, as `python -m eval sweep` writes it."""

    def run(self) -> dict[str, Any]:
        try:
            text = self.readme.read_text(encoding="utf-8")
        except OSError as error:
            raise InputError(f"{error.filename}: {error.strerror}") from error
        new = with_block(text, _block(self.report, measured_block))
        if self.bench is not None:
            new = with_block(new, _block(self.bench, bench_block), BENCH_BEGIN, BENCH_END)
        if self.sweep is not None:
            new = with_block(new, _block(self.sweep, sweep_block), SWEEP_BEGIN, SWEEP_END)
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
