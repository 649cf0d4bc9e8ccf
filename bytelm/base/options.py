"""Options are fields of dataclasses, and each field declares the values that it takes.

    @dataclass(frozen=True)
    class Options:
        decay: Annotated[float, Range(0, 1)] = 0.4
        rule: Literal["argmax", "sampled"] = "argmax"

        def __post_init__(self) -> None:
            check_options(self, "train.")

The command line shows the range in its help. Python and preset files use the same check.
"""

import difflib
import functools
import math
import types
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from bytelm.base.errors import InputError, option


@dataclass(frozen=True)
class Range:
    """The numbers from `low` to `high`. Both are included, except with `above` or `below`."""

    low: float = -math.inf
    high: float = math.inf
    above: bool = False
    """Exclude `low` itself."""
    below: bool = False
    """Exclude `high` itself."""
    infinite: bool = False
    """Allow infinity."""

    def __contains__(self, value: float) -> bool:
        endless = isinstance(value, float) and not math.isfinite(value)
        if endless and not (self.infinite and value == math.inf):
            return False
        high_enough = value > self.low if self.above else value >= self.low
        return high_enough and (value < self.high if self.below else value <= self.high)

    def __str__(self) -> str:
        low, high = (_number(limit) for limit in (self.low, self.high))
        if self.high == math.inf:
            return f"above {low}" if self.above else f"at least {low}"
        if not self.above and not self.below:
            return f"{low} to {high}"
        low = f"above {low}" if self.above else f"at least {low}"
        return f"{low} and below {high}" if self.below else f"{low} and at most {high}"


def _number(value: float) -> str:
    if isinstance(value, int) and value >= 2**32 and (value + 1).bit_count() == 1:
        return f"2^{value.bit_length()} - 1"
    return str(value)


@functools.cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)


def range_of(annotation: Any) -> Range | None:
    """The Range that annotates a type or a part of it (`X | None`, `tuple[X, ...]`), or None."""
    if get_origin(annotation) is Annotated:
        for entry in annotation.__metadata__:
            if isinstance(entry, Range):
                return entry
    found = (range_of(part) for part in get_args(annotation) if part is not annotation)
    return next((part for part in found if part is not None), None)


def kind_of(annotation: Any) -> str | None:
    """The numbers that a type holds, in words, or None if it holds no numbers."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return kind_of(parts[0])
    if origin is tuple:
        one = kind_of(parts[0])
        return one and f"{one.removeprefix('a ')}s"
    if origin in (Union, types.UnionType):
        return next((kind for kind in map(kind_of, parts) if kind), None)
    return {int: "a whole number", float: "a number"}.get(annotation)


def suggestion(name: str, known: Iterable[str]) -> str:
    """The text "; did you mean ...?", or an empty text if no known name is similar."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def check_names(values: Mapping[str, object], kind: type, prefix: str = "") -> None:
    """Raise InputError if `values` has a name that is no field of `kind`, or lacks a required one.

    `kind` is a dataclass. `prefix` is put before the names in errors: "model.".
    """
    known = {field.name: field for field in fields(kind)}
    for name in values:
        if name not in known:
            like = suggestion(option(prefix + name), (option(prefix + other) for other in known))
            raise InputError(f"there is no option {option(prefix + name)}{like}")
    for name, field in known.items():
        if name not in values and field.default is field.default_factory is MISSING:
            raise InputError(f"the option {option(prefix + name)} is missing")


def check_options(options: Any, prefix: str = "") -> None:
    """Raise InputError unless each field of the dataclass `options` has a value of its type.

    `prefix` is put before the names in errors: "model.". Only numbers, texts, choices and tuples of
    these are checked.
    """
    kind: Any = type(options)
    hints = _hints(kind)
    for field in fields(options):
        why, value = _why_not(getattr(options, field.name), hints[field.name])
        if why:
            shown = f"{value!r}" if isinstance(value, str | tuple | list) else f"{value}"
            raise InputError(f"{option(prefix + field.name)} must be {why}, not {shown}")


def _why_not(value: Any, annotation: Any, limits: Range | None = None) -> tuple[str, Any]:
    """What a value of this type must be, and the part of `value` that is not that.

    The text is empty if `value` has the type.
    """
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _why_not(value, parts[0], range_of(annotation) or limits)
    if origin in (Union, types.UnionType):
        whys = [_why_not(value, part, limits) for part in parts if part is not type(None)]
        return ("", value) if value is None or not all(why for why, _ in whys) else whys[0]
    if origin is tuple and parts[-1] is Ellipsis:
        if not isinstance(value, tuple):
            return "a list", value
        each = (_why_not(entry, parts[0], limits) for entry in value)
        return next((found for found in each if found[0]), ("", value))
    if origin is Literal:
        return "" if value in parts else f"one of {', '.join(map(str, parts))}", value
    if annotation in (int, float):
        return _why_no_number(value, annotation, limits), value
    fits = annotation not in _WORDS or isinstance(value, annotation)
    return "" if fits else _WORDS[annotation], value


_WORDS: dict[Any, str] = {bool: "true or false", str: "a text", bytes: "bytes"}


def _why_no_number(value: Any, kind: type, limits: Range | None) -> str:
    if isinstance(value, bool) or not isinstance(value, int if kind is int else int | float):
        return "a whole number" if kind is int else "a number"
    limits = limits or Range(infinite=True)
    if value in limits:
        return ""
    endless = isinstance(value, float) and not math.isfinite(value) and limits.high == math.inf
    return f"a finite number, {limits}" if endless else str(limits)
