"""Statements at the left margin, and their names."""

from data.functions.module import Module, names_of

TEXT = '''\
"""A module."""
from __future__ import annotations
import os.path, re as regex; X = 1
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from elsewhere import Hint
TABLE = {}
TABLE["a"] = X
TABLE.update(b=2)
for i in range(3): TABLE[i] = i
del i
try:
    import fast
except ImportError:
    fast = None

@decorated(X)
def f(a: Hint, b=TABLE):
    c = a + b
    return [fast(d) for d in c if regex]

class C:
    def m(self): return X
    async def n(self): return 1

async def g(): pass
if __name__ == "__main__":
    TABLE.clear()
'''


def test_names_are_those_of_python() -> None:
    names = names_of(
        "@d\ndef f(a: A, b=B) -> C:\n    global G\n    G = a\n    return [x for x in H]\n"
    )
    assert names.binds == {"f"}
    assert names.needs == {"A", "B", "C", "G", "H", "d"}
    assert names_of("import a.b, c as d\nx = y\n").binds == {"a", "d", "x"}
    assert names_of("class C:\n    z = 1\n    def m(self): return z, self\n").needs == {"z"}
    assert names_of("try:\n    import a\nexcept E:\n    a = None\n").binds == {"a"}


def test_what_binds_and_what_changes() -> None:
    module = Module(TEXT)
    assert {name: len(found) for name, found in module.defined.items()} == {
        "annotations": 1, "os": 1, "regex": 1, "X": 1, "TYPE_CHECKING": 1, "TABLE": 1, "i": 1,
        "fast": 1, "f": 1, "C": 1, "g": 1,
    }  # fmt: skip
    changes = [one.text for one in module.changed["TABLE"]]
    assert changes == [
        'TABLE["a"] = X', "TABLE.update(b=2)", "for i in range(3): TABLE[i] = i",
    ]  # fmt: skip


def test_texts_are_the_modules_own() -> None:
    module = Module(TEXT)
    [x] = module.defined["X"]
    assert x.text == "X = 1"
    [f, g] = module.functions()
    assert f.text.startswith("@decorated(X)\ndef f(a: Hint")
    assert g.text == "async def g(): pass"
    assert [node.name for node in module.methods()] == ["m", "n"]


def test_line_ends_and_marks_do_not_matter() -> None:
    odd = Module("\ufeff" + TEXT.replace("\n", "\r\n"))
    assert [one.text for one in odd.statements] == [one.text for one in Module(TEXT).statements]
    module = Module("é = 'ü\x0cß'; x = 1\n\x0cdef f():\r    'é'\r    return 1\r")
    assert [one.text for one in module.statements] == [
        "é = 'ü\x0cß'", "x = 1", "\x0cdef f():\n    'é'\n    return 1",
    ]  # fmt: skip
