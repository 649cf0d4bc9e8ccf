"""Where a meaning's elements come from: the function's arguments, and the loops over them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from data.exercises.grammar.atoms import Kind


@dataclass(frozen=True)
class Source:
    """Elements of `kind` that loops over the arguments give.

    `types` and `names`: of each argument, the type of its values and what it may be called.
    `loops`: for-clauses, in which `{a}` and `{b}` are the arguments and `{x}` is the element.
    `element`: the element as an expression. `conditions`: what elements must meet before all else.
    `noun`: what the elements are, in the plural; `where` follows it, in wordings that `|` parts.
    """

    key: str
    family: str
    types: tuple[str, ...]
    names: tuple[tuple[str, ...], ...]
    kind: Kind
    noun: str
    where: str
    loops: tuple[str, ...]
    element: str = "{x}"
    conditions: tuple[str, ...] = ()
    singles: tuple[str, ...] = ("x", "item")
    elements: Callable[..., list[Any]] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        clauses = " ".join([*self.loops, *(f"if {condition}" for condition in self.conditions)])
        places = {"a": "a", "b": "b", "x": "x"}
        made = f"[{self.element} {clauses}]".format(**places)
        arguments = ", ".join("ab"[: len(self.types)])
        object.__setattr__(self, "elements", eval(f"lambda {arguments}: {made}"))


NUMBERS = ("numbers", "nums", "values", "xs", "items", "data", "lst", "arr")
N = ("n", "x", "number", "num", "value", "v", "k")
WORDS = ("words", "strings", "names", "items", "tokens", "lst")
W = ("word", "w", "s", "item", "name")
TEXT = ("text", "s", "string", "line", "message")
C = ("c", "ch", "char", "letter")
PEOPLE = ("people", "users", "members", "records")


def _plain() -> Iterator[Source]:
    yield Source("numbers", "numbers", ("list[int]",), (NUMBERS,), "int", "numbers",
                 "in the list|in {a}", ("for {x} in {a}",), singles=N)  # fmt: skip
    yield Source("words", "words", ("list[str]",), (WORDS,), "word", "words",
                 "in the list|in {a}", ("for {x} in {a}",), singles=W)  # fmt: skip
    yield Source("text", "text", ("str",), (TEXT,), "char", "characters", "of the text|of {a}",
                 ("for {x} in {a}",), singles=C)  # fmt: skip
    yield Source("sentence", "text", ("sentence",), (("sentence", "text", "phrase", "s"),), "word",
                 "words", "of the sentence", ("for {x} in {a}.split()",), singles=W)  # fmt: skip
    yield Source("lines", "text", ("lines",), (("text", "lines", "content"),), "word", "lines",
                 "of the text", ("for {x} in {a}.splitlines()",),
                 singles=("line", "row", "s"))  # fmt: skip
    yield Source("listed", "parsing", ("listed",), (("text", "line", "s"),), "int", "numbers",
                 "in the comma-separated text", ("for {x} in {a}.split(',')",), "int({x})",
                 singles=("part", "piece", "p"))  # fmt: skip


def _ranges() -> Iterator[Source]:
    limits = (("n", "limit", "stop", "m"),)
    yield Source("to n", "ranges", ("natural",), limits, "int", "numbers", "from 1 to {a}",
                 ("for {x} in range(1, {a} + 1)",), singles=("i", "k", "number"))  # fmt: skip
    yield Source("below n", "ranges", ("natural",), limits, "int", "whole numbers",
                 "from 0 to {a} - 1", ("for {x} in range({a})",),
                 singles=("i", "k", "j"))  # fmt: skip
    yield Source("digits", "digits", ("large",), (("n", "number", "value"),), "int", "digits",
                 "of the number", ("for {x} in str({a})",), "int({x})",
                 singles=("d", "digit", "c"))  # fmt: skip


def _nested() -> Iterator[Source]:
    rows = (("rows", "grid", "matrix", "lists", "table"),)
    yield Source("flat", "flatten", ("list[list[int]]",), rows, "int", "numbers", "in all rows",
                 ("for row in {a}", "for {x} in row"), singles=N)  # fmt: skip
    yield Source("row sums", "nested", ("list[list[int]]",), rows, "int", "sums", "of the rows",
                 ("for {x} in {a}",), "sum({x})", singles=("row", "r"))  # fmt: skip
    yield Source("row sizes", "nested", ("list[list[int]]",), rows, "int", "lengths",
                 "of the rows", ("for {x} in {a}",), "len({x})", singles=("row", "r"))  # fmt: skip
    yield Source("row firsts", "nested", ("list[list[int]]",), rows, "int", "first numbers",
                 "of the rows that are not empty", ("for {x} in {a}",), "{x}[0]", ("{x}",),
                 singles=("row", "r"))  # fmt: skip


def _mappings() -> Iterator[Source]:
    names = (("scores", "prices", "d", "table", "mapping"),)
    hint = ("dict[str, int]",)
    yield Source("values", "mappings", hint, names, "int", "values", "of the dictionary",
                 ("for {x} in {a}.values()",), singles=N)  # fmt: skip
    yield Source("keys", "mappings", hint, names, "word", "keys", "of the dictionary",
                 ("for {x} in {a}",), singles=("key", "k", "name"))  # fmt: skip
    for c in range(0, 31, 5):
        yield Source(f"keys over {c}", "mappings", hint, names, "word", "keys",
                     f"whose value is greater than {c}", ("for {x}, v in {a}.items()",), "{x}",
                     (f"v > {c}",), singles=("key", "k", "name"))  # fmt: skip


def _records() -> Iterator[Source]:
    names = (("pairs", "entries", "scores", "items"),)
    hint = ("list[tuple[str, int]]",)
    yield Source("seconds", "pairs", hint, names, "int", "numbers", "of the (word, number) pairs",
                 ("for _, {x} in {a}",), singles=N)  # fmt: skip
    yield Source("firsts", "pairs", hint, names, "word", "words", "of the (word, number) pairs",
                 ("for {x}, _ in {a}",), singles=W)  # fmt: skip
    for c in range(0, 31, 5):
        yield Source(f"firsts over {c}", "pairs", hint, names, "word", "words",
                     f"of the (word, number) pairs whose number is greater than {c}",
                     ("for {x}, v in {a}",), "{x}", (f"v > {c}",), singles=W)  # fmt: skip
    shape = "(dictionaries with 'name' and 'age')"
    single = ("person", "p", "record", "r")
    yield Source("ages", "records", ("list[dict]",), (PEOPLE,), "int", "ages",
                 f"of the people {shape}", ("for {x} in {a}",), "{x}['age']",
                 singles=single)  # fmt: skip
    yield Source("people", "records", ("list[dict]",), (PEOPLE,), "word", "names",
                 f"of the people {shape}", ("for {x} in {a}",), "{x}['name']",
                 singles=single)  # fmt: skip
    for c in range(10, 71, 5):
        yield Source(f"over {c} years", "records", ("list[dict]",), (PEOPLE,), "word", "names",
                     f"of the people older than {c} {shape}", ("for {x} in {a}",), "{x}['name']",
                     (f"{{x}}['age'] > {c}",), singles=single)  # fmt: skip


def _others() -> Iterator[Source]:
    two = (("a", "left", "xs", "first"), ("b", "right", "ys", "second"))
    hints = ("list[int]", "list[int]")
    for name, sign in (("sums", "+"), ("products", "*"), ("differences", "-")):
        yield Source(f"pair {name}", "two lists", hints, two, "int", name,
                     "of the numbers at the same places of the two lists (as far as both go)",
                     ("for {x}, y in zip({a}, {b})",), f"({{x}} {sign} y)",
                     singles=("x", "u", "p"))  # fmt: skip
    yield Source("both", "two lists", hints, two, "int", "numbers",
                 "of the first list that are in the second list too", ("for {x} in {a}",), "{x}",
                 ("{x} in {b}",), singles=N)  # fmt: skip
    yield Source("only", "two lists", hints, two, "int", "numbers",
                 "of the first list that are not in the second list", ("for {x} in {a}",), "{x}",
                 ("{x} not in {b}",), singles=N)  # fmt: skip
    yield Source("known", "missing values", ("list[int | None]",),
                 (("values", "readings", "items", "data"),), "int", "values", "that are not None",
                 ("for {x} in {a}",), "{x}", ("{x} is not None",), singles=N)  # fmt: skip
    yield Source("true places", "booleans", ("list[bool]",), (("flags", "marks", "bits"),), "int",
                 "positions", "of the true values", ("for {x}, flag in enumerate({a})",), "{x}",
                 ("flag",), singles=("i", "index", "k"))  # fmt: skip
    yield Source("text places", "positions", ("str",), (TEXT,), "int", "positions",
                 "of the vowels in the text", ("for {x}, c in enumerate({a})",), "{x}",
                 ("c in 'aeiou'",), singles=("i", "index", "k"))  # fmt: skip


def _all() -> Sequence[Source]:
    return [*_plain(), *_ranges(), *_nested(), *_mappings(), *_records(), *_others()]


SOURCES: dict[str, Source] = {source.key: source for source in _all()}
