"""A meaning in words: the sentences of a docstring."""

import re
from collections.abc import Iterator
from random import Random

from data.exercises.grammar.atoms import Change, Predicate
from data.exercises.grammar.meaning import Meaning, nested
from data.exercises.grammar.steps import Step

SENTENCES = ("return", "compute", "given", "question", "steps", "chain", "write", "bare")
# "The number of words", but "the number of the first 3 words".
_NUMBER_OF = r"\bnumber of the (?!first|last)"
_GIVEN = {
    "list[int]": "a list of numbers", "list[str]": "a list of words", "sentence": "a sentence",
    "str": "a text", "dict[str, int]": "a dictionary of numbers by word", "natural": "a number",
    "list[tuple[str, int]]": "a list of pairs of a word and a number", "large": "a number",
    "list[dict]": "a list of people (dictionaries with 'name' and 'age')",
    "list[list[int]]": "a list of rows of numbers", "listed": "comma-separated numbers in a text",
    "list[int | None]": "a list of numbers and None", "list[bool]": "a list of truth values",
    "lines": "a text of several lines", "int": "a number", "word": "a word", "char": "a character",
    "filled": "a list of numbers", "phrase": "a text", "int | None": "a number or None",
}  # fmt: skip


def given(types: tuple[str, ...]) -> str:
    """The arguments in words."""
    if types == ("list[int]", "list[int]"):
        return "two lists of numbers"
    return " and ".join(_GIVEN[name] for name in types)


def sentence(meaning: Meaning, style: str, arguments: tuple[str, ...], rng: Random) -> str:
    """One or more sentences that say what the function does, in one of the styles."""
    if style in ("given", "write", "bare") and (changed := _changed(meaning, arguments, rng)):
        return changed
    if style in ("steps", "chain") or _is_long(meaning):
        parts = list(_steps(meaning, arguments, rng))
        return _chain(parts) if style in ("chain", "bare", "question") else " ".join(
            f"{part[0].upper()}{part[1:]}." for part in parts
        )  # fmt: skip
    phrase = meaning.end.phrase.format(them=noun_phrase(meaning, arguments, rng))
    phrase = re.sub(_NUMBER_OF, "number of ", phrase)
    phrase = phrase.removesuffix(",").replace(",,", ",").replace(", (", " (").replace(",;", ";")
    first, _, late = phrase.partition("; ")
    late = f" {late[0].upper()}{late[1:]}." if late else ""
    if style == "question":
        if first.startswith("whether ") or meaning.end.family not in ("reduce", "search", "count"):
            return f"Return {first}.{late}"
        return f"What is {first}?{late}"
    if style == "given":
        return f"Given {given(meaning.types)}, return {first}.{late}"
    if style == "compute":
        return f"{verb(first, meaning.end.hint, rng)} {first}.{late}"
    if style == "write":
        return f"This function returns {first}.{late}"
    if style == "bare":
        return f"{first[0].upper()}{first[1:]}.{late}"
    return f"Return {first}.{late}"


def verb(phrase: str, hint: str, rng: Random) -> str:
    """What a function does to have the result of a phrase. `hint`: the type of the result."""
    if phrase.startswith("whether"):
        return "Check"
    if hint.startswith(("int", "float")):
        return rng.choice(("Compute", "Find", "Get"))
    return rng.choice(("Build", "Make", "Get") if hint in ("list", "dict", "set") else ("Get",))


def _changed(meaning: Meaning, arguments: tuple[str, ...], rng: Random) -> str:
    """The words for a single change of each element; empty for all other meanings."""
    if len(meaning.operations) != 1 or meaning.steps or meaning.end.key != "list":
        return ""
    [part] = meaning.operations
    if isinstance(part, Predicate):
        return ""
    noun, where = start(meaning, arguments, rng)
    done = part.verb.format(each=" ".join(word for word in ("each of the", noun, where) if word))
    return f"{done[0].upper()}{done[1:]}, and return the results as a list."


