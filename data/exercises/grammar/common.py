"""Which parts of the grammar are frequent, as some operations are in code that people write.

Most exercises are made of these parts alone. All other parts of the grammar are seen less often, so
that a small model learns the frequent ones within minutes, and a large one learns all of them.
"""

from random import Random
from typing import TypeVar

from data.exercises.grammar.atoms import CHANGES, PREDICATES, Change, Kind, Predicate
from data.exercises.grammar.ends import ENDS, End
from data.exercises.grammar.sources import SOURCES, Source
from data.exercises.grammar.steps import STEPS, Step

Part = TypeVar("Part", Predicate, Change)

SHARE = 0.9
"""The share of meanings that are made of frequent parts alone."""

# What is there several times is drawn so much more often.
_SOURCES = ("numbers",) * 4 + ("words",) * 2 + ("text",) * 2
_PREDICATES: dict[Kind, tuple[str, ...]] = {
    "int": (
        *("even", "odd", "positive", "negative") * 4,
        *(f"over {c}" for c in range(1, 11)), *(f"under {c}" for c in range(1, 11)),
        *(f"by {c}" for c in range(3, 8)),
    ),
    "word": ("longer 3", "longer 4", "shorter 4", "shorter 5", "starts a", "starts s", "ends e",
             "ends n", "has a", "has o"),
    "char": ("vowel", "no vowel", "letter", "digit", "upper", "lower", "no space"),
}  # fmt: skip
_CHANGES: dict[Kind, tuple[str, ...]] = {
    "int": (
        *("square", "double", "negate", "abs") * 4,
        *(f"times {c}" for c in range(3, 11)), *(f"plus {c}" for c in range(1, 11)),
        *(f"minus {c}" for c in range(1, 11)),
    ),
    "word": ("length", "upper", "reverse", "initial", "final"),
    "char": ("upper", "lower", "repeat 2"),
}  # fmt: skip
_STEPS = ("ascending", "descending", "reverse", "take 2", "take 3", "drop 1")
_ENDS = (
    "sum", "count", "max or None", "min or None", "first", "last", "longest", "join",
    "join spaces", "set",
)  # fmt: skip
_TESTED = ("all", "any")


class Parts:
    """The parts of meanings, by the kind of the elements. `families` of ends are drawn first."""

    def __init__(
        self,
        sources: list[list[Source]],
        predicates: dict[Kind, tuple[Predicate, ...]],
        changes: dict[Kind, tuple[Change, ...]],
        steps: list[Step],
        ends: list[End],
    ) -> None:
        self._sources, self.predicates, self.changes = sources, predicates, changes
        self.steps = {kind: [step for step in steps if kind in step.kinds] for kind in PREDICATES}
        self._ends = {kind: _by_family(kind, ends) for kind in PREDICATES}

    def source(self, rng: Random) -> Source:
        return rng.choice(rng.choice(self._sources))

    def end(self, kind: Kind, rng: Random) -> End:
        # Checks of elements are many, as predicates are: an end's family is drawn first.
        return rng.choice(rng.choice(self._ends[kind]))


def _by_family(kind: Kind, ends: list[End]) -> list[list[End]]:
    fitting = [end for end in ends if kind in end.kinds and end.key != "list"]
    families = dict.fromkeys(end.family for end in fitting)
    return [[end for end in fitting if end.family == family] for family in families]


def _all_parts() -> Parts:
    families = dict.fromkeys(source.family for source in SOURCES.values())
    sources = [
        [source for source in SOURCES.values() if source.family == family] for family in families
    ]
    return Parts(sources, PREDICATES, CHANGES, list(STEPS.values()), list(ENDS.values()))


def _frequent_parts() -> Parts:
    sources = [[SOURCES[key] for key in _SOURCES]]
    predicates = {kind: _chosen(PREDICATES[kind], _PREDICATES[kind]) for kind in PREDICATES}
    changes = {kind: _chosen(CHANGES[kind], _CHANGES[kind]) for kind in CHANGES}
    tested = {
        f"{kind}: {test} {key}" for kind in _PREDICATES for key in _PREDICATES[kind]
        for test in _TESTED
    }  # fmt: skip
    ends = [end for end in ENDS.values() if end.key in tested or end.key in _ENDS]
    return Parts(sources, predicates, changes, [STEPS[key] for key in _STEPS], ends)


def _chosen(parts: tuple[Part, ...], keys: tuple[str, ...]) -> tuple[Part, ...]:
    known = {part.key: part for part in parts}
    return tuple(known[key] for key in keys)


ALL_PARTS = _all_parts()
FREQUENT_PARTS = _frequent_parts()
