"""What a recipe says: sources, the weight of each, and the steps.

A field has the name of its option: `max_file_bytes` in a file is --max-file-bytes on the command
line.
"""

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Literal

from bytelm.toolkit import ByteCount, InputError, Range, Seed, option, setting
from data.exercises.grammar.meaning import HELD_OUT_PERCENT
from data.steps.judge import Choices

Weight = Annotated[float, Range(10**-6, most=10**6)]
"""A share of the bytes, as a number beside the other sources' weights."""
Megabytes = Annotated[float, Range(0, most=10**6, above=True)]
"""Millions of bytes."""
Percent = Annotated[float, Range(0, 100, above=True, below=True)]

FILES_HELD_OUT = 5.0
SUFFIXES = (".py",)
EXERCISES_MEGABYTES = 10.0


@dataclass(frozen=True)
class StandardLibrary:
    """The running Python's standard library, without its tests."""

    weight: Weight | None = None


@dataclass(frozen=True)
class Exercises:
    """Small functions that are made for learning.

    `megabytes`: how much is made, or of a share that is kept the most of it. None: as much as the
    share needs, and elsewhere 10.
    """

    weight: Weight | None = None
    megabytes: Megabytes | None = None
    seed: Seed = 1

    @property
    def size_megabytes(self) -> float:
        """How much is made where nothing else says it."""
        return EXERCISES_MEGABYTES if self.megabytes is None else self.megabytes


@dataclass(frozen=True)
class PackageList:
    """Wheels: those of a list, which are fetched, or those in a folder."""

    weight: Weight | None = None
    packages: Path | None = None
    wheels: Path | None = None
    max_package_bytes: ByteCount | None = None


@dataclass(frozen=True)
class Folder:
    """A folder of source files."""

    path: Path
    weight: Weight | None = None
    suffixes: tuple[str, ...] = SUFFIXES


@dataclass(frozen=True)
class Rows:
    """A local dataset."""

    dataset: Path
    weight: Weight | None = None
    column: str = "content"


@dataclass(frozen=True)
class Repository:
    """A local clone of git at a commit."""

    git: Path
    weight: Weight | None = None
    commit: str = "HEAD"
    suffixes: tuple[str, ...] = SUFFIXES


@dataclass(frozen=True)
class Functions:
    """Functions that `data functions` found, and the verdicts on their examples."""

    functions: Path
    results: Path
    weight: Weight | None = None


@dataclass(frozen=True)
class Shards:
    """A shard folder: its documents stay in their splits."""

    shards: Path
    weight: Weight | None = None


Kind = StandardLibrary | Exercises | PackageList | Folder | Rows | Repository | Functions | Shards
KINDS: dict[str, type[Kind]] = {
    "stdlib": StandardLibrary,
    "exercises": Exercises,
    "packages": PackageList,
    "path": Folder,
    "dataset": Rows,
    "git": Repository,
    "functions": Functions,
    "shards": Shards,
}


def kind_of(source: Kind) -> str:
    """The name of a source's kind in a file."""
    return next(name for name, kind in KINDS.items() if type(source) is kind)


def has(source: Kind, name: str) -> bool:
    """Whether a kind of source has the option `name`."""
    return any(one.name == name for one in fields(source))


@dataclass(frozen=True)
class Recipe:
    """Sources and steps. `name` is what the manifest calls it, and `file` the file it is from.

    Raises InputError for values that do not go together.
    """

    name: str
    sources: tuple[Kind, ...]
    steps: Choices = field(default_factory=Choices)
    held_out_percent: Percent | None = None
    """None: 5, or the share of the exercises' meanings where there is nothing else."""
    max_file_bytes: ByteCount = 1 << 20
    total_megabytes: Megabytes | None = None
    """The most that sources with weights give together."""
    shares: Literal["kept", "read"] = "kept"
    """Whether the weights are shares of the bytes that the steps keep, or of those that are read.
    The second way needs exercises: all of them are taken, and so much of the others."""
    split_by: Literal["document", "repository"] = "document"
    """What of a clone goes to one split as a whole."""
    file: Path | None = None

    def __post_init__(self) -> None:
        if not self.sources:
            raise InputError(f"sources is empty; name at least one of: {', '.join(KINDS)}")
        self._check_weights()
        made = self.exercises
        if len(made) > 1:
            raise InputError("sources has exercises twice; keep one of them")
        whole = self.shares == "kept" and len(self.sources) > 1
        if made and not whole and self.steps.near_duplicates == "drop":
            raise InputError(
                f"{setting('near_duplicates', 'drop')}: exercises are alike on purpose; "
                "leave it out"
            )
        if isinstance(self.sources[0], Functions) and len(self.sources) == 1:
            self._check_functions()
        if made and len(self.sources) == 1 and self.held_out_percent is not None:
            raise InputError(
                f"{option('held_out_percent')}: exercises hold out {HELD_OUT_PERCENT:g} % of "
                "their meanings, so that the suite's problems are in no training text"
            )

    def _check_functions(self) -> None:
        if self.steps.near_duplicates == "drop":
            raise InputError(
                f"{setting('near_duplicates', 'drop')}: functions are small, and each body is "
                "there once; leave it out"
            )
        if self.steps.licences == "permissive":
            raise InputError(
                f"{setting('licences', 'permissive')}: functions were chosen by the licences of "
                "data functions; leave it out"
            )

    def _check_weights(self) -> None:
        given = [source.weight is not None for source in self.sources]
        if any(given) and not all(given):
            raise InputError(
                f"the key 'weight' is missing for source {given.index(False) + 1}; give all "
                "sources a weight, or none to take everything"
            )
        if self.total_megabytes is not None and not all(given):
            raise InputError(
                f"{option('total_megabytes')} is for sources with weights, in a recipe's file"
            )
        if self.shares == "read" and not (all(given) and self.exercises):
            raise InputError(
                'shares = "read" is for sources with weights, one of them exercises, whose '
                'megabytes say how large the others are; say "kept"'
            )
        if self.shares == "read" and self.total_megabytes is not None:
            raise InputError(
                f"{option('total_megabytes')} is for recipes whose shares are of what is kept; "
                f"here {option('megabytes')} of exercises says how much there is"
            )

    @property
    def exercises(self) -> list[Exercises]:
        """The sources that are exercises: one at most."""
        return [source for source in self.sources if isinstance(source, Exercises)]

    @property
    def percent(self) -> float:
        """The percentage of documents to hold out."""
        return FILES_HELD_OUT if self.held_out_percent is None else self.held_out_percent
