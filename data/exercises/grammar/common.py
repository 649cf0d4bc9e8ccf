"""Which parts of the grammar are frequent, as some operations are in code that people write.

Most exercises are made of these parts alone, and a few of them make up most of the text. So a small
model meets each of them often enough to learn it within minutes. A large model has time for all
other parts of the grammar too.
"""

from bisect import bisect
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import accumulate
from random import Random
from typing import Generic, TypeVar

from data.exercises.grammar.atoms import CHANGES, PREDICATES, Change, Kind, Predicate
from data.exercises.grammar.ends import ENDS, End
from data.exercises.grammar.sources import SOURCES, Source
from data.exercises.grammar.steps import STEPS, Step

Part = TypeVar("Part")
Weights = dict[str, float]

SHARE = 0.97
"""The share of meanings that are made of frequent parts alone."""

_NUMBERS = (2, 3, 5, 10, 4, 7, 1, 6, 8, 20, 9, 12, 15, 11, 18, 13, 14, 16, 17, 19)
_LETTERS = "aestbdoinrcmpulhwyg"
"""Constants, the frequent ones first."""


def _ranked(
    name: str, constants: Sequence[int | str], weight: float
) -> Iterator[tuple[str, float]]:
    """Operations with a constant, whose weights sum to `weight` and fall with the rank."""
    falls = [1 / (1 + rank) ** 1.5 for rank in range(len(constants))]
    for constant, fall in zip(constants, falls, strict=True):
        yield f"{name} {constant}", weight * fall / sum(falls)


_SOURCES: Weights = {"numbers": 5, "words": 3, "text": 2}
_PREDICATES: dict[Kind, Weights] = {
    "int": {
        "even": 4, "odd": 4, "positive": 4, "negative": 4,
        **dict(_ranked("over", _NUMBERS, 6)), **dict(_ranked("under", _NUMBERS, 6)),
        **dict(_ranked("divisible by", (3, 5, 4, 7, 6, 9, 8), 5)),
    },
    "word": {
        **dict(_ranked("longer", range(3, 9), 5)), **dict(_ranked("shorter", range(4, 9), 3)),
        **dict(_ranked("starts", _LETTERS, 5)), **dict(_ranked("ends", _LETTERS, 4)),
        **dict(_ranked("has", _LETTERS, 4)),
    },
    "char": {
        "vowel": 4, "no vowel": 1, "letter": 3, "digit": 3, "upper": 3, "lower": 3, "no space": 1,
        **dict(_ranked("is", _LETTERS[:-3], 3)),
    },
}  # fmt: skip
_CHANGES: dict[Kind, Weights] = {
    "int": {
        "square": 4, "double": 4, "negate": 3, "abs": 3, "cube": 1,
        **dict(_ranked("times", (3, 10, 4, 5, 7, 6, 8, 9, 12, 11), 5)),
        **dict(_ranked("plus", _NUMBERS[:16], 5)), **dict(_ranked("minus", _NUMBERS[:16], 4)),
    },
    "word": {"length": 4, "upper": 4, "reverse": 3, "initial": 3, "final": 1, "capital": 1},
    "char": {"upper": 3, "lower": 3, "repeat 2": 2},
}  # fmt: skip
_STEPS: Weights = {
    "ascending": 3, "descending": 3, "alphabetical": 3, "reverse alphabetical": 3, "reverse": 2,
    "take 2": 1, "take 3": 1, "drop 1": 1,
}  # fmt: skip
_ENDS: Weights = {
    "sum": 4, "count": 4, "max or None": 2, "min or None": 2, "first": 1, "last": 1, "longest": 2,
    "join": 2, "join spaces": 1, "set": 2,
}  # fmt: skip
_TESTED: Weights = {"all": 1, "any": 1}


class Weighted(Generic[Part]):
    """Parts that are drawn by their weights."""

    def __init__(self, parts: Sequence[Part], weights: Sequence[float]) -> None:
        self.parts, self._sums = parts, list(accumulate(weights))
        self._last = len(parts) - 1

    def draw(self, rng: Random) -> Part:
        """As `rng.choices` draws one, at a third of the time."""
        return self.parts[bisect(self._sums, rng.random() * self._sums[-1], 0, self._last)]


class Parts:
    """The parts of meanings, by the kind of the elements, and how often each is drawn."""

    def __init__(
        self,
        sources: Weighted[Source],
        predicates: dict[Kind, Weighted[Predicate]],
        changes: dict[Kind, Weighted[Change]],
        steps: list[Step],
        ends: dict[Kind, Weighted[End]],
        step_share: float,
    ) -> None:
        self.sources, self.predicates, self.changes, self.ends = sources, predicates, changes, ends
        self.steps = {kind: [step for step in steps if kind in step.kinds] for kind in PREDICATES}
        self.step_share = step_share


def _by_family(parts: Sequence[Part], families: Sequence[str]) -> Weighted[Part]:
    """Each family of parts as often as each other one, and within it each part.

    Checks of elements are many, as predicates are, and would be most of the ends otherwise.
    """
    sizes = Counter(families)
    return Weighted(parts, [1 / sizes[family] for family in families])


def _all_parts() -> Parts:
    sources = list(SOURCES.values())
    ends = dict[Kind, Weighted[End]]()
    for kind in PREDICATES:
        fitting = [end for end in ENDS.values() if kind in end.kinds and end.key != "list"]
        ends[kind] = _by_family(fitting, [end.family for end in fitting])
    return Parts(
        _by_family(sources, [source.family for source in sources]),
        {kind: Weighted(parts, [1] * len(parts)) for kind, parts in PREDICATES.items()},
        {kind: Weighted(parts, [1] * len(parts)) for kind, parts in CHANGES.items()},
        list(STEPS.values()), ends, 0.3,
    )  # fmt: skip


def _chosen(parts: dict[str, Part], weights: Weights) -> Weighted[Part]:
    return Weighted([parts[key] for key in weights], list(weights.values()))


def _frequent_parts() -> Parts:
    ends = dict[Kind, Weighted[End]]()
    for kind, predicates in _PREDICATES.items():
        known = {key: end for key, end in ENDS.items() if kind in end.kinds}
        weights = {key: weight for key, weight in _ENDS.items() if key in known}
        whole = sum(predicates.values())
        for test, often in _TESTED.items():
            for key, weight in predicates.items():
                weights[f"{kind}: {test} {key}"] = often * weight / whole
        ends[kind] = _chosen(known, weights)
    return Parts(
        _chosen(SOURCES, _SOURCES),
        {k: _chosen({p.key: p for p in PREDICATES[k]}, _PREDICATES[k]) for k in PREDICATES},
        {k: _chosen({p.key: p for p in CHANGES[k]}, _CHANGES[k]) for k in CHANGES},
        [STEPS[key] for key, often in _STEPS.items() for _ in range(int(often))], ends, 0.12,
    )  # fmt: skip


ALL_PARTS = _all_parts()
FREQUENT_PARTS = _frequent_parts()
