"""A meaning in words: the sentences of a docstring."""

import re
from collections.abc import Iterator
from random import Random

from data.exercises.grammar.atoms import Change, Predicate
from data.exercises.grammar.meaning import Meaning, nested

SENTENCES = ("return", "compute", "given", "question", "steps", "chain", "write", "bare")
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
    phrase = phrase.replace("number of the ", "number of ")
    phrase = phrase.removesuffix(",").replace(",,", ",").replace(", (", " (")
    first, _, late = phrase.partition("; ")
    late = f" {late[0].upper()}{late[1:]}." if late else ""
    if style == "question":
        if first.startswith("whether ") or meaning.end.family not in ("reduce", "search", "count"):
            return f"Return {first}.{late}"
        return f"What is {first}?{late}"
    if style == "given":
        return f"Given {given(meaning.types)}, return {first}.{late}"
    if style == "compute":
        verb = "Check" if first.startswith("whether") else rng.choice(("Compute", "Find", "Get"))
        return f"{verb} {first}.{late}"
    if style == "write":
        return f"This function returns {first}.{late}"
    if style == "bare":
        return f"{first[0].upper()}{first[1:]}.{late}"
    return f"Return {first}.{late}"


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
    nameless = any(isinstance(part, Change) and not part.noun for part in meaning.operations)
    many = len(meaning.operations) + len(meaning.steps) > 2 or len(meaning.steps) > 1
    return nameless or many or nested(meaning.operations, meaning.steps)


def start(meaning: Meaning, arguments: tuple[str, ...], rng: Random) -> tuple[str, str]:
    """The noun of the elements, and what follows it."""
    places = dict(zip("ab", arguments, strict=False))
    source = meaning.source
    return source.noun.format(**places), rng.choice(source.where.split("|")).format(**places)


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
    phrase = " ".join(word for word in ("the", *before, noun, where) if word)
    if after:
        phrase += f" that {' and '.join(after)}"
    for part in operations:
        if not isinstance(part, Change):
            continue
        if part.noun.startswith("each "):
            phrase += f", {part.noun},"
        else:
            phrase = f"the {part.noun} of {phrase}"
    for step in meaning.steps:
        phrase += f", {step.after}"
        if meaning.end.key != "list":
            phrase += ","
    return phrase


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
        said = re.sub(r"\bnumber of the\b", "number of", meaning.end.phrase.format(them="them"))
        yield f"return {said}"


def _chain(parts: list[str]) -> str:
    first, *middle, last = parts
    said = f"{first[0].upper()}{first[1:]}"
    return ", ".join([said, *middle]) + f", and {last}."
