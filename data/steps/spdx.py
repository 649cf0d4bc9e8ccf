"""Licences by their SPDX identifiers: which are permissive, and what an expression allows."""

import re
from collections.abc import Iterator

# Licences that ask for no more than that their text is kept.
PERMISSIVE = (
    "0BSD", "AFL-3.0", "Apache-1.1", "Apache-2.0", "BlueOak-1.0.0", "BSD-1-Clause", "BSD-2-Clause",
    "BSD-2-Clause-Patent", "BSD-3-Clause", "BSD-3-Clause-Clear", "BSD-3-Clause-LBNL",
    "BSL-1.0", "CC0-1.0", "CNRI-Python", "curl", "FTL", "HPND", "ICU", "ISC", "MIT", "MIT-0",
    "MIT-CMU", "NCSA", "PostgreSQL", "PSF-2.0", "Python-2.0", "Python-2.0.1", "Unicode-3.0",
    "Unlicense", "UPL-1.0", "W3C", "WTFPL", "X11", "Zlib", "ZPL-2.0", "ZPL-2.1",
)  # fmt: skip
_PERMISSIVE = frozenset(name.lower() for name in PERMISSIVE)
_WORD = re.compile(r"\(|\)|[A-Za-z0-9.+:-]+")


def is_permissive(expression: str) -> bool | None:
    """Whether an SPDX expression lets the text be used under a permissive licence.

    Of `A OR B` one is enough; of `A AND B` both must be. None if it is no SPDX expression.
    """
    words = _WORD.findall(expression)
    if "".join(words) != "".join(expression.split()) or not words:
        return None
    rest = iter([*words, ")"])
    try:
        value = _alternatives(rest, 0)
    except (StopIteration, ValueError):
        return None
    return None if next(rest, None) is not None else value


# Deeper expressions are nobody's.
_MOST_DEPTH = 20


def _alternatives(words: Iterator[str], depth: int) -> bool:
    """The value of `A AND B OR C ...` up to its closing bracket, which is taken."""
    if depth > _MOST_DEPTH:
        raise ValueError
    alternatives, value = False, True
    while True:
        value &= _one(words, depth)
        word = next(words)
        if word.upper() == "WITH":
            # An exception only adds permissions.
            next(words)
            word = next(words)
        if word == ")":
            return alternatives or value
        if word.upper() == "OR":
            alternatives, value = alternatives or value, True
        elif word.upper() != "AND":
            raise ValueError


def _one(words: Iterator[str], depth: int) -> bool:
    word = next(words)
    if word == "(":
        return _alternatives(words, depth + 1)
    if word == ")" or word.upper() in ("AND", "OR", "WITH"):
        raise ValueError
    return word.lower().removesuffix("+") in _PERMISSIVE
