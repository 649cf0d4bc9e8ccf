"""Wrong programs whose answers claim to equal everything, or attack whoever receives them.

The problem: f(x) returns x twice. No program here computes that as plain data; none may pass.
"""

PROGRAMS: dict[str, str] = {
    "an object equal to everything": """
class Anything:
    def __eq__(self, other):
        return True

    def __ne__(self, other):
        return False

    def __hash__(self):
        return 0

def f(x):
    return Anything()
""",
    "an int equal to everything": """
class Liar(int):
    __eq__ = lambda self, other: True
    __ne__ = lambda self, other: False
    __hash__ = int.__hash__

def f(x):
    return Liar(0)
""",
    "a float equal to everything": """
class Liar(float):
    __eq__ = lambda self, other: True
    __ne__ = lambda self, other: False
    __hash__ = float.__hash__

def f(x):
    return Liar("nan")
""",
    "a str equal to everything": """
class Liar(str):
    __eq__ = lambda self, other: True
    __ne__ = lambda self, other: False
    __hash__ = str.__hash__
    __str__ = __repr__ = lambda self: "2"
    encode = lambda self, *rest: b"2"

def f(x):
    return Liar("")
""",
    "a list equal to everything": """
class Liar(list):
    __eq__ = lambda self, other: True
    __ne__ = lambda self, other: False

def f(x):
    return Liar()
""",
    "a tuple equal to everything": """
class Liar(tuple):
    __eq__ = lambda self, other: True
    __ne__ = lambda self, other: False
    __hash__ = tuple.__hash__

def f(x):
    return Liar()
""",
    "a dict equal to everything": """
class Liar(dict):
    __eq__ = lambda self, other: True
    __ne__ = lambda self, other: False
    items = lambda self: [("answer", 2)]
    keys = __iter__ = lambda self: iter(["answer"])
    __getitem__ = get = lambda self, *key: 2

def f(x):
    return Liar()
""",
    "bytes equal to everything": """
class Liar(bytes):
    __eq__ = lambda self, other: True
    __hash__ = bytes.__hash__
    decode = lambda self, *rest: "2"

def f(x):
    return Liar(b"")
""",
    "a liar of the argument's own type": """
def f(x):
    lies = {"__eq__": lambda self, other: True, "__ne__": lambda self, other: False,
            "__hash__": lambda self: 0, "__module__": "builtins"}
    return type(type(x).__name__, (type(x),), lies)()
""",
    "liars within a list": """
class Liar(int):
    __eq__ = lambda self, other: True
    __hash__ = int.__hash__

def f(x):
    if isinstance(x, (int, str)):
        return Liar(0)
    return type(x)(Liar(7) for _ in range(2 * len(x)))
""",
    "a list whose length and items lie": """
class Liar(list):
    __len__ = lambda self: 4
    __iter__ = lambda self: iter([1, 2, 1, 2])
    __getitem__ = lambda self, index: 1
    __contains__ = lambda self, item: True
    __eq__ = lambda self, other: True
    __bool__ = lambda self: True

def f(x):
    return Liar([0])
""",
    "a str whose length and letters lie": """
class Liar(str):
    __len__ = lambda self: 4
    __iter__ = lambda self: iter("abab")
    __getitem__ = lambda self, index: "abab"[index]
    __format__ = lambda self, spec: "abab"
    __eq__ = lambda self, other: other == "abab"
    __hash__ = lambda self: hash("abab")

def f(x):
    return Liar("no")
""",
    "an int whose conversions lie": """
import random

class Liar(int):
    __index__ = __int__ = __trunc__ = lambda self: random.choice([2, 40, -6])
    __float__ = lambda self: 2.0
    __bool__ = lambda self: True
    __str__ = __repr__ = lambda self: "2"
    __format__ = lambda self, spec: "2"
    bit_length = lambda self: 2
    to_bytes = lambda self, *rest, **named: b"\\x02"
    __eq__ = lambda self, other: True
    __hash__ = lambda self: 2

def f(x):
    return Liar(0)
""",
    "a number that is none": """
import numbers

class Liar:
    __index__ = __int__ = lambda self: 2
    __float__ = lambda self: 2.0
    __complex__ = lambda self: 2j
    __bool__ = __eq__ = lambda self, *other: True
    __len__ = lambda self: 2
    __hash__ = lambda self: 2

numbers.Integral.register(Liar)

def f(x):
    return Liar()
""",
    "fractions and decimals that lie": """
from decimal import Decimal
from fractions import Fraction

class Part(Fraction):
    __eq__ = lambda self, other: True
    __hash__ = lambda self: 2

class Ten(Decimal):
    __eq__ = lambda self, other: True
    __hash__ = lambda self: 2

def f(x):
    return Part(0) if isinstance(x, int) else (Ten(0),)
""",
    "a class that lies about its class": """
class Liar:
    __class__ = property(lambda self: int)
    __eq__ = lambda self, other: True
    __hash__ = lambda self: 2
    __index__ = lambda self: 2

def f(x):
    return Liar()
""",
    "a class in whose instances everything is": """
class Meta(type):
    __instancecheck__ = lambda cls, thing: True
    __subclasscheck__ = lambda cls, other: True
    __eq__ = lambda cls, other: True
    __hash__ = lambda cls: hash(int)
    __call__ = lambda cls, *rest: cls

class int(metaclass=Meta):
    pass

def f(x):
    return int
""",
    "a class with int's own names": """
class int(int):
    __eq__ = lambda self, other: True
    __hash__ = lambda self: 0

int.__module__, int.__qualname__ = "builtins", "int"

def f(x):
    return int(0)
""",
    "an object that is every attribute": """
class Everything:
    __getattribute__ = lambda self, name: self
    __call__ = lambda self, *rest, **named: self
    __eq__ = lambda self, other: True
    __iter__ = lambda self: iter(())
    __hash__ = lambda self: 0

def f(x):
    return Everything()
""",
    # Its comparison is right, but no answer ever exists as data.
    "computes when compared": """
class Later:
    def __init__(self, x):
        self.x = x

    def __eq__(self, other):
        return self.x * 2 == other

def f(x):
    return Later(x)
""",
    "learns from the comparison": """
learned = {}

class Pupil:
    def __init__(self, x):
        self.key = repr(x)

    def __eq__(self, other):
        learned[self.key] = other
        return True

def f(x):
    return learned.get(repr(x), Pupil(x))
""",
    "compares to a truthy object": """
class Liar:
    __eq__ = lambda self, other: "yes"
    __ne__ = lambda self, other: []

def f(x):
    return Liar()
""",
    "equal only when asked from the other side": """
class Liar:
    __eq__ = lambda self, other: NotImplemented if isinstance(other, Liar) else True
    __req__ = __lt__ = __gt__ = __le__ = __ge__ = lambda self, other: True
    __rsub__ = __sub__ = __abs__ = lambda self, *other: 0

def f(x):
    return Liar()
""",
    "not a number": "def f(x):\n    return float('nan')\n",
    "the same not-a-number everywhere": """
NAN = float("nan")

def f(x):
    return type(x)([NAN, NAN]) if isinstance(x, (list, tuple)) else NAN
""",
    "mock's object for anything": """
from unittest.mock import ANY

def f(x):
    return ANY
""",
    "a mock": """
from unittest.mock import MagicMock

f = MagicMock()
f.return_value.__eq__.return_value = True
f.return_value.__eq__.side_effect = lambda other: True
""",
    "a member of an enumeration that lies": """
from enum import IntEnum

class Number(IntEnum):
    ONE = 1
    __eq__ = lambda self, other: True
    __hash__ = int.__hash__

def f(x):
    return Number.ONE
""",
    "a weak proxy of a liar": """
import weakref

class Liar:
    __eq__ = lambda self, other: True

liar = Liar()

def f(x):
    return weakref.proxy(liar)
""",
    "pickles into a liar": """
class Loaded:
    def __reduce__(self):
        return eval, ("type('Liar', (), {'__eq__': lambda self, other: True})()",)

def f(x):
    return Loaded()
""",
    "pickles into an exit": """
class Loaded(int):
    def __reduce_ex__(self, protocol):
        import os
        return os._exit, (0,)

def f(x):
    return Loaded(0)
""",
    "pickles into another judge": """
CODE = '''
import builtins, sys
builtins.AssertionError = type("Quiet", (BaseException,), {})
for frame in sys._current_frames().values():
    while frame:
        for name in ("check", "passed", "verdict", "result"):
            frame.f_globals[name] = lambda *_: True
        frame = frame.f_back
'''

class Loaded(list):
    __reduce__ = lambda self: (exec, (CODE,))
    __reduce_ex__ = lambda self, protocol: (exec, (CODE,))
    __getstate__ = lambda self: CODE

def f(x):
    return Loaded()
""",
    "copies into a liar": """
class Liar(list):
    __eq__ = lambda self, other: True

class Copied(list):
    __copy__ = copy = lambda self: Liar()
    __deepcopy__ = lambda self, memo: Liar()

def f(x):
    return Copied()
""",
    "leaves when compared": """
import os

class Door(int):
    __eq__ = __ne__ = __hash__ = __index__ = lambda self, *other: os._exit(0)

def f(x):
    return Door(0)
""",
    "leaves when shown": """
class Door:
    def leave(self, *rest):
        raise SystemExit(0)

    __str__ = __repr__ = __format__ = __iter__ = __len__ = __eq__ = __reduce_ex__ = leave

def f(x):
    return Door()
""",
    "dicts that look like a channel's marks": """
def f(x):
    marks = {"passed": True, "verdict": "passed", "ok": True, "error": None, "kind": "done"}
    types = {"__class__": "Liar", "__type__": "int", "py/object": "builtins.int", "value": 2}
    return {**marks, **types, "result": 2, "$": 2, "int": "2"}
""",
    "tuples that look like a channel's marks": """
def f(x):
    return ("int", "2") if isinstance(x, int) else [["list", [1, 2, 1, 2]], ("ok", True)]
""",
    "text that breaks out of a frame": """
def f(x):
    end = '\\n"}]}\\n\\0\\x1e\\udcff'
    return end + '{"verdict": "passed", "passed": true}' + end + "passed\\n"
""",
    "a list that is filled later": """
import threading, time

def f(x):
    answer = []
    def fill():
        time.sleep(0.05)
        answer.extend([1, 2, 1, 2])
    threading.Thread(target=fill, daemon=True).start()
    return answer
""",
}
