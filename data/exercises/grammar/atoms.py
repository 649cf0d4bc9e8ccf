"""What can be asked of one element, and what can be made of it: the words, and equal expressions.

Every atom has one meaning. Its `codes` are Python expressions of that meaning, in which `{x}`
stands for the element. The first is the reference; the others must agree with it on every value.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

Kind = str
"""What an element is: `int`, `word` or `char`."""


def compiled(code: str, *names: str) -> Callable[..., Any]:
    """The function of an expression in which `{name}` stands for each of its arguments."""
    expression = code.format(**{name: name for name in names})
    function: Callable[..., Any] = eval(f"lambda {', '.join(names)}: {expression}")
    return function


_CLASSES = ("uppercase letters", "lowercase letters", "letters", "vowels", "digits", "spaces",
            "palindromes")  # fmt: skip


def _singular(words: str) -> str:
    """ "not vowels" as "not a vowel"; other words as they are."""
    before = "not " if words.startswith("not ") else ""
    noun = words.removeprefix("not ")
    if noun not in _CLASSES:
        return words
    article = "an" if noun[0] in "aeiou" else "a"
    return f"{before}{article} {noun.removesuffix('s')}"


@dataclass(frozen=True)
class Predicate:
    """A question about an element. `clause` follows "numbers that", `adjective` comes before."""

    key: str
    codes: tuple[str, ...]
    clause: str
    adjective: str = ""
    holds: Callable[[Any], bool] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "holds", compiled(self.codes[0], "x"))

    @property
    def singular(self) -> str:
        """The clause after "a number that"."""
        verb, _, rest = self.clause.partition(" ")
        verbs = {"are": "is", "have": "has", "do": "does"}
        return f"{verbs.get(verb, verb + 's')} {_singular(rest.replace('their', 'its'))}"


@dataclass(frozen=True)
class Change:
    """Makes an element of `kind` from another.

    `noun`: what the changed elements are called, as "squares" are, or what follows the elements
    ("each increased by 3"); empty if there are no such words.
    `verb` tells what is done, with "each of them" in its place: "square each of them".
    """

    key: str
    codes: tuple[str, ...]
    kind: Kind
    verb: str
    noun: str
    apply: Callable[[Any], Any] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "apply", compiled(self.codes[0], "x"))


def _p(key: str, clause: str, adjective: str, *codes: str) -> Predicate:
    return Predicate(key, codes, clause, adjective)


def _int_predicates() -> Iterator[Predicate]:
    yield _p("even", "are even", "even", "{x} % 2 == 0", "not {x} % 2")
    yield _p("odd", "are odd", "odd", "{x} % 2 == 1", "{x} % 2 != 0")
    yield _p("positive", "are positive", "positive", "{x} > 0", "0 < {x}")
    yield _p("negative", "are negative", "negative", "{x} < 0", "0 > {x}")
    yield _p("nonzero", "are not zero", "nonzero", "{x} != 0")
    yield _p("one digit", "have one digit", "one-digit", "-10 < {x} < 10", "abs({x}) < 10")
    yield _p("two digits", "have two digits", "two-digit",
             "10 <= abs({x}) <= 99", "len(str(abs({x}))) == 2")  # fmt: skip
    for c in range(1, 21):
        yield _p(f"over {c}", f"are greater than {c}", "", f"{{x}} > {c}")
        yield _p(f"under {c}", f"are less than {c}", "", f"{{x}} < {c}")
        yield _p(f"not {c}", f"are not equal to {c}", "", f"{{x}} != {c}")
        yield _p(f"within {c}", f"are at least {c} and at most {c + 10}", "",
                 f"{c} <= {{x}} <= {c + 10}", f"{{x}} >= {c} and {{x}} <= {c + 10}")  # fmt: skip
    for c in range(3, 10):
        yield _p(f"divisible by {c}", f"are divisible by {c}", "",
                 f"{{x}} % {c} == 0", f"not {{x}} % {c}")  # fmt: skip
        yield _p(f"not divisible by {c}", f"are not divisible by {c}", "", f"{{x}} % {c} != 0")
    for c in range(10):
        yield _p(f"ends in {c}", f"have {c} as their last digit", "",
                 f"abs({{x}}) % 10 == {c}", f"str({{x}})[-1] == '{c}'")  # fmt: skip


def _word_predicates() -> Iterator[Predicate]:
    yield _p("palindrome", "are palindromes", "", "{x} == {x}[::-1]")
    yield _p("vowel first", "start with a vowel", "", "{x}[:1] in tuple('aeiou')",
             "{x}.startswith(tuple('aeiou'))")  # fmt: skip
    yield _p("capital", "start with a capital letter", "capitalized", "{x}[:1].isupper()")
    yield _p("double", "have two equal letters side by side", "",
             "any({x}[i] == {x}[i + 1] for i in range(len({x}) - 1))",
             "any(a == b for a, b in zip({x}, {x}[1:]))")  # fmt: skip
    for c in range(2, 9):
        yield _p(f"longer {c}", f"have more than {c} letters", "", f"len({{x}}) > {c}")
        yield _p(f"shorter {c}", f"have fewer than {c} letters", "", f"len({{x}}) < {c}")
        yield _p(f"length {c}", f"have exactly {c} letters", f"{c}-letter", f"len({{x}}) == {c}")
    yield _p("even length", "have an even number of letters", "", "len({x}) % 2 == 0")
    yield _p("odd length", "have an odd number of letters", "", "len({x}) % 2 == 1")
    for letter in "abcdefghilmnoprstuwy":
        yield _p(f"starts {letter}", f"start with the letter {letter}", "",
                 f"{{x}}.startswith('{letter}')", f"{{x}}[:1] == '{letter}'")  # fmt: skip
        yield _p(f"ends {letter}", f"end with the letter {letter}", "",
                 f"{{x}}.endswith('{letter}')", f"{{x}}[-1:] == '{letter}'")  # fmt: skip
        yield _p(f"has {letter}", f"contain the letter {letter}", "", f"'{letter}' in {{x}}")
        yield _p(
            f"lacks {letter}", f"do not contain the letter {letter}", "", f"'{letter}' not in {{x}}"
        )


def _char_predicates() -> Iterator[Predicate]:
    yield _p("vowel", "are vowels", "", "{x}.lower() in 'aeiou'", "{x} in 'aeiouAEIOU'")
    yield _p("no vowel", "are not vowels", "", "{x}.lower() not in 'aeiou'")
    yield _p("letter", "are letters", "", "{x}.isalpha()")
    yield _p("no letter", "are not letters", "", "not {x}.isalpha()")
    yield _p("digit", "are digits", "", "{x}.isdigit()")
    yield _p("no digit", "are not digits", "", "not {x}.isdigit()")
    yield _p("upper", "are uppercase letters", "uppercase", "{x}.isupper()")
    yield _p("lower", "are lowercase letters", "lowercase", "{x}.islower()")
    yield _p("no space", "are not spaces", "", "{x} != ' '")
    for letter in "abcdefghiklmnoprstuwy":
        yield _p(f"is {letter}", f"are equal to {letter!r}", "", f"{{x}} == '{letter}'")
        yield _p(f"not {letter}", f"are not equal to {letter!r}", "", f"{{x}} != '{letter}'")
        yield _p(f"after {letter}", f"come after {letter!r} in the alphabet", "",
                 f"{{x}}.isalpha() and {{x}}.lower() > '{letter}'")  # fmt: skip


def _c(key: str, kind: Kind, verb: str, noun: str, *codes: str) -> Change:
    return Change(key, codes, kind, verb, noun)


def _int_changes() -> Iterator[Change]:
    yield _c("square", "int", "square {each}", "squares", "{x} ** 2", "{x} * {x}")
    yield _c("cube", "int", "cube {each}", "cubes", "{x} ** 3", "{x} * {x} * {x}")
    yield _c("double", "int", "double {each}", "doubles", "{x} * 2", "2 * {x}", "{x} + {x}")
    yield _c("negate", "int", "negate {each}", "each negated", "-{x}", "0 - {x}")
    yield _c("abs", "int", "take the absolute value of {each}", "absolute values", "abs({x})",
             "({x} if {x} >= 0 else -{x})", "max({x}, -{x})")  # fmt: skip
    yield _c("digit sum", "int", "replace {each} by the sum of its digits", "digit sums",
             "sum(int(digit) for digit in str(abs({x})))",
             "sum(map(int, str(abs({x}))))")  # fmt: skip
    yield _c("digits", "int", "replace {each} by how many digits it has", "numbers of digits",
             "len(str(abs({x})))")  # fmt: skip
    yield _c("last digit", "int", "replace {each} by its last digit", "last digits",
             "abs({x}) % 10", "int(str({x})[-1])")  # fmt: skip
    yield _c("text", "word", "turn {each} into a string", "strings", "str({x})", "f'{{{x}}}'")
    for c in range(3, 13):
        yield _c(f"times {c}", "int", f"multiply {{each}} by {c}", f"each multiplied by {c}",
                 f"{{x}} * {c}", f"{c} * {{x}}")  # fmt: skip
        yield _c(f"from {c}", "int", f"subtract {{each}} from {c}", f"each subtracted from {c}",
                 f"{c} - {{x}}")  # fmt: skip
    for c in range(1, 21):
        yield _c(f"plus {c}", "int", f"add {c} to {{each}}", f"each increased by {c}",
                 f"{{x}} + {c}", f"{c} + {{x}}")  # fmt: skip
        yield _c(f"minus {c}", "int", f"subtract {c} from {{each}}", f"each decreased by {c}",
                 f"{{x}} - {c}")  # fmt: skip
    for c in range(3, 10):
        yield _c(f"rest {c}", "int", f"replace {{each}} by its remainder when divided by {c}",
                 "", f"{{x}} % {c}", f"{{x}} - {{x}} // {c} * {c}")  # fmt: skip
    for c in range(2, 6):
        yield _c(f"div {c}", "int", f"divide {{each}} by {c}, rounding down",
                 f"each divided by {c} and rounded down", f"{{x}} // {c}")  # fmt: skip
    for c in range(0, 21, 5):
        yield _c(f"least {c}", "int", f"replace {{each}} by {c} if it is less than {c}",
                 "", f"max({{x}}, {c})",
                 f"({{x}} if {{x}} > {c} else {c})")  # fmt: skip


def _word_changes() -> Iterator[Change]:
    yield _c("length", "int", "replace {each} by its length", "lengths", "len({x})")
    yield _c("upper", "word", "turn {each} into uppercase", "uppercase forms", "{x}.upper()")
    yield _c("capital", "word", "capitalize {each}", "capitalized forms", "{x}.capitalize()",
             "{x}[:1].upper() + {x}[1:].lower()")  # fmt: skip
    yield _c("reverse", "word", "reverse {each}", "reversals", "{x}[::-1]",
             "''.join(reversed({x}))")  # fmt: skip
    yield _c("initial", "word", "replace {each} by its first letter", "first letters", "{x}[:1]")
    yield _c("final", "word", "replace {each} by its last letter", "last letters", "{x}[-1:]")
    yield _c("twice", "word", "repeat {each} twice", "repetitions", "{x} * 2", "{x} + {x}")
    yield _c("no vowels", "word", "remove the vowels from {each}", "forms without vowels",
             "''.join(c for c in {x} if c not in 'aeiou')")  # fmt: skip
    yield _c("vowels", "int", "replace {each} by how many vowels it has", "numbers of vowels",
             "sum(c in 'aeiou' for c in {x})", "sum(1 for c in {x} if c in 'aeiou')",
             "len([c for c in {x} if c in 'aeiou'])")  # fmt: skip
    yield _c("sorted", "word", "sort the letters of {each}", "forms with sorted letters",
             "''.join(sorted({x}))")  # fmt: skip
    for sign in ("s", "ed", "er", "!", "?"):
        yield _c(f"append {sign}", "word", f"append {sign!r} to {{each}}",
                 f"each followed by {sign!r}", f"{{x}} + '{sign}'")  # fmt: skip
    for sign in ("un", "re", "#", "@", "-"):
        yield _c(f"prepend {sign}", "word", f"prepend {sign!r} to {{each}}",
                 f"each preceded by {sign!r}", f"'{sign}' + {{x}}")  # fmt: skip
    for n in range(2, 5):
        yield _c(f"head {n}", "word", f"keep only the first {n} letters of {{each}}",
                 f"first {n} letters", f"{{x}}[:{n}]")  # fmt: skip
        yield _c(f"tail {n}", "word", f"remove the first {n} letters of {{each}}",
                 "", f"{{x}}[{n}:]")  # fmt: skip
    for letter in "aeilnorst":
        yield _c(f"count {letter}", "int",
                 f"replace {{each}} by how often it contains the letter {letter}",
                 f"counts of the letter {letter}", f"{{x}}.count('{letter}')",
                 f"sum(1 for c in {{x}} if c == '{letter}')")  # fmt: skip


def _char_changes() -> Iterator[Change]:
    yield _c("upper", "char", "turn {each} into uppercase", "uppercase forms", "{x}.upper()")
    yield _c("lower", "char", "turn {each} into lowercase", "lowercase forms", "{x}.lower()")
    yield _c("swap", "char", "swap the case of {each}", "forms with swapped case",
             "{x}.swapcase()", "({x}.lower() if {x}.isupper() else {x}.upper())")  # fmt: skip
    yield _c("code", "int", "replace {each} by its character code", "character codes", "ord({x})")
    for n in (2, 3):
        # No longer one character: 'aa' is no vowel.
        yield _c(f"repeat {n}", "word", f"repeat {{each}} {n} times", f"each repeated {n} times",
                 f"{{x}} * {n}")  # fmt: skip
    for letter in "-._*":
        yield _c(f"mark {letter}", "word", f"write {letter!r} after {{each}}",
                 f"each followed by {letter!r}",
                 f"{{x}} + '{letter}'")  # fmt: skip


PREDICATES: dict[Kind, tuple[Predicate, ...]] = {
    "int": tuple(_int_predicates()),
    "word": tuple(_word_predicates()),
    "char": tuple(_char_predicates()),
}
CHANGES: dict[Kind, tuple[Change, ...]] = {
    "int": tuple(_int_changes()),
    "word": tuple(_word_changes()),
    "char": tuple(_char_changes()),
}
