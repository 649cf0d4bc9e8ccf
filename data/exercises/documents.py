"""Documents of exercises: files of functions, classes, scripts and modules with tests."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Literal

from data.exercises.clean import Checks
from data.exercises.exercise import LONGEST_LINE, WORDINGS, Exercise, make, weighted
from data.exercises.grammar.meaning import Meaning, draw
from data.exercises.grammar.scalar import Scalar
from data.exercises.grammar.scalars import SMALL_SHARE, draw_scalar, draw_small
from data.exercises.grammar.singles import draw_single
from data.exercises.grammar.values import MAKERS
from data.walk import Found

Kind = Literal["train", "held_out", "wordings"]
EXERCISES = 480
"""How many exercises a block has. Each has a meaning of its own, so that a reader of few bytes sees
many compositions; frequent meanings come again by chance, with other names, words and code."""
SCALAR_SHARE = 0.3
LEVEL_WEIGHTS = (50, 55, 3, 1, 1)
KINDS = ("alone", "functions", "class", "script", "tests", "module")
KIND_WEIGHTS = (200, 2, 1, 1, 1, 1)
"""Kinds of documents. Most are one function, as a problem's prompt and solution are."""
HELD_OUT_BLOCKS = 10
"""One block in so many is held out: in turns by its meanings, and by its wordings."""


@dataclass
class Block:
    """Some hundred exercises in their documents, and what was counted while they were made."""

    kind: Kind
    number: int = 0
    documents: list[Found] = field(default_factory=list)
    meanings: set[bytes] = field(default_factory=set)
    """Digests of the meanings' keys."""
    families: Counter[str] = field(default_factory=Counter)
    levels: Counter[int] = field(default_factory=Counter)
    exercises: int = 0
    tests_run: int = 0
    left_out: dict[str, str] = field(default_factory=dict)
    """Meanings that pass a benchmark's test, with the problem's name."""


def kind_of(number: int) -> Kind:
    """What a block is for: training, or held out by its meanings or by its wordings."""
    if number % HELD_OUT_BLOCKS:
        return "train"
    return "held_out" if number // HELD_OUT_BLOCKS % 2 == 0 else "wordings"


def block(seed: int, number: int, tests: Checks, operations: int = 0) -> Block:
    """Block `number` of the curriculum of a seed. Each block is made without the others.

    Meanings that pass one of `tests` are left out. The first `operations` blocks of training have
    functions of one operation or one line alone.
    """
    rng, found = Random(f"exercises {seed} {number}"), Block(kind_of(number), number)
    first = found.kind == "train" and number < operations
    wordings = weighted(WORDINGS["held_out" if found.kind == "wordings" else "train"])
    made = list[Exercise]()
    for _ in range(EXERCISES if found.kind == "train" else EXERCISES // 4):
        meaning = _meaning(rng, found, tests, first)
        found.meanings.add(hashlib.sha256(meaning.key.encode()).digest()[:12])
        found.families[meaning.family] += 1
        found.levels[meaning.level] += 1
        made.append(make(meaning, wordings.draw(rng), rng))
    rng.shuffle(made)
    split = "train" if found.kind == "train" else "held_out"
    at = 0
    while at < len(made):
        kind = rng.choices(KINDS, KIND_WEIGHTS)[0]
        size = 1 if kind == "alone" else rng.randint(4, 12)
        name = f"exercises/{found.kind}/{number:07d}-{len(found.documents):03d}.py"
        text, count = document(made[at : at + size], kind, rng)
        found.documents.append(Found(name, text.encode(), split, generated=True))
        found.exercises += count
        at += size
    return found


def _meaning(rng: Random, found: Block, tests: Checks, operations: bool) -> Meaning | Scalar:
    """A meaning of the block's split that passes no benchmark's test."""
    wanted = "held_out" if found.kind == "held_out" else "train"
    while True:
        if operations:
            meaning: Meaning | Scalar = (
                draw_small(rng) if rng.random() < SMALL_SHARE else draw_single(rng)
            )
        elif rng.random() < SCALAR_SHARE:
            meaning = draw_scalar(rng)
        else:
            [level] = rng.choices(range(1, 6), LEVEL_WEIGHTS)
            meaning = draw(rng, level)
        if meaning.split != wanted:
            continue
        problem, run = tests.passed_by_meaning(meaning)
        found.tests_run += run
        if not problem:
            return meaning
        found.left_out[meaning.key] = problem


def document(exercises: Sequence[Exercise], kind: str, rng: Random) -> tuple[str, int]:
    """A file of these exercises, and how many it has. Functions of one name stand in it once."""
    chosen = list({exercise.name: exercise for exercise in exercises}.values())
    if kind == "class":
        return _class(chosen)
    parts = [exercise.text for exercise in chosen]
    if kind == "module":
        names = ", ".join(exercise.name for exercise in chosen[:2])
        parts.insert(0, f'"""Functions such as {names}."""\n')
    elif kind == "script":
        calls = [_call(exercise, rng) for exercise in chosen[:3]]
        lines = "".join(f"    print({call[0]})  # {call[1]}\n" for call in calls if _fits(call))
        parts += ['if __name__ == "__main__":\n' + lines] if lines else []
    elif kind == "tests":
        for exercise in chosen[:3]:
            calls = [call for call in (_call(exercise, rng) for _ in range(3)) if _fits(call)]
            lines = "".join(f"    assert {said} == {result}\n" for said, result in calls)
            parts += [f"def test_{exercise.name}():\n{lines}"] if lines else []
    return "\n\n".join(parts), len(chosen)


def _class(exercises: Sequence[Exercise]) -> tuple[str, int]:
    """A class whose methods are the functions, those that call themselves left out."""
    parts = ['class Exercises:\n    """A collection of static methods."""\n']
    for exercise in exercises:
        if f"{exercise.name}(" in exercise.body:
            continue
        call = f">>> {exercise.name}("
        text = exercise.text.replace(call, call.replace(">>> ", ">>> Exercises."))
        lines = f"@staticmethod\n{text}"
        if exercise.text.startswith("#"):
            head, _, rest = exercise.text.partition("def ")
            lines = f"{head}@staticmethod\ndef {rest}"
        if max(map(len, lines.splitlines())) + 4 <= LONGEST_LINE:
            parts.append("".join(f"    {line}\n" if line else "\n" for line in lines.splitlines()))
    return "\n".join(parts), len(parts) - 1


def _call(exercise: Exercise, rng: Random) -> tuple[str, str]:
    """A call of the function and its result, both as code; the result is empty for an error."""
    values = [MAKERS[name](rng) for name in exercise.meaning.types]
    said = f"{exercise.name}({', '.join(map(repr, values))})"
    try:
        value = exercise.function(*values)
    except Exception:
        return said, ""
    return said, "" if isinstance(value, set) else repr(value)


def _fits(call: tuple[str, str]) -> bool:
    return bool(call[1]) and len(call[0]) + len(call[1]) <= 90
