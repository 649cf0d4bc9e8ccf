"""Functions of one element: one check of a number, a word or a character, or one change of it.

These are the operations that longer exercises are made of, each in a line of its own. A small model
learns from them which words stand for which code before it has to put several together.
"""

from random import Random

from data.exercises.grammar.atoms import CHANGES, PREDICATES, Kind, Predicate
from data.exercises.grammar.common import FREQUENT_PARTS, SHARE
from data.exercises.grammar.scalar import Scalar

_KINDS: dict[Kind, tuple[str, str, tuple[str, ...]]] = {
    "int": ("int", "number", ("n", "x", "number", "value")),
    "word": ("word", "word", ("word", "w", "s", "text")),
    "char": ("char", "character", ("c", "ch", "char", "letter")),
}
"""For each kind of element: its type, its noun, and names of the argument."""
_EACH = "each "


def _singles(kind: Kind) -> dict[str, Scalar]:
    made, noun, names = _KINDS[kind]
    family = f"one {noun}"
    found = dict[str, Scalar]()
    for predicate in PREDICATES[kind]:
        said = (f"whether the {noun} {predicate.singular}", f"whether {{a}} {predicate.singular}")
        found[predicate.key] = Scalar(
            _key(predicate, noun), family, 1, (made,), (names,), "bool", said,
            tuple(_returned(code) for code in predicate.codes),
        )  # fmt: skip
    for change in CHANGES[kind]:
        if change.noun.startswith(_EACH):
            says = (f"the {noun} {change.noun[len(_EACH) :]}",)
            found[change.key] = Scalar(
                f"{noun} {change.key}", family, 1, (made,), (names,),
                "int" if change.kind == "int" else "str", says,
                tuple(_returned(code) for code in change.codes),
            )  # fmt: skip
    return found


def _key(predicate: Predicate, noun: str) -> str:
    """The key of a question, from which the function's name is made: "is upper character"."""
    is_one = predicate.clause.startswith("are ") and predicate.key.isalpha()
    return f"is {predicate.key} {noun}" if is_one else f"{noun} {predicate.key}"


def _returned(code: str) -> str:
    return f"return {code.replace('{x}', '{a}')}"


_BY_KIND: dict[Kind, dict[str, Scalar]] = {kind: _singles(kind) for kind in _KINDS}
_DRAWN: tuple[Kind, ...] = ("int",) * 5 + ("word",) * 3 + ("char",) * 2
SINGLES = tuple(scalar for scalars in _BY_KIND.values() for scalar in scalars.values())


def draw_single(rng: Random) -> Scalar:
    """A random one, mostly of a frequent operation."""
    kind = rng.choice(_DRAWN)
    known = _BY_KIND[kind]
    if rng.random() > SHARE:
        return rng.choice(list(known.values()))
    while True:
        parts = FREQUENT_PARTS.predicates if rng.random() < 0.6 else FREQUENT_PARTS.changes
        key = parts[kind].draw(rng).key
        if key in known:
            return known[key]
