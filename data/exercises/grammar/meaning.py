"""A meaning: what a function computes, whatever its name, its words and its code."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import pairwise
from random import Random
from typing import Any

from data.exercises.grammar.atoms import CHANGES, PREDICATES, Change, Kind, Predicate
from data.exercises.grammar.common import ALL_PARTS, FREQUENT_PARTS, SHARE
from data.exercises.grammar.ends import ENDS, End
from data.exercises.grammar.sources import SOURCES, Source
from data.exercises.grammar.steps import STEPS, Step
from data.exercises.grammar.values import HINTS, MAKERS

Operation = Predicate | Change
LEVELS = (1, 2, 3, 4, 5)
HELD_OUT_PERCENT = 20.0
"""Never an option: the suite's problems must be held out of every training text."""
BARE_SHARE = 0.15
"""The share of level 1 that has an end alone, as "the sum of the numbers" has."""
MOST_KNOWN = 20_000
"""Meanings whose results are kept at a time, which bounds the memory."""
PROBES = 12
"""Arguments on which a meaning is run to see what it does."""
FIRST_PROBES = 4


def show(value: Any) -> str:
    """The value as Python writes it, with the elements of sets in order."""
    if isinstance(value, set):
        return "{" + ", ".join(sorted(map(repr, value))) + "}" if value else "set()"
    return repr(value)


def outcome(function: Callable[..., Any], arguments: Sequence[Any]) -> str:
    """What a call returns, as text, or the name of the exception that it raises."""
    try:
        value = function(*arguments)
        return show(value) if type(value) is set else repr(value)
    except Exception as error:
        return type(error).__name__


@cache
def probes(types: tuple[str, ...]) -> tuple[tuple[Any, ...], ...]:
    """The arguments that every meaning with arguments of these types is run on."""
    rng = Random(f"probes of {types}")
    return tuple(tuple(MAKERS[name](rng) for name in types) for _ in range(PROBES))


# The kinds of values that stand for a Python type where functions are compared. Only small numbers:
# some functions count up to their argument.
_COMPARED = {"str": ("str", "sentence", "lines", "listed", "word"), "int": ("natural", "int")}


@cache
def _compared(hints: tuple[str, ...]) -> tuple[tuple[Any, ...], ...]:
    """The arguments on which functions of these Python types are compared."""
    rng = Random(f"arguments of {hints}")
    kinds = [_COMPARED.get(hint, (hint,)) for hint in hints]
    return tuple(tuple(MAKERS[rng.choice(names)](rng) for names in kinds) for _ in range(PROBES))


def behaviour(function: Callable[..., Any], types: tuple[str, ...]) -> str:
    """What a function does, as text: equal functions of equal Python types have the same."""
    hints = tuple(HINTS.get(name, name) for name in types)
    found = [outcome(function, arguments) for arguments in _compared(hints)]
    return "\n".join([*hints, *found])


