"""Options as fields of dataclasses: what values they take is said once, at the field.

    @dataclass(frozen=True)
    class Options:
        decay: Annotated[float, Range(0, 1)] = 0.4
        rule: Literal["argmax", "sampled"] = "argmax"

        def __post_init__(self) -> None:
            check_options(self, "train.")

The command line shows the range in its help; Python and preset files meet the same check.
"""

import functools
import math
import types
from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from bytelm.base.errors import InputError, option


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both among them unless `above` or `below` says otherwise."""

    low: float = -math.inf
    high: float = math.inf
    above: bool = False
    """`low` itself is not in the range."""
    below: bool = False
    """`high` itself is not in the range."""
    infinite: bool = False
    """Infinity may be given."""

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
    """The range in the metadata of a type, or of a part of it (`X | None`, `tuple[X, ...]`)."""
    if get_origin(annotation) is Annotated:
        for entry in annotation.__metadata__:
            if isinstance(entry, Range):
                return entry
    found = (range_of(part) for part in get_args(annotation) if part is not annotation)
    return next((part for part in found if part is not None), None)


def check_options(options: Any, prefix: str = "") -> None:
    """Raise InputError unless each field of the dataclass `options` has a value of its type.

    `prefix` stands before the fields' names in errors: "model.". Types other than numbers, texts,
    choices, and tuples of them are not looked at.
    """
    kind: Any = type(options)
    hints = _hints(kind)
    for field in fields(options):
        value = getattr(options, field.name)
        why = _why_not(value, hints[field.name])
        if why:
            shown = f"{value!r}" if isinstance(value, str | tuple | list) else f"{value}"
            raise InputError(f"{option(prefix + field.name)} must be {why}, not {shown}")


def _why_not(value: Any, annotation: Any, limits: Range | None = None) -> str:
    """What a value of this type must be; empty if `value` is it."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _why_not(value, parts[0], range_of(annotation) or limits)
    if origin in (Union, types.UnionType):
        whys = [_why_not(value, part, limits) for part in parts if part is not type(None)]
        return "" if value is None or not all(whys) else whys[0]
    if origin is tuple and parts[-1] is Ellipsis:
        if not isinstance(value, tuple):
            return "a list"
        return next(
            (f"{why} each" for why in (_why_not(v, parts[0], limits) for v in value) if why), ""
        )
    if origin is Literal:
        return "" if value in parts else f"one of {', '.join(map(str, parts))}"
    if annotation in (int, float):
        return _why_no_number(value, annotation, limits)
    if annotation in _WORDS:
        return "" if isinstance(value, annotation) else _WORDS[annotation]
    return ""


_WORDS: dict[Any, str] = {bool: "true or false", str: "a text", bytes: "bytes"}


def _why_no_number(value: Any, kind: type, limits: Range | None) -> str:
    if isinstance(value, bool) or not isinstance(value, int if kind is int else int | float):
        return "a whole number" if kind is int else "a number"
    limits = limits or Range(infinite=True)
    if value in limits:
        return ""
    endless = isinstance(value, float) and not math.isfinite(value)
    return f"a finite number, {limits}" if endless else str(limits)
