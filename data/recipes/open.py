"""From a recipe to the source that a build reads: one source, or several together."""

import contextlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from bytelm.toolkit import InputError, of_file, option
from data import sources as read
from data.git.clone import Clone
from data.packages.fetch import fetched, local
from data.packages.listed import read_list
from data.packages.source import Packages, WithoutNear
from data.packages.work import Limits
from data.recipes.mixture import Made, Mixture, Weighed
from data.recipes.read import place
from data.recipes.recipe import (
    Exercises,
    Folder,
    Functions,
    Kind,
    PackageList,
    Recipe,
    Repository,
    Rows,
    Shards,
    kind_of,
)
from data.sources import Chain, Part, Source, Staged
from data.splits import split_of, splits_of_groups
from data.steps.judge import Steps


@dataclass
class Opening:
    """Opens the sources of a recipe, with what a build has beside it.

    `benchmark`: files of problems that exercises must not have. `processes`: 0 for all cores.
    """

    recipe: Recipe
    steps: Steps
    out: Path
    benchmark: tuple[Path, ...] = ()
    processes: int = 0
    _clones: list[Clone] = field(default_factory=list)

    def source(self) -> Source:
        """All sources of the recipe as one. Raises InputError for what cannot be read."""
        recipe = self.recipe
        found = [self._named(at, kind) for at, kind in enumerate(recipe.sources, 1)]
        if recipe.split_by == "repository":
            self._split_by_repository()
        if recipe.shares == "read":
            return self._of_what_is_read(found)
        if len(found) > 1 or recipe.total_megabytes is not None:
            return self._of_what_is_kept(found)
        whole = found[0]
        if recipe.steps.near_duplicates == "drop" and not isinstance(whole.read, Packages):
            whole.read = WithoutNear(whole.read, self.steps, self.out, whole.about)
        if recipe.file is None:
            return whole
        return Source({"recipe": recipe.name, "sources": [whole.about]}, whole.read)

    def _named(self, at: int, kind: Kind) -> Source:
        """A source. Errors name the file and the source, where there is a file."""
        with contextlib.ExitStack() as stack:
            if self.recipe.file is not None:
                stack.enter_context(of_file(f"recipe {self.recipe.file}"))
                stack.enter_context(of_file(place(at, kind_of(kind))))
            return self._opened(kind)

    def _opened(self, kind: Kind) -> Source:
        most = self.recipe.max_file_bytes
        match kind:
            case Exercises():
                return self._exercises(kind, kind.size_megabytes)
            case Folder():
                return read.folder(kind.path, kind.suffixes, most, self.out)
            case Rows():
                return read.dataset(kind.dataset, kind.column, self.out)
            case Repository():
                source, clone = read.repository(kind.git, kind.commit, kind.suffixes, most)
                self._clones.append(clone)
                return source
            case PackageList():
                return self._packages(kind)
            case Functions():
                return self._functions(kind)
            case Shards():
                return read.shards(kind.shards, self.out)
        return read.standard_library(most)

    def _exercises(self, kind: Exercises, megabytes: float) -> Source:
        return read.exercises(megabytes, kind.seed, self.benchmark, self.processes)

    def _functions(self, kind: Functions) -> Source:
        # `data functions` chose them by their licences, which their rows alone know.
        steps = replace(self.steps, choices=replace(self.recipe.steps, licences="any"))
        return read.functions(kind.functions, kind.results, steps, self.recipe.percent)

    def _packages(self, kind: PackageList) -> Source:
        about: dict[str, Any] = {"recipe": "packages"}
        if kind.max_package_bytes is not None:
            about["max_package_bytes"] = kind.max_package_bytes
        missing: dict[str, str] = {}
        if kind.packages is not None:
            wanted = read_list(kind.packages)
            wheels, missing = fetched(wanted, kind.wheels or _beside(self.out, "wheels"))
            about |= {"missing": sorted(missing)} if missing else {}
        elif kind.wheels is not None:
            wheels = local(kind.wheels)
        else:
            begin = "--recipe packages" if self.recipe.file is None else "it"
            raise InputError(
                f"{begin} needs {option('packages')} FILE, or {option('wheels')} FOLDER"
            )
        limits = Limits(self.recipe.max_file_bytes, kind.max_package_bytes)
        parts, percent = _beside(self.out, "parts"), self.recipe.percent
        found = Packages(wheels, self.steps, limits, parts, percent, self.processes, about)
        found.rejected["missing package"] = len(missing)
        found.rejected += Counter()
        return Source(about, found)

    def _split_by_repository(self) -> None:
        names, percent = {clone.repository for clone in self._clones}, self.recipe.percent
        if len(names) == 1:
            [name] = names
            if len(self._clones) == len(self.recipe.sources):
                raise InputError(
                    f"one repository alone ({name}) cannot be split into training and held-out "
                    f"data; leave out {option('split_by')}, or write a recipe with more sources"
                )
            splits = {name: split_of(name, percent)}
        else:
            splits = splits_of_groups(sorted(names), percent)
        for clone in self._clones:
            clone.split = splits[clone.repository]

    def _of_what_is_read(self, found: list[Source]) -> Source:
        """All exercises, and of each other source its share beside them, before the steps."""
        [made] = [one for one, kind in self._pairs(found) if isinstance(kind, Exercises)]
        [exercises] = self.recipe.exercises
        share, whole = exercises.weight or 0, sum(kind.weight or 0 for kind in self.recipe.sources)
        others: list[Source] = []
        for source, kind in self._pairs(found):
            if source is not made:
                wanted = exercises.size_megabytes * 1e6 * (kind.weight or 0) / share
                # Beside the shards, where there is room for them.
                part = Part(source, wanted, self.out.parent)
                others.append(Source(source.about, part))
        reader = Staged(Source({}, Chain(*others)), made)
        if self.recipe.file is None:
            # The curriculum adds its counts to its own `about`, after it was read.
            percent = share if whole == 100 else 100 * share / whole
            made.about |= {"recipe": self.recipe.name, "share": percent}
            return Source(made.about, reader)
        for source, kind in self._pairs(found):
            source.about["weight"] = kind.weight
        listed = [source.about for source in found]
        return Source({"recipe": self.recipe.name, "shares": "read", "sources": listed}, reader)

    def _of_what_is_kept(self, found: list[Source]) -> Source:
        made, weighed = None, []
        for at, (source, kind) in enumerate(self._pairs(found), 1):
            if isinstance(kind, Exercises):
                make = partial(self._exercises_of, kind)
                limited = kind.weight is None or kind.megabytes is not None
                most_bytes = round(kind.size_megabytes * 1e6) if limited else None
                made = Made(make, most_bytes, kind.weight)
            else:
                where = place(at, kind_of(kind))
                if self.recipe.file is not None:
                    where = f"recipe {self.recipe.file}: {where}"
                weighed.append(Weighed(source, where, kind.weight))
        total = self.recipe.total_megabytes
        whole_bytes = None if total is None else round(total * 1e6)
        mixture = Mixture(weighed, made, self.steps, self.out, whole_bytes)
        mixture.about["recipe"] = self.recipe.name
        return Source(mixture.about, mixture)

    def _exercises_of(self, kind: Exercises, wanted_bytes: int) -> Source:
        return self._exercises(kind, wanted_bytes / 1e6)

    def _pairs(self, found: list[Source]) -> Iterator[tuple[Source, Kind]]:
        return zip(found, self.recipe.sources, strict=True)


def _beside(out: Path, ending: str) -> Path:
    """A folder beside the shards: OUT.ending."""
    return out.with_name(f"{out.name}.{ending}")
