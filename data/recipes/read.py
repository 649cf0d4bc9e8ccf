"""Read a recipe from a file: TOML, every key of which is known, with a value of its type.

    max_file_bytes = 1000000

    [[sources]]
    kind = "git"
    git = "../clone"
    weight = 3

    [steps]
    syntax = "drop"

Keys have the names of options.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

from bytelm.toolkit import InputError, check_options, of_file, suggestion
from data.recipes.recipe import KINDS, Kind, Recipe
from data.steps.judge import Choices

HERE = Path(__file__).parent
NAMES = ("stdlib", "exercises", "mix", "packages")
"""The recipes that are shipped."""

# What a recipe says of itself in other ways.
_NOT_KEYS = ("name", "file")
_TABLES = ("sources", "steps")
_T = TypeVar("_T")
# A float holds every integer up to here.
_EXACT = 2**53


def find_recipe(asked: str) -> Recipe:
    """The recipe of a name, or of a file that ends in .toml.

    Raises InputError that names the file, the key, and what is allowed.
    """
    if asked in NAMES:
        return read_recipe(HERE / f"{asked}.toml", shipped=True)
    if not asked.endswith(".toml"):
        raise InputError(
            f"there is no recipe {asked!r}{suggestion(asked, NAMES)}; known: {', '.join(NAMES)}; "
            "or give a file that ends in .toml"
        )
    return read_recipe(Path(asked))


def read_recipe(path: Path, shipped: bool = False) -> Recipe:
    """The recipe in a file. Paths in it begin at the file's folder. Raises InputError."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"recipe {path}: {error.strerror}; give a file of TOML") from error
    except UnicodeDecodeError as error:
        raise InputError(f"recipe {path} is not UTF-8; give a file of TOML") from error
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        raise InputError(f"recipe {path} is no TOML: {error}") from error
    with of_file(f"recipe {path}"):
        listed = table.get("sources")
        if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
            raise InputError("sources must be tables, each after a line [[sources]]")
        sources = tuple(_source(one, at, path.parent) for at, one in enumerate(listed, 1))
        steps = table.get("steps", {})
        if not isinstance(steps, dict):
            raise InputError("steps must be a table, after a line [steps]")
        with of_file("[steps]"):
            choices = _made(Choices, steps, path.parent, [one.name for one in fields(Choices)])
        allowed = [one.name for one in fields(Recipe) if one.name not in _NOT_KEYS]
        values = {name: value for name, value in table.items() if name not in _TABLES}
        more = {"sources": sources, "steps": choices, "name": path.stem}
        return _made(Recipe, values, path.parent, allowed, **more, file=None if shipped else path)


def _source(table: Mapping[str, Any], at: int, folder: Path) -> Kind:
    kind = table.get("kind")
    with of_file(f"source {at}"):
        if not isinstance(kind, str) or kind not in KINDS:
            what = "kind is missing" if kind is None else f"there is no kind {kind!r}"
            raise InputError(f"{what}; allowed: {', '.join(KINDS)}")
    with of_file(place(at, kind)):
        values = {name: value for name, value in table.items() if name != "kind"}
        allowed = ["kind", *(one.name for one in fields(KINDS[kind]))]
        made: Kind = _made(KINDS[kind], values, folder, allowed)
        return made


def place(at: int, kind: str) -> str:
    """How errors name a source of a recipe: its place, from 1, and its kind."""
    return f"source {at} ({kind})"


def _made(
    kind: type[_T],
    values: Mapping[str, Any],
    folder: Path,
    allowed: Sequence[str],
    **more: Any,
) -> _T:
    """The dataclass of a table's values."""
    known = {one.name: one for one in fields(kind)}  # type: ignore[arg-type]
    hints = get_type_hints(kind)
    taken: dict[str, Any] = dict(more)
    for name, value in values.items():
        if name not in allowed:
            raise InputError(
                f"there is no key {name!r}{suggestion(name, allowed)}; allowed: "
                f"{', '.join(allowed)}"
            )
        taken[name] = _value(name, value, hints[name], folder)
    for name, one in known.items():
        if name not in taken and one.default is one.default_factory is MISSING:
            raise InputError(f"the key {name!r} is missing")
    made = kind(**taken)
    check_options(made)
    return made


def _value(name: str, value: Any, hint: Any, folder: Path) -> Any:
    """A value as the dataclass holds it: a list as a tuple, a place as a path, 10 as 10.0."""
    if hint is Path or Path in get_args(hint):
        if not isinstance(value, str) or not value or "\0" in value:
            raise InputError(f"{name} must be a text, the path of a file or folder")
        return folder / value
    if float in (hint, *get_args(hint)) and type(value) is int and abs(value) <= _EXACT:
        # The manifest writes 10 and 10.0 apart.
        return float(value)
    return tuple(value) if isinstance(value, list) else value