@dataclass(frozen=True)
class Meaning:
    """Elements of `source`, operations on each of them, steps over all of them, and an end."""

    source: Source
    operations: tuple[Operation, ...]
    steps: tuple[Step, ...]
    end: End

    @cached_property
    def key(self) -> str:
        """Its parts by name: no two meanings have the same."""
        # Some questions and changes have one name: "upper" keeps capitals, or makes them.
        done = [("to " if isinstance(p, Change) else "") + p.key for p in self.operations]
        return " | ".join([self.source.key, *done, *(p.key for p in self.steps), self.end.key])

    @property
    def family(self) -> str:
        return f"{self.source.family}: {self.end.family}"

    @property
    def kind(self) -> Kind:
        """What the elements are after all operations."""
        changed = [part.kind for part in self.operations if isinstance(part, Change)]
        return changed[-1] if changed else self.source.kind

    @property
    def level(self) -> int:
        """The number of operations and steps between the source and the end, 1 to 5."""
        return min(max(len(self.operations) + len(self.steps), 1), LEVELS[-1])

    @property
    def types(self) -> tuple[str, ...]:
        return self.source.types

    @cached_property
    def _chain(self) -> tuple[tuple[Any, Callable[[Any], Any]], ...]:
        """`filter` or `map`, and its function, for each operation."""
        return tuple(
            (filter, part.holds) if isinstance(part, Predicate) else (map, part.apply)
            for part in self.operations
        )

    def compute(self, *arguments: Any) -> Any:
        """The result by the meaning's parts alone, without any code that was written for it."""
        return self.end.apply(self._elements(*arguments))

    def _elements(self, *arguments: Any) -> list[Any]:
        """What the end is given."""
        found = self.source.elements(*arguments)
        for each, function in self._chain:
            found = list(each(function, found))
        for step in self.steps:
            found = step.apply(found)
        return found

    @cached_property
    def _first_results(self) -> tuple[str, ...]:
        return self._outcomes(probes(self.types)[:FIRST_PROBES])

    @cached_property
    def results(self) -> tuple[str, ...]:
        """The outcomes on the probes."""
        return (*self._first_results, *self._outcomes(probes(self.types)[FIRST_PROBES:]))

    def _outcomes(self, calls: Sequence[tuple[Any, ...]]) -> tuple[str, ...]:
        return tuple(outcome(self.compute, arguments) for arguments in calls)

    @cached_property
    def behaviour(self) -> str:
        return behaviour(self.compute, self.types)

    @cached_property
    def split(self) -> str:
        """`train` or `held_out`, by what the meaning does.

        Two meanings that do the same are in the same split, whatever their parts are.
        """
        return split_by(self.behaviour)

    @cached_property
    def parts_matter(self) -> bool:
        """Whether the meaning does something on most inputs, and each of its parts changes it."""
        # A few probes show most of those that do nothing.
        first = self._first_results
        if self.end.hint != "bool" and len(set(first)) < 2:
            return False
        asked = probes(self.types)
        if all(result == repr(probe[0]) for probe, result in zip(asked, first, strict=False)):
            return False
        if len(set(self.results)) < (2 if self.end.hint == "bool" else PROBES // 3):
            return False
        if self.end.family == "test" and not self._has_two_answers():
            return False
        return all(self._differs(other) for other in self._with_a_part_less())

    def _has_two_answers(self) -> bool:
        """Whether a question has both answers where there is something that it is about.

        Whether all digits are vowels has only one.
        """
        found = zip(probes(self.types), self.results, strict=True)
        return len({result for probe, result in found if self._elements(*probe)}) > 1

    def _differs(self, other: "Meaning") -> bool:
        # Most differ on the first probe.
        return any(
            outcome(other.compute, probe) != result
            for probe, result in zip(probes(self.types), self.results, strict=True)
        )

    def _with_a_part_less(self) -> "list[Meaning]":
        kinds = [self.source.kind]
        for part in self.operations:
            kinds.append(part.kind if isinstance(part, Change) else kinds[-1])
        found = [
            Meaning(
                self.source, (*self.operations[:at], *self.operations[at + 1 :]), self.steps,
                self.end,
            )
            for at in range(len(self.operations))
            if kinds[at] == kinds[at + 1]
        ]  # fmt: skip
        found += [
            Meaning(
                self.source, self.operations, (*self.steps[:at], *self.steps[at + 1 :]), self.end
            )
            for at in range(len(self.steps))
        ]
        return found


def split_by(text: str) -> str:
    """`train` or `held_out`, by a hash of the text."""
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    share = int.from_bytes(digest[:8], "big") / 2**64
    return "held_out" if 100 * share < HELD_OUT_PERCENT else "train"


def named(source: str, parts: Sequence[str], steps: Sequence[str], end: str) -> Meaning:
    """The meaning of a source, operations, steps and an end, by their keys.

    Raises KeyError for a key that is not known.
    """
    kind, found = SOURCES[source].kind, list[Operation]()
    for key in parts:
        known: tuple[Operation, ...] = (*PREDICATES[kind], *CHANGES[kind])
        found.append({part.key: part for part in known}[key])
        kind = getattr(found[-1], "kind", kind)
    return Meaning(SOURCES[source], tuple(found), tuple(STEPS[key] for key in steps), ENDS[end])


def draw(rng: Random, level: int) -> Meaning:
    """A random meaning of a level, whose parts all matter."""
    while True:
        meaning = _attempt(rng, level)
        if meaning is not None and _known(meaning).parts_matter:
            return _known(meaning)


_KNOWN: dict[str, Meaning] = {}


def _known(meaning: Meaning) -> Meaning:
    """The same meaning as it was drawn before, with what it is known to compute."""
    if len(_KNOWN) >= MOST_KNOWN:
        _KNOWN.clear()
    return _KNOWN.setdefault(meaning.key, meaning)


def _attempt(rng: Random, level: int) -> Meaning | None:
    parts = FREQUENT_PARTS if rng.random() < SHARE else ALL_PARTS
    source = parts.sources.draw(rng)
    as_list = rng.random() < 0.35
    wanted = 0 if level == 1 and not as_list and rng.random() < BARE_SHARE else level
    steps = sum(rng.random() < parts.step_share for _ in range(wanted))
    kind, operations = source.kind, list[Operation]()
    for _ in range(wanted - steps):
        part: Operation = (
            parts.predicates[kind].draw(rng)
            if rng.random() < 0.55
            else parts.changes[kind].draw(rng)
        )
        if part in operations or (operations and _alike(part, operations[-1])):
            return None
        operations.append(part)
        if isinstance(part, Change):
            if part.key == "text" and len(operations) < wanted - steps:
                return None
            kind = part.kind
    drawn = [rng.choice(parts.steps[kind]) for _ in range(steps)]
    chosen = tuple(dict.fromkeys(drawn))
    if len(chosen) < steps:
        return None
    if parts is FREQUENT_PARTS and level <= 2 and nested(operations, chosen):
        return None
    end = ENDS["list"] if as_list else parts.ends[kind].draw(rng)
    if _is_odd(source, operations, chosen, end):
        return None
    return Meaning(source, tuple(operations), chosen, end)


def _is_odd(
    source: Source, operations: Sequence[Operation], steps: Sequence[Step], end: End
) -> bool:
    """Whether nobody would ask for it: the largest of sorted numbers, neighbours in a range."""
    families = [step.family for step in steps]
    if source.family == "ranges" and not operations and "window" in families:
        return True
    if any(one == "sort" and other in ("sort", "reverse") for one, other in pairwise(families)):
        return True
    if end.key == "count" and not steps and operations and isinstance(operations[-1], Change):
        return True
    return "sort" in families and end.key.partition(" ")[0] in ("max", "min", "first", "last")


def nested(operations: Sequence[Operation], steps: Sequence[Step]) -> bool:
    """Whether something follows a change, so that one phrase cannot say all that is done."""
    changed = [isinstance(part, Change) for part in operations]
    return any(changed[:-1]) or bool(steps and any(changed))


def _alike(one: Operation, other: Operation) -> bool:
    """Whether two operations in a row would be done in one: to add 10 and to subtract 3."""
    same = {"minus": "plus", "head": "tail"}
    first, second = (part.key.partition(" ")[0] for part in (one, other))
    return type(one) is type(other) and same.get(first, first) == same.get(second, second)


def count(level: int) -> int:
    """How many meanings of a level the grammar has, before those are left out that do the same."""
    return sum(
        _chains(source.kind, level, True)
        + _chains(source.kind, level, False)
        + (_chains(source.kind, 0, False) if level == 1 else 0)
        for source in SOURCES.values()
    )


def _chains(kind: Kind, parts: int, as_list: bool) -> int:
    """The chains of `parts` operations and steps from elements of a kind, with all their ends."""

    ends = {
        kind: sum(kind in end.kinds and end.key != "list" for end in ENDS.values())
        for kind in PREDICATES
    }

    @cache
    def operated(kind: Kind, left: int) -> int:
        total = stepped(kind, left)
        if left:
            total += len(PREDICATES[kind]) * operated(kind, left - 1)
            total += sum(operated(change.kind, left - 1) for change in CHANGES[kind])
        return total

    @cache
    def stepped(kind: Kind, left: int) -> int:
        if left == 0:
            return 1 if as_list else ends[kind]
        return sum(kind in step.kinds for step in STEPS.values()) * stepped(kind, left - 1)

    return operated(kind, parts)