def _is_long(meaning: Meaning) -> bool:
    """Whether one phrase cannot say what is done, or can be read in two ways."""
    end, changes = meaning.end, [part for part in meaning.operations if isinstance(part, Change)]
    nameless = any(not part.noun for part in changes)
    many = len(meaning.operations) + len(meaning.steps) > 2 or len(meaning.steps) > 1
    # "The sum of the squares of the numbers, each increased by 3": which of them are increased?
    one = end.family in ("search", "errors", "test", "partition") or end.key in _OF_SOMETHING
    apart = one and any(_is_each(part) for part in changes)
    # "Whether all of all but the first of the words ..."
    all_but = any(step.family == "drop" for step in meaning.steps) and end.family != "build"
    return nameless or many or apart or all_but or nested(meaning.operations, meaning.steps)


_OF_SOMETHING = ("squares", "letters", "mean")
"""Ends whose words have another noun before the elements' own."""


def _is_each(change: Change) -> bool:
    return change.noun.startswith("each ")


def start(meaning: Meaning, arguments: tuple[str, ...], rng: Random) -> tuple[str, str]:
    """The noun of the elements, and what follows it."""
    places = dict(zip("ab", arguments, strict=False))
    source = meaning.source
    noun = source.noun.format(**places)
    # Not "the words in words".
    wheres = [where for where in source.where.split("|") if where.format(**places)[3:] != noun]
    return noun, rng.choice(wheres).format(**places)


def noun_phrase(meaning: Meaning, arguments: tuple[str, ...], rng: Random) -> str:
    """The elements that are left, as one phrase: "the squares of the even numbers in the list"."""
    noun, where = start(meaning, arguments, rng)
    before, after = list[str](), list[str]()
    operations = list(meaning.operations)
    while operations and isinstance(part := operations[0], Predicate):
        operations.pop(0)
        if part.adjective and not before:
            before.append(part.adjective)
        else:
            after.append(part.clause)
    changes = [part for part in operations if isinstance(part, Change)]
    outer = meaning.end.key in _OF_SOMETHING or any(not _is_each(part) for part in changes)
    # "Those" says that what follows is told of the numbers, and not of their squares.
    the = "those" if after and outer else "the"
    phrase = " ".join(word for word in (the, *before, noun, where) if word)
    if after:
        phrase += f" that {_joined(after)}"
    for part in changes:
        phrase = f"{phrase}, {part.noun}," if _is_each(part) else f"the {part.noun} of {phrase}"
    for step in meaning.steps:
        phrase = _stepped(step, phrase, bool(after))
    return phrase


def _joined(clauses: list[str]) -> str:
    """Clauses after "that": "are even and less than 3"."""
    first, *more = clauses
    # Not in "are not even and are less than 3", which would deny both.
    same = first.startswith("are ") and not first.startswith("are not ")
    return " and ".join([first, *(each.removeprefix("are ") if same else each for each in more)])


def _stepped(step: Step, phrase: str, told: bool) -> str:
    """The phrase of a list after a step. `told`: whether a clause follows its noun."""
    before, _, late = step.phrase.partition("{them}")
    if before.startswith(("the first", "the last")) and not told and phrase.startswith("the "):
        # "The first 3 characters of the text", not "the first 3 of the characters of the text".
        before, phrase = before.removesuffix("of "), phrase.removeprefix("the ")
    # "That start with a, in reverse order": the order is not that of what follows "that".
    return f"{before}{phrase}{',' * told if late.startswith(' ') else ''}{late}{',' * told}"


def _steps(meaning: Meaning, arguments: tuple[str, ...], rng: Random) -> Iterator[str]:
    noun, where = start(meaning, arguments, rng)
    yield " ".join(word for word in ("take the", noun, where) if word)
    for part in meaning.operations:
        if isinstance(part, Predicate):
            yield f"keep only those that {part.clause}"
        else:
            yield part.verb.format(each="each of them")
    for step in meaning.steps:
        yield step.verb
    if meaning.end.key == "list":
        yield "return them as a list"
    else:
        said = meaning.end.phrase.format(them="them")
        yield f"return {said}"


def _chain(parts: list[str]) -> str:
    first, *middle, last = parts
    said = f"{first[0].upper()}{first[1:]}"
    return ", ".join([said, *middle]) + f", and {last}."
