"""One exercise: a function of a meaning with a name, words, examples, and code that was run."""

import builtins
import hashlib
import re
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from data.exercises.code import STYLE_WEIGHTS, STYLES, Writer, familiar, usual
from data.exercises.grammar.atoms import Change
from data.exercises.grammar.common import Weighted
from data.exercises.grammar.meaning import Meaning, outcome
from data.exercises.grammar.scalar import Scalar
from data.exercises.grammar.values import HINTS, MAKERS
from data.exercises.wording import SENTENCES, given, sentence, verb

# How often each layout and each style of sentence is used.
LAYOUTS = {
    "plain": 80, "doctest": 16, "example": 1, "prose": 1, "arrow": 1, "comment": 1, "sections": 1,
}  # fmt: skip
SENTENCE_WEIGHTS = {"return": 40, "compute": 10}
LONGEST_LINE = 110
HELD_OUT_WORDINGS = 8
LONGEST_CALL = 70
_BUILTINS = frozenset(dir(builtins))
_GENERIC = ("solve", "compute", "process", "f", "answer", "run", "task", "evaluate", "func")


class DisagreementError(Exception):
    """Code that was written for a meaning computes something else: an error of the grammar."""


@dataclass(frozen=True)
class Wording:
    """How a docstring is said and laid out."""

    sentence: str
    layout: str


_USUAL_WORDINGS = (Wording("return", "plain"), Wording("return", "doctest"))


def _wordings() -> dict[str, tuple[Wording, ...]]:
    """The wordings of training, and those that no training text has. The usual ones are of
    training, since they are half of it."""
    found = [Wording(said, layout) for said in SENTENCES for layout in LAYOUTS]
    found.sort(key=lambda wording: hashlib.sha256(repr(wording).encode()).digest())
    others = [wording for wording in found if wording not in _USUAL_WORDINGS]
    held_out = tuple(others[:HELD_OUT_WORDINGS])
    return {"held_out": held_out, "train": tuple(one for one in found if one not in held_out)}


WORDINGS = _wordings()


def weighted(wordings: Sequence[Wording]) -> Weighted[Wording]:
    """Wordings to draw from, the usual ones more often."""
    weights = [LAYOUTS[one.layout] * SENTENCE_WEIGHTS.get(one.sentence, 1) for one in wordings]
    return Weighted(wordings, weights)


@dataclass(frozen=True)
class Exercise:
    """`prompt` ends where the body begins; `body` is indented. `function`: the code that ran."""

    meaning: Meaning | Scalar
    name: str
    prompt: str
    body: str
    function: Callable[..., Any]

    @property
    def text(self) -> str:
        return self.prompt + self.body


def make(
    meaning: Meaning | Scalar, wording: Wording, rng: Random, style: str | None = None
) -> Exercise:
    """An exercise of a meaning. Its code is run; its examples are what the run returned.

    Raises DisagreementError if the code computes something else than the meaning.
    """
    names: list[str] = []
    pools = meaning.source.names if isinstance(meaning, Meaning) else meaning.names
    for pool in pools:
        free = [name for name in pool if name not in names]
        names.append(familiar(free, rng))
    arguments = tuple(names)
    name = _name(meaning, arguments, rng)
    body = _body(meaning, name, arguments, style or rng.choices(STYLES, STYLE_WEIGHTS)[0], rng)
    inside = "".join(f"    {line}\n" for line in body)
    space: dict[str, Any] = {}
    exec(f"def {name}({', '.join(arguments)}):\n{inside}", space)
    function = space[name]
    calls = _calls(meaning, function, rng)
    words = _words(meaning, wording, arguments, rng)
    prompt = _prompt(meaning, wording, name, arguments, words, calls, rng)
    return Exercise(meaning, name, prompt, inside, function)


def _body(
    meaning: Meaning | Scalar, name: str, arguments: tuple[str, ...], style: str, rng: Random
) -> list[str]:
    if isinstance(meaning, Meaning):
        for _ in range(4):
            lines = Writer(meaning, arguments, rng).body(style)
            if max(map(len, lines)) + 4 <= LONGEST_LINE:
                return lines
            style = "loop"
        raise DisagreementError(f"{meaning.key}: no code with short lines")
    places = dict(zip("ab", arguments, strict=False))
    return usual(meaning.bodies, rng).format(f=name, **places).splitlines()


def _calls(
    meaning: Meaning | Scalar, function: Callable[..., Any], rng: Random
) -> list[tuple[str, str]]:
    """Random calls that the code and the meaning agree on, the shorter and telling ones first."""
    found: list[tuple[str, str]] = []
    for attempt in range(20):
        values = tuple(MAKERS[name](rng) for name in meaning.types)
        expected = outcome(meaning.compute, values)
        returned = outcome(function, values)
        said = ", ".join(map(repr, values))
        if returned != expected:
            raise DisagreementError(f"{meaning.key}: {returned}, not {expected}, of {said}")
        if len(said) + len(expected) <= LONGEST_CALL and (said, expected) not in found:
            found.append((said, expected))
        if len(found) == 4 or (attempt >= 8 and found):
            break
    # An empty result says little, and None nothing: an interpreter does not print it.
    found.sort(key=lambda call: (call[1] == "None", len(call[1]) < 3))
    return found


