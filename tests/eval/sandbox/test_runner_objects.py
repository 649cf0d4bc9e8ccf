"""Tests that give functions and objects to programs, and get functions and objects from them."""

import pytest
from sandboxes import run_function

from eval.sandbox.runner import Limits, Program, Runner

SORT = """
def f(values, key=None, reverse=False):
    return sorted(values, key=key, reverse=reverse)
"""


def test_a_test_gives_a_function(runner: Runner) -> None:
    test = """
assert candidate([1, -3, 2]) == [-3, 1, 2]
assert candidate([1, -3, 2], key=abs) == [1, 2, -3]
assert candidate([1, -3, 2], lambda x: x * x, reverse=True) == [-3, 2, 1]
assert candidate(["b", "A"], str.lower) == ["A", "b"]
seen = []
assert candidate([1, 2], lambda x: seen.append(x) or x) == [1, 2] and seen == [1, 2]
"""
    assert run_function(runner, SORT, test) == "passed"


def test_what_a_tests_function_raises_goes_through_the_program(runner: Runner) -> None:
    test = """
class Own(LookupError):
    pass
def broken(x):
    raise Own("not here")
try:
    candidate([1], key=broken)
except LookupError as error:
    assert str(error) == "not here"
else:
    assert False, "nothing was raised"
"""
    assert run_function(runner, SORT, test) == "passed"
    catches = """
def f(function):
    try:
        return function()
    except ZeroDivisionError as error:
        return str(error)
"""
    test = "assert candidate(lambda: 1 / 0) == 'division by zero'"
    assert run_function(runner, catches, test) == "passed"


def test_a_test_gives_objects(runner: Runner) -> None:
    source = """
def f(head):
    total = 0
    while head:
        total += head.value
        head.value = -head.value
        head = head.next
    return total
"""
    test = """
class Node:
    def __init__(self, value, next=None):
        self.value, self.next = value, next
nodes = Node(1, Node(2, Node(3)))
assert candidate(nodes) == 6
assert (nodes.value, nodes.next.value, nodes.next.next.value) == (-1, -2, -3)
assert candidate(None) == 0
"""
    assert run_function(runner, source, test) == "passed"


def test_a_program_makes_what_the_prompts_helpers_define(runner: Runner) -> None:
    """The test knows the helper's class, and so does the program, which has its own."""
    prompt = "class Node:\n    def __init__(self, value):\n        self.value = value\n"
    source = f"{prompt}\ndef f(x):\n    return Node(x)\n"
    test = "def check(f):\n    assert f(5).value == 5 and Node(3).value == 3\n"
    program = Program(source, test, "f", prompt, f"{source}\n{test}\ncheck(f)")
    assert runner.run(program, Limits()) == "passed"


def test_a_program_gives_functions_and_objects(runner: Runner) -> None:
    source = """
class Counter:
    def __init__(self, start):
        self.count, self._own = start, 1
    def add(self, by=1):
        self.count += by
        return self
    def __len__(self):
        return self.count
def f(x):
    if x == "function":
        return lambda y, z=1: y * z
    if x == "generator":
        return (n * n for n in range(4))
    if x == "class":
        return Counter
    if x == "both":
        return [Counter(1), {"a": Counter(2)}]
    return Counter(0)
"""
    test = """
times = candidate("function")
assert times(3) == 3 and times(3, z=2) == 6 and callable(times)
assert list(candidate("generator")) == [0, 1, 4, 9]
found = candidate("generator")
assert next(found) == 0 and sum(found) == 14
made = candidate("class")(5)
assert made.count == 5 and made.add(2).add().count == 8
made.count = 20
assert made.add().count == 21
assert hasattr(made, "count") and not hasattr(made, "other") and not hasattr(made, "_own")
one, other = candidate("both")
assert one.count == 1 and other["a"].count == 2
assert not candidate("empty")
assert type(candidate("empty")).__name__ == "Counter"
"""
    assert run_function(runner, source, test) == "passed"


