"""What a function carries along, and what it cannot."""

import pytest

from data.functions.module import Module, names_of
from data.functions.needs import MOST_BYTES, NeedsError, needed

TEXT = """\
import os, re, json as j
from a.b import (c, d as e)
import own.part
from . import near
ONE = 1
TWO = ONE + 1
TABLE = []
TABLE.append(TWO)
print(TABLE)
COUNT = 0
COUNT += 1
del COUNT
def helper(x):
    return f(x) + ONE
def f(x):
    return helper(x)
def lazy():
    from own import z
    return z
def check(x):
    return x
"""


def of(names: str, text: str = TEXT) -> list[str]:
    return needed(Module(text), names.split(), "f", "own")


def test_names_are_followed_and_stay_in_order() -> None:
    assert of("re ONE") == ["import re", "ONE = 1"]
    assert of("e j os c") == ["import os, json as j", "from a.b import c, d as e"]
    assert of("TWO") == ["ONE = 1", "TWO = ONE + 1"]
    assert of("f x len nowhere") == []
    assert of("helper") == ["ONE = 1", "def helper(x):\n    return f(x) + ONE"]
    assert of("COUNT") == ["COUNT = 0", "COUNT += 1"]


def test_what_changes_a_thing_comes_along() -> None:
    """But for what only reads it."""
    assert of("TABLE") == ["ONE = 1", "TWO = ONE + 1", "TABLE = []", "TABLE.append(TWO)"]


@pytest.mark.parametrize("name", ["own", "near", "lazy"])
def test_nothing_comes_from_the_package_itself(name: str) -> None:
    with pytest.raises(NeedsError, match="needs its package"):
        of(name)
    # The library's own packages are there.
    assert needed(Module("import email.utils\n"), ["email"], "f", "email") == ["import email.utils"]


def test_a_function_needs_little() -> None:
    text = f"T = '{'x' * MOST_BYTES}'\n"
    with pytest.raises(NeedsError, match="needs too much"):
        of("T", text)
    assert of("T", text.replace("xxxxxxx", "", 1)) == [text.replace("xxxxxxx", "", 1).strip()]


def test_a_helper_of_the_tests_own_name_is_refused() -> None:
    with pytest.raises(NeedsError, match="needs a name check"):
        of("check")


def test_circles_end() -> None:
    text = "def a(): return b()\ndef b(): return a()\ndef f(): return a()\n"
    assert len(of(" ".join(names_of(text).binds), text)) == 2
