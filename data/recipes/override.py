"""Options of the command line in place of what a recipe says.

An option that the recipe has no use for is an error: it would change nothing.
"""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from bytelm.toolkit import InputError, option, setting
from data.recipes.recipe import Exercises, Kind, Recipe, has, kind_of
from data.steps.judge import Choices

_STEPS = tuple(one.name for one in fields(Choices))
_OF_ALL = ("held_out_percent", "max_file_bytes", "total_megabytes", "split_by")
# What an option is for, as errors say it.
_FOR = {
    "packages": "--recipe packages", "wheels": "--recipe packages",
    "max_package_bytes": "--recipe packages", "megabytes": "--recipe exercises and mix",
    "seed": "--recipe exercises and mix", "share": "--recipe mix", "column": "--dataset",
    "suffixes": "--path and --git", "results": "--functions", "commit": "--git",
    "split_by": "--git",
    "max_file_bytes": "files, wheels and clones", "most_error_percent": "--syntax drop",
}  # fmt: skip
_OF_FILES = ("stdlib", "packages", "path", "git")


def overridden(recipe: Recipe, given: Mapping[str, Any], what: str) -> Recipe:
    """The recipe with the values of options that were given. `what` names it in errors.

    `share` is the percentage of the exercises. Raises InputError for options that the recipe has no
    use for, and for those of which it cannot be said which source they are for.
    """
    for name in given:
        if not _is_of_use(recipe, name, given):
            meant = _FOR.get(name, "sources beside exercises")
            shown = setting(name, False) if name == "filters" else option(name)
            raise InputError(f"{shown} is for {meant}, not for {what}")
    sources = _with_share(recipe, given["share"]) if "share" in given else recipe.sources
    for name, value in given.items():
        if name not in (*_STEPS, *_OF_ALL, "share"):
            sources = _with_value(sources, name, value)
    steps = replace(recipe.steps, **{n: v for n, v in given.items() if n in _STEPS})
    rest = {name: value for name, value in given.items() if name in _OF_ALL}
    return replace(recipe, sources=sources, steps=steps, **rest)


def _is_of_use(recipe: Recipe, name: str, given: Mapping[str, Any]) -> bool:
    kinds = {kind_of(source) for source in recipe.sources}
    if name == "share":
        return all(source.weight is not None for source in recipe.sources) and (
            bool(recipe.exercises) and len(recipe.sources) > 1
        )
    if name == "split_by":
        return "git" in kinds
    if name == "max_file_bytes":
        return bool(kinds.intersection(_OF_FILES))
    if name == "most_error_percent":
        return given.get("syntax", recipe.steps.syntax) == "drop"
    if name == "near_duplicates" and given[name] == "drop" and recipe.exercises:
        # The recipe itself says why not.
        return True
    if name in _STEPS:
        return kinds != {"exercises"}
    return name in _OF_ALL or any(has(source, name) for source in recipe.sources)


def _with_value(sources: tuple[Kind, ...], name: str, value: Any) -> tuple[Kind, ...]:
    found = [source for source in sources if has(source, name)]
    if len(found) > 1:
        raise InputError(
            f"{setting(name, value)}: the recipe has {len(found)} sources with {name}; "
            "change it in the file"
        )
    return tuple(
        replace(source, **{name: value}) if source is found[0] else source for source in sources
    )


def _with_share(recipe: Recipe, share: float) -> tuple[Kind, ...]:
    """The sources with weights of 100 together, of which the exercises have `share`."""
    rest = sum(one.weight or 0 for one in recipe.sources if not isinstance(one, Exercises))
    return tuple(
        replace(
            one,
            weight=share
            if isinstance(one, Exercises)
            else (100 - share) * ((one.weight or 0) / rest),
        )
        for one in recipe.sources
    )