def test_an_object_of_the_program_equals_nothing(runner: Runner) -> None:
    source = """
class Anything:
    def __eq__(self, other):
        return True
    __ne__ = __lt__ = __gt__ = __eq__
    __hash__ = object.__hash__
    def __call__(self, *_):
        return self
    def __getattr__(self, name):
        return self
def f(x):
    return Anything()
"""
    for test in ("assert candidate(1) == 2", "assert not candidate(1) != 2",
                 "assert candidate(1) in [2]",
                 "assert 2 == candidate(1)", "assert candidate(1).x == 2",
                 "assert candidate(1)(1) == 2",
                 "assert [candidate(1)] == [2]", "assert {2: 1}[candidate(1)]",
                 "assert isinstance(candidate(1), int)", "assert candidate(1) < 2",
                 "import math; assert math.isclose(candidate(1), 2)"):  # fmt: skip
        assert run_function(runner, source, test).startswith("failed"), test


def test_arguments_are_the_tests_own_still(runner: Runner) -> None:
    """What a program does to its arguments is not seen outside, but for the one it gives back."""
    source = "def f(x):\n    x.append(1)\n    return x\n"
    test = """
values = [0]
assert candidate(values) == [0, 1]
assert values == [0], values
"""
    assert run_function(runner, source, test) == "passed"
    same = "values = [0, 0.5]\nassert candidate(values) is values"
    assert run_function(runner, "def f(x): return x", same) == "passed"
    new = "values = [0]\nassert candidate(values) == values\nassert candidate(values) is not values"
    assert run_function(runner, "def f(x): return x[:]", new) == "passed"


@pytest.mark.parametrize(
    ("error", "wanted"),
    [
        ("ValueError('why')", "ValueError"), ("KeyError('why')", "LookupError"),
        ("type('Own', (TypeError,), {})('why')", "TypeError"), ("SystemExit('why')", "SystemExit"),
        ("KeyboardInterrupt('why')", "KeyboardInterrupt"), ("OSError(2, 'why')", "OSError"),
    ],
)  # fmt: skip
def test_exceptions_reach_the_test_by_their_class(runner: Runner, error: str, wanted: str) -> None:
    source = f"def f(x):\n    raise {error}\n"
    test = f"""
try:
    candidate(1)
except {wanted} as error:
    assert "why" in str(error)
else:
    assert False
"""
    assert run_function(runner, source, test) == "passed"
    other = f"try:\n    candidate(1)\nexcept ({wanted}.__mro__[0], ZeroDivisionError)[1]:\n    pass"
    assert run_function(runner, source, other).startswith("failed: ")


def test_an_exceptions_arguments_reach_the_test(runner: Runner) -> None:
    test = """
try:
    candidate(1)
except ValueError as error:
    assert error.args == ("why",), error.args
"""
    assert run_function(runner, "def f(x): raise ValueError('why')", test) == "passed"


def test_the_test_is_unknown_to_the_program(walled: Runner) -> None:
    """Neither its text nor what it expects is anywhere in the program's process."""
    source = """
import gc, sys
def f(x):
    found, frame = [], sys._getframe()
    while frame:
        found += [frame.f_code.co_filename, *map(str, frame.f_locals.values())]
        frame = frame.f_back
    for thing in gc.get_objects():
        if type(thing) in (list, tuple, dict):
            found.append(repr(thing)[:2000])
    text = "".join(found)
    return [word for word in ("hunter%d" % x, f"assert {'cand'}idate({x})") if word in text]
"""
    test = "assert candidate(2) == [], candidate(2)\nassert candidate(3) != 'hunter2'"
    assert run_function(walled, source, test) == "passed"


def test_no_object_leads_to_the_tests_frames(walled: Runner) -> None:
    """A coroutine that a test passes has its frame as a public attribute."""
    source = """
def f(x):
    try:
        return "found" if x.cr_frame.f_globals else "nothing"
    except AttributeError:
        return "hidden"
"""
    test = """
async def wait():
    pass
secret = wait()
assert candidate(secret) == "hidden"
secret.close()
"""
    assert run_function(walled, source, test) == "passed"