def _words(
    meaning: Meaning | Scalar, wording: Wording, arguments: tuple[str, ...], rng: Random
) -> str:
    if isinstance(meaning, Meaning):
        return sentence(meaning, wording.sentence, arguments, rng)
    says = rng.choice(meaning.says).format(**dict(zip("ab", arguments, strict=False)))
    first, _, late = says.partition("; ")
    late = f" {late[0].upper()}{late[1:]}." if late else ""
    if wording.sentence == "given" and meaning.types:
        return f"Given {given(meaning.types)}, return {first}.{late}"
    if wording.sentence in ("compute", "question") and not first.startswith("whether"):
        return f"{verb(first, meaning.hint, rng)} {first}.{late}"
    if wording.sentence == "write":
        return f"This function returns {first}.{late}"
    return f"Return {first}.{late}"


def _slug(text: str) -> str:
    return re.sub(r"\W+", "_", text).strip("_").lower()


def _name(meaning: Meaning | Scalar, arguments: tuple[str, ...], rng: Random) -> str:
    if rng.random() < 0.1:
        name = rng.choice(_GENERIC)
    elif isinstance(meaning, Scalar):
        name = _slug(meaning.key)
    else:
        parts = [meaning.end.slug if meaning.end.key != "list" else ""]
        parts += [part.key for part in meaning.operations[:2]]
        parts += [step.key for step in meaning.steps[:1]]
        kinds = {part.kind for part in meaning.operations if isinstance(part, Change)}
        # The largest of some lengths is no word.
        noun = "" if kinds - {meaning.source.kind} else meaning.source.noun.split(" ")[0]
        chosen = [part for part in parts if part]
        name = _slug(" ".join([*chosen[: rng.randint(1, 2)], noun]))
    if not name.isidentifier() or name in arguments or name in _BUILTINS:
        name = f"get_{name}"
    return name if len(name) <= 40 else rng.choice(_GENERIC)


def _hint(name: str) -> str:
    return HINTS.get(name, name)


def _signature(
    meaning: Meaning | Scalar, name: str, arguments: tuple[str, ...], rng: Random
) -> str:
    if rng.random() < 0.7:
        return f"def {name}({', '.join(arguments)}):"
    typed = [f"{arg}: {_hint(t)}" for arg, t in zip(arguments, meaning.types, strict=True)]
    hint = meaning.end.hint if isinstance(meaning, Meaning) else meaning.hint
    if hint == "object" and isinstance(meaning, Meaning):
        hint = "int | None" if meaning.kind == "int" else "str | None"
    returns = "" if hint == "object" else f" -> {hint}"
    return f"def {name}({', '.join(typed)}){returns}:"


def _wrapped(text: str, width: int = 88) -> list[str]:
    if len(text) <= width and text.isprintable():  # textwrap takes long to find this out
        return [text]
    return textwrap.wrap(text, width, break_long_words=False)


def _shown(name: str, call: tuple[str, str]) -> list[str]:
    """The call and its result, as doctest has them. The order of a set's elements may vary."""
    said, result = call
    if (result.startswith("{") and ":" not in result) or result == "set()":
        return [f"    >>> {name}({said}) == {result}", "    True"]
    return [f"    >>> {name}({said})", *([f"    {result}"] if result != "None" else [])]


def _prompt(
    meaning: Meaning | Scalar, wording: Wording, name: str, arguments: tuple[str, ...], words: str,
    calls: list[tuple[str, str]], rng: Random,
) -> str:  # fmt: skip
    """The signature and the docstring, or a comment in its place, up to where the body begins."""
    signature = _signature(meaning, name, arguments, rng)
    plain = [call for call in calls if not call[1].endswith("Error")][: rng.choice((1, 1, 1, 2))]
    layout = wording.layout
    if layout == "comment":
        lines = [f"# {line}" for line in _wrapped(words, width=86)]
        lines += [f"# {name}({said}) -> {result}" for said, result in plain]
        return "".join(f"{line}\n" for line in [*lines, signature])
    text = _wrapped(words)
    if layout == "plain":
        end = "" if len(text) == 1 else "\n    "
        inside = "\n".join(f"    {line}" for line in [f'"""{text[0]}', *text[1:]])
        return f'{signature}\n{inside}{end}"""\n'
    lines = [f'    """{text[0]}', *(f"    {line}" for line in text[1:]), ""]
    if layout == "sections" and arguments:
        lines += ["    Args:", *(f"        {arg}: {given((t,))}." for arg, t in
                                 zip(arguments, meaning.types, strict=True)), ""]  # fmt: skip
        lines += ["    Returns:", "        The result.", ""] if rng.random() < 0.3 else []
    if layout == "prose":
        said = [f"    For example, {name}({call}) returns {result}." for call, result in plain[:1]]
        lines += [line for line in said if len(line) <= LONGEST_LINE]
    elif layout == "arrow":
        lines += [f"    {name}({call}) -> {result}" for call, result in plain]
    else:
        if layout == "example":
            lines.append("    Example:" if len(plain) == 1 else "    Examples:")
        for call in plain:
            lines += _shown(name, call)
    lines.append('    """')
    if any("\\" in line for line in lines):
        lines[0] = lines[0].replace('"""', 'r"""', 1)
    return "".join(f"{line}\n" for line in [signature, *lines])
