"""A module's statements at the left margin: what each binds, what it needs, and its text.

Nothing is imported or run: names are found by Python's own tables of symbols.
"""

import ast
import functools
import symtable
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

# What parsing a text may raise, however deep it is nested.
BROKEN = (SyntaxError, ValueError, RecursionError, MemoryError)
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_COMPOUND = (
    *_DEFINITIONS, ast.If, ast.For, ast.While, ast.Try, ast.TryStar, ast.With, ast.Match,
)  # fmt: skip
_IMPORTS = (ast.Import, ast.ImportFrom)


@dataclass(frozen=True)
class Names:
    """What a text binds at the left margin, and which names it takes from there, or from Python."""

    binds: frozenset[str]
    needs: frozenset[str]


def names_of(text: str) -> Names:
    """The names of a text. Raises one of BROKEN if it is no Python."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        top = symtable.symtable(text, "<text>", "exec")
    binds, needs = set[str](), set[str]()
    tables = [top]
    while tables:
        table = tables.pop()
        tables += table.get_children()
        for symbol in table.get_symbols():
            name = symbol.get_name()
            if table is top and (symbol.is_assigned() or symbol.is_imported()):
                binds.add(name)
            if symbol.is_referenced() if table is top else symbol.is_global():
                needs.add(name)
    return Names(frozenset(binds), frozenset(needs))


@dataclass(frozen=True)
class Statement:
    """A statement at the left margin. `text` has its decorators, and no newline at the end."""

    node: ast.stmt
    text: str

    @functools.cached_property
    def names(self) -> Names:
        return names_of(self.text)

    @property
    def changes(self) -> set[str]:
        """Names of things that it changes without binding them: by a method, a place, a part."""
        if isinstance(self.node, (*_DEFINITIONS, *_IMPORTS)):
            return set()
        found = set[str]()
        for node in ast.walk(self.node):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                found.add(_name(node.func.value))
            elif isinstance(node, ast.Subscript | ast.Attribute):
                found.add("" if isinstance(node.ctx, ast.Load) else _name(node.value))
        return found - {""}


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else ""


class Module:
    """A module's text with its statements. Raises one of BROKEN if it is no Python.

    `defined` are the statements that bind a name, `changed` those that change what it is bound to.
    """

    def __init__(self, text: str) -> None:
        text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
        self.lines = text.split("\n")
        self._octets = (0, b"")
        self.statements = [Statement(node, self._text(node)) for node in tree.body]

    @functools.cached_property
    def defined(self) -> dict[str, list[Statement]]:
        found: dict[str, list[Statement]] = {}
        for statement in self._used():
            for name in statement.names.binds:
                found.setdefault(name, []).append(statement)
        return found

    @functools.cached_property
    def changed(self) -> dict[str, list[Statement]]:
        found: dict[str, list[Statement]] = {}
        for statement in self._used():
            for name in statement.changes - statement.names.binds:
                found.setdefault(name, []).append(statement)
        return found

    def _used(self) -> Iterator[Statement]:
        """The statements but for deletions, and what only type checkers and scripts take."""
        for statement in self.statements:
            node = statement.node
            if isinstance(node, ast.Delete):
                continue
            if isinstance(node, ast.If) and {"__name__", "TYPE_CHECKING"} & {
                getattr(inner, "id", getattr(inner, "attr", "")) for inner in ast.walk(node.test)
            }:
                continue
            yield statement

    def functions(self) -> Iterator[Statement]:
        """The functions at the left margin, async ones too."""
        for statement in self.statements:
            if isinstance(statement.node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield statement

    def methods(self) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
        """The methods of classes at the left margin."""
        for statement in self.statements:
            if isinstance(statement.node, ast.ClassDef):
                for node in statement.node.body:
                    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                        yield node

    def _text(self, node: ast.stmt) -> str:
        decorators = node.decorator_list if isinstance(node, _DEFINITIONS) else []
        first = min([node.lineno, *(decorator.lineno for decorator in decorators)])
        assert node.end_lineno is not None
        lines = self.lines[first - 1 : node.end_lineno]
        if isinstance(node, _COMPOUND):
            return "\n".join(lines)
        # Others may stand in the same line. Columns count bytes.
        if first == node.end_lineno:
            return self._line(first)[node.col_offset : node.end_col_offset].decode()
        lines[-1] = self._line(node.end_lineno)[: node.end_col_offset].decode()
        lines[0] = self._line(first)[node.col_offset :].decode()
        return "\n".join(lines)

    def _line(self, number: int) -> bytes:
        # The last one is kept: a long line may have a hundred thousand statements.
        if self._octets[0] != number:
            self._octets = number, self.lines[number - 1].encode()
        return self._octets[1]
