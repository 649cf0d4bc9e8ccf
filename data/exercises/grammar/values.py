"""Random arguments for functions, by the type of the argument."""

import string
from collections.abc import Callable
from random import Random
from typing import Any

_TEXT = """
apple river stone cloud level tree moon ocean paper green table noon candle summer winter
garden bridge silver window music yellow rabbit letter coffee mirror planet forest book
kayak island engine rocket basket pencil dinner hammer ladder needle orange umbrella
violin yarn a it we ant bee cat dog egg fox hat ink jam key lip map nut owl pen radar sun
top van wax zoo
"""
WORDS = tuple(_TEXT.split())
NAMES = ("Ada", "Ben", "Cleo", "Dan", "Eve", "Finn", "Gus", "Ida", "Jon", "Kim", "Leo", "Mia",
         "Ned", "Ola", "Pam", "Rex", "Sue", "Tom", "Uma", "Vic")  # fmt: skip


def number(rng: Random) -> int:
    return rng.randint(-9, 30) if rng.random() < 0.9 else rng.randint(-99, 150)


def size(rng: Random) -> int:
    return 0 if rng.random() < 0.06 else rng.randint(1, 4)


def numbers(rng: Random) -> list[int]:
    found = [number(rng) for _ in range(size(rng))]
    if found and rng.random() < 0.3:
        found.insert(rng.randrange(len(found) + 1), rng.choice(found))
    return found


def word(rng: Random) -> str:
    found = rng.choice(WORDS)
    return found.capitalize() if rng.random() < 0.1 else found


def words(rng: Random) -> list[str]:
    found = [word(rng) for _ in range(size(rng))]
    if found and rng.random() < 0.3:
        found.append(rng.choice(found))
    return found


def sentence(rng: Random) -> str:
    return " ".join(word(rng) for _ in range(size(rng)))


def text(rng: Random) -> str:
    found = " ".join(word(rng) for _ in range(rng.randint(0, 2)))
    for _ in range(rng.randint(0, 3)):
        at = rng.randrange(len(found) + 1)
        found = found[:at] + rng.choice("0123456789 ABCXYZaeiou,.!-") + found[at:]
    return found


def mapping(rng: Random) -> dict[str, int]:
    return {word(rng): number(rng) for _ in range(size(rng))}


def pairs(rng: Random) -> list[tuple[str, int]]:
    return [(word(rng), number(rng)) for _ in range(size(rng))]


def people(rng: Random) -> list[dict[str, Any]]:
    return [
        {"name": rng.choice(NAMES), "age": rng.randint(1, 80)} for _ in range(min(size(rng), 4))
    ]


def rows(rng: Random) -> list[list[int]]:
    return [numbers(rng)[:3] for _ in range(min(size(rng), 4))]


def optional(rng: Random) -> list[int | None]:
    return [None if rng.random() < 0.3 else number(rng) for _ in range(size(rng))]


def flags(rng: Random) -> list[bool]:
    return [rng.random() < 0.5 for _ in range(size(rng))]


def natural(rng: Random) -> int:
    return rng.randint(0, 30)


def large(rng: Random) -> int:
    return rng.randint(0, 10 ** rng.randint(1, 6))


def listed(rng: Random) -> str:
    return ",".join(str(number(rng)) for _ in range(rng.randint(1, 6)))


def lines(rng: Random) -> str:
    return "\n".join(word(rng) for _ in range(size(rng)))


def whole(rng: Random) -> int:
    return number(rng)


def filled(rng: Random) -> list[int]:
    return [number(rng) for _ in range(rng.randint(4, 6))]


def phrase(rng: Random) -> str:
    return " ".join(rng.choice(WORDS) for _ in range(rng.randint(2, 3)))


def maybe(rng: Random) -> int | None:
    return None if rng.random() < 0.4 else number(rng)


def character(rng: Random) -> str:
    return rng.choice(rng.choice((string.ascii_lowercase, string.ascii_uppercase, "aeiou", "0 7.")))


MAKERS: dict[str, Callable[[Random], Any]] = {
    "list[int]": numbers,
    "list[str]": words,
    "sentence": sentence,
    "str": text,
    "dict[str, int]": mapping,
    "list[tuple[str, int]]": pairs,
    "list[dict]": people,
    "list[list[int]]": rows,
    "list[int | None]": optional,
    "list[bool]": flags,
    "natural": natural,
    "large": large,
    "listed": listed,
    "lines": lines,
    "int": whole,
    "word": word,
    "char": character,
    "filled": filled,
    "phrase": phrase,
    "int | None": maybe,
}
# What is written as a type hint, where the type of values above is narrower than Python's.
HINTS = {"sentence": "str", "natural": "int", "large": "int", "listed": "str", "lines": "str",
         "word": "str", "char": "str", "filled": "list[int]", "phrase": "str"}  # fmt: skip
