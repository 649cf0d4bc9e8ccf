"""Right programs that use much of the language and of the standard library.

The problem: f(x) returns x twice. Each text is the whole program of a sample, and each is right.
"""

PROGRAMS: dict[str, str] = {
    "thirty modules at once": """
import abc, base64, bisect, cmath, collections, copy, datetime, enum, fractions, functools
import hashlib, heapq, itertools, json, math, numbers, operator, random, re, statistics, string
import struct, sys, textwrap, time, typing, unicodedata, uuid, zlib
from collections import Counter, defaultdict, deque, OrderedDict
from typing import Any, Dict, List, Optional, Tuple, Union

def f(x):
    times = math.gcd(4, 6)
    assert heapq.nsmallest(1, [3, 1])[0] == bisect.bisect([1, 2], 1) == 1
    assert zlib.decompress(zlib.compress(b"a")) == base64.b64decode("YQ==")
    assert struct.unpack("<I", struct.pack("<I", 7)) == (7,) and abs(cmath.exp(0)) == 1
    assert statistics.mean([1, 3]) == 2 and re.sub("a+", "b", "aa") == "b"
    assert unicodedata.name("a") and hashlib.sha256(b"").hexdigest()[:4] == "e3b0"
    assert datetime.date(2020, 2, 29).isoformat() == "2020-02-29"
    return x * times
""",
    "star imports": """
from math import *
from typing import *
from collections import *
from itertools import *
from functools import *
from string import *
from random import *

def f(x):
    return x * int(sqrt(4))
""",
    "modules that may be missing": """
try:
    import numpy as np
except ImportError:
    np = None
for name in ("pandas", "scipy", "sympy", "tkinter", "resource", "psutil", "sqlite3", "curses"):
    try:
        __import__(name)
    except ImportError:
        print("no", name)

def f(x):
    return x * 2
""",
    "a match statement": """
def f(x):
    match x:
        case int() | float():
            return x + x
        case str(text):
            return f"{text}{text}"
        case [*items] if isinstance(x, list):
            return items + items
        case (first, *rest):
            return (first, *rest, first, *rest)
        case _:
            return x * 2
""",
    "dataclasses": """
from dataclasses import dataclass, field, replace

@dataclass(frozen=True, order=True)
class Job:
    value: object = None
    times: int = 1
    notes: list = field(default_factory=list, compare=False)

    def run(self):
        return self.value * self.times

def f(x):
    return replace(Job(x), times=2).run()
""",
    "typing of every kind": """
from __future__ import annotations
import typing
from abc import ABC, abstractmethod
from typing import Callable, ClassVar, Final, Generic, Literal, NamedTuple, Protocol, TypedDict
from typing import TypeVar, overload, get_type_hints, runtime_checkable

T = TypeVar("T")
Mode = Literal["sum", "product"]
TIMES: Final[int] = 2

@runtime_checkable
class Multiplies(Protocol):
    def __mul__(self, times: int) -> Multiplies: ...

class Point(NamedTuple):
    x: int = 0
    y: int = 0

class Options(TypedDict, total=False):
    mode: Mode

class Base(ABC, Generic[T]):
    registry: ClassVar[dict[str, type]] = {}

    def __init_subclass__(cls, **named):
        Base.registry[cls.__name__] = cls

    @abstractmethod
    def run(self, x: T) -> T: ...

class Double(Base[T]):
    def run(self, x: T) -> T:
        return x * TIMES

@overload
def f(x: int) -> int: ...
@overload
def f(x: str) -> str: ...
def f(x):
    assert isinstance(x, Multiplies) and Point(y=1).y == 1
    return Base.registry["Double"]().run(x)
""",
    "generators and walrus": """
import itertools

def items(x):
    while (count := sum(1 for _ in ())) == 0:
        yield x
        received = yield from iter([x])
        if received is None:
            return

def f(x):
    first, second = items(x)
    return first + second
""",
    "a generator that is sent to": """
def running():
    total = None
    while True:
        new = yield total
        total = new if total is None else total + new

def f(x):
    machine = running()
    next(machine)
    machine.send(x)
    answer = machine.send(x)
    machine.close()
    return answer
""",
    "a generator never finished": """
def endless(x):
    try:
        while True:
            yield x
    finally:
        print("closed")

held = []

def f(x):
    machine = endless(x)
    held.append(machine)
    return next(machine) + next(machine)
""",
    "an asynchronous generator and context": """
import asyncio, contextlib

@contextlib.asynccontextmanager
async def pair():
    yield 2

async def parts(x):
    async with pair() as times:
        for _ in range(times):
            yield x

async def collect(x):
    found = [part async for part in parts(x)]
    return found[0] + found[1]

def f(x):
    return asyncio.run(collect(x))
""",
    "a coroutine driven by hand": """
async def twice(x):
    return x * 2

def f(x):
    work = twice(x)
    try:
        work.send(None)
    except StopIteration as end:
        return end.value
""",
    "context variables": """
import contextvars
times = contextvars.ContextVar("times", default=1)

def f(x):
    context = contextvars.copy_context()
    context.run(times.set, 2)
    return context.run(lambda: x * times.get())
""",
    "errors raised and caught": """
class Odd(Exception):
    def __init__(self, value):
        super().__init__("odd")
        self.value = value

def inner(x):
    try:
        raise Odd(x)
    except Odd as error:
        raise ValueError("again") from error

def f(x):
    try:
        inner(x)
    except ValueError as error:
        return error.__cause__.value * 2
    finally:
        print("done")
""",
    "groups of errors": """
def f(x):
    found = []
    try:
        raise ExceptionGroup("both", [ValueError(x), TypeError(x)])
    except* ValueError as group:
        found.append(group.exceptions[0].args[0])
    except* TypeError as group:
        found.append(group.exceptions[0].args[0])
    return found[0] + found[1]
""",
    "big integers in between": """
def f(x):
    big = 10**5000 + 7
    assert len(str(big % 10**4000)) >= 1 and pow(3, big, 97) > 0
    factor = (big * 2) // big
    return x * factor
""",
    "numbers of every kind": """
import cmath, math
from decimal import Decimal
from fractions import Fraction

def f(x):
    times = Fraction(1, 3) * 6 + int(Decimal("0.1") * 0) + int(abs(3 + 4j) - 5)
    assert math.isnan(float("nan")) and math.inf > 10**300 and cmath.sqrt(-1) == 1j
    return x * int(times)
""",
    "hash order does not matter": """
def f(x):
    names = {"alpha", "beta", "gamma", "delta", "epsilon"}
    first = next(iter(names))
    order = sorted(names, key=lambda name: (len(name), hash(name)))
    return x * (2 if first in order else 3)
""",
    "deep copies": """
import copy

class Node:
    def __init__(self, value, parent=None):
        self.value, self.parent, self.children = value, parent, []
        if parent is not None:
            parent.children.append(self)

def f(x):
    root = Node(x)
    Node(x, root)
    twin = copy.deepcopy(root)
    return twin.value + twin.children[0].value
""",
    "sorting, heaps and bisection": """
import bisect, heapq
from functools import cmp_to_key

def f(x):
    heap = [(3, "c"), (1, "a"), (2, "b")]
    heapq.heapify(heap)
    ordered = sorted(heap, key=cmp_to_key(lambda a, b: a[0] - b[0]), reverse=True)
    place = bisect.bisect_left([1, 2, 3], 3)
    return x * (place if ordered[0][0] == 3 and heapq.heappop(heap)[1] == "a" else 0)
""",
    "slots, properties and descriptors": """
class Typed:
    def __set_name__(self, owner, name):
        self.name = "_" + name

    def __get__(self, instance, owner=None):
        return self if instance is None else getattr(instance, self.name)

    def __set__(self, instance, value):
        setattr(instance, self.name, value)

class Box:
    __slots__ = ("_value",)
    value = Typed()

    @property
    def twice(self):
        return self.value * 2

    def __getattr__(self, name):
        raise AttributeError(name)

def f(x):
    box = Box()
    box.value = x
    return box.twice
""",
    "a class with every operator": """
class Lazy:
    def __init__(self, x):
        self.x = x

    def __add__(self, other):
        return self.x + other.x

    def __eq__(self, other):
        raise RuntimeError("never compare me")

    def __bool__(self):
        raise RuntimeError("never ask me")

def f(x):
    return Lazy(x) + Lazy(x)
""",
    "looks at itself": """
import inspect, sys

def f(x):
    frame = sys._getframe()
    assert frame.f_code.co_name == "f" and "x" in frame.f_locals
    assert list(inspect.signature(f).parameters) == ["x"]
    return frame.f_locals["x"] * 2
""",
    "compiles and evaluates": """
import ast

def f(x):
    tree = ast.parse("x * 2", mode="eval")
    scope = {"x": x}
    return eval(compile(tree, "<made>", "eval"), {"__builtins__": {}}, scope)
""",
    "text by way of JSON, regular expressions and templates": """
import json, re, string

def f(x):
    if isinstance(x, str):
        text = string.Template("$x$x").substitute(x=x)
        return json.loads(json.dumps({"k": re.sub(r"(?P<all>.+)", r"\\g<all>", text)}))["k"]
    return x * 2
""",
    "weak references and finalizers": """
import weakref

class Thing:
    def __del__(self):
        print("gone")

def f(x):
    thing = Thing()
    weakref.finalize(thing, print, "finalized")
    seen = weakref.ref(thing)
    del thing
    return x * (2 if seen() is None else 3)
""",
    "comprehensions in comprehensions": """
def f(x):
    if isinstance(x, int):
        return sum([y for y in [x for _ in range(2)]])
    if isinstance(x, str):
        return "".join(c for _ in (1, 2) for c in x)
    return type(x)(item for _ in {1: "a", 2: "b"} for item in x)
""",
    "unpacks in every way": """
def f(x):
    (a, *b), c = [x, x, x], {"k": x, **{"l": x}}
    del a, b[0]
    keep, = b
    return (lambda left, *, right: left + right)(*[keep], **{"right": c["l"]})
""",
    "mock, doctest and unittest imported": """
import doctest, unittest
from unittest import mock

class Tests(unittest.TestCase):
    def test_it(self):
        self.assertEqual(f(2), 4)

def f(x):
    spy = mock.Mock(return_value=x * 2)
    return spy()

unittest.TextTestRunner().run(unittest.TestLoader().loadTestsFromTestCase(Tests))
""",
}
