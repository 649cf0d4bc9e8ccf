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
import sys
import types
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
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
    most: float = math.inf
    """A limit far above all use, included: what lies beyond can only be a slip."""

    def __contains__(self, value: float) -> bool:
        endless = isinstance(value, float) and not math.isfinite(value)
        if endless and not (self.infinite and value == math.inf):
            return False
        if value > self.most:
            return False
        high_enough = value > self.low if self.above else value >= self.low
        return high_enough and (value < self.high if self.below else value <= self.high)

    def __str__(self) -> str:
        most = f", at most {_number(self.most)}" if self.most < math.inf else ""
        return f"{self.bounds()}{most}"

    def why_not(self, value: float) -> str:
        """What a number must be that is not in the range; the bound that it breaks."""
        finite = not isinstance(value, float) or math.isfinite(value)
        if finite and value > self.most:
            return f"at most {_number(self.most)}"
        endless = not finite and self.high == math.inf
        return f"a finite number, {self.bounds()}" if endless else self.bounds()

    def bounds(self) -> str:
        """The range in words, without `most`."""
        low, high = (_number(limit) for limit in (self.low, self.high))
        if self.high == math.inf:
            return f"above {low}" if self.above else f"at least {low}"
        if not self.above and not self.below:
            return f"{low} to {high}"
        low = f"above {low}" if self.above else f"at least {low}"
        return f"{low} and below {high}" if self.below else f"{low} and at most {high}"


def _number(value: float) -> str:
    if isinstance(value, int) and value >= 10**6:
        for base in (2, 10):
            power = round(math.log(value, base))
            if value in (base**power, base**power - 1):
                return f"{base}^{power}" + " - 1" * (value != base**power)
    return str(value)


MOST_HEADS = 32
"""The paper's largest n. Decoding may write this many drafts past the end of a text."""

# Numbers that many commands have in common.
Positive = Annotated[int, Range(1, most=10**6)]
"""How many of something that takes time or memory: prompts, rounds, steps."""
ByteCount = Annotated[int, Range(1, most=2**60)]
"""A size in bytes."""
BatchSize = Annotated[int, Range(1, most=2**20)]
"""Rows that are computed side by side."""
HeadCount = Annotated[int, Range(1, MOST_HEADS)]
"""A number of prediction heads."""
Seed = Annotated[int, Range(0, 2**63 - 1)]
"""A seed of random numbers."""


@dataclass(frozen=True)
class CheckedBy:
    """Annotates a field whose values `check` checks on this machine, when a command is parsed.

    It raises InputError for a wrong one.
    """

    check: Callable[[Any], object]


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

    `prefix` is put before the names in errors: "model.". Checked are numbers, texts, choices and
    tuples of these, and the fields of nested dataclasses.
    """
    kind: Any = type(options)
    hints = _hints(kind)
    for field in fields(options):
        value, hint = getattr(options, field.name), hints[field.name]
        if is_dataclass(value) and not isinstance(value, type):
            check_options(value, prefix)
            continue
        why, wrong = _why_not(value, hint)
        if why:
            raise InputError(f"{option(prefix + field.name)} must be {why}, not {_shown(wrong)}")


def check_here(options: Any) -> None:
    """Call the checks of all fields with CheckedBy, those of nested dataclasses included."""
    kind: Any = type(options)
    for field in fields(options):
        value = getattr(options, field.name)
        if is_dataclass(value) and not isinstance(value, type):
            check_here(value)
        for entry in getattr(_hints(kind)[field.name], "__metadata__", ()):
            if isinstance(entry, CheckedBy):
                entry.check(value)


def _shown(value: object) -> str:
    """A value in an error. Of a number too long to be of use its beginning."""
    try:
        text = repr(value)
    except ValueError:
        # Python refuses to write integers of more than 4300 digits.
        return "a number of thousands of digits"
    return text if len(text) <= 80 else f"{text[:60]}..."


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
        known = any(isinstance(value, type(part)) and value == part for part in parts)
        return "" if known else f"one of {', '.join(map(str, parts))}", value
    if annotation in (int, float):
        return _why_no_number(value, annotation, limits), value
    if isinstance(annotation, type) and is_dataclass(annotation):
        return "" if isinstance(value, annotation) else f"of type {annotation.__name__}", value
    fits = annotation not in _WORDS or isinstance(value, annotation)
    return "" if fits else _WORDS[annotation], value


_WORDS: dict[Any, str] = {bool: "true or false", str: "a text", bytes: "bytes"}


def _why_no_number(value: Any, kind: type, limits: Range | None) -> str:
    if isinstance(value, bool) or not isinstance(value, int if kind is int else int | float):
        return "a whole number" if kind is int else "a number"
    if kind is float and abs(value) > sys.float_info.max and value not in (math.inf, -math.inf):
        return "a number that a float can hold"
    limits = limits or Range(infinite=True)
    return "" if value in limits else limits.why_not(value)
