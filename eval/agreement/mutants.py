"""Programs that differ from a right one in one place: an operator, a constant, a line or a name."""

import ast
import random
from collections.abc import Iterator
from dataclasses import dataclass

_SWAPS: dict[type[ast.AST], tuple[type[ast.AST], ...]] = {
    ast.Add: (ast.Sub, ast.Mult),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Add, ast.FloorDiv),
    ast.Div: (ast.FloorDiv, ast.Mult),
    ast.FloorDiv: (ast.Div, ast.Mod),
    ast.Mod: (ast.FloorDiv,),
    ast.Pow: (ast.Mult,),
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.GtE),
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.LtE),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.And: (ast.Or,),
    ast.Or: (ast.And,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}


@dataclass(frozen=True)
class Mutant:
    """A program and what was changed in it: "operator", "constant", "line" or "name"."""

    code: str
    change: str
    line: int


def mutants(code: str, rng: random.Random) -> list[Mutant]:
    """All mutants of a program, each of another text, in random order.

    Raises SyntaxError if the program does not compile.
    """
    found: dict[str, Mutant] = {}
    count = sum(1 for _ in ast.walk(ast.parse(code)))
    for index in range(count):
        for mutant in _mutants_at(code, index, rng):
            found.setdefault(mutant.code, mutant)
    found.pop(ast.unparse(ast.parse(code)), None)
    made = list(found.values())
    rng.shuffle(made)
    return made


def _mutants_at(code: str, index: int, rng: random.Random) -> Iterator[Mutant]:
    """The mutants that change the node of this number. Each has a tree of its own."""
    node = _node(code, index)[1]
    line = getattr(node, "lineno", 0)
    if isinstance(node, ast.BinOp | ast.AugAssign | ast.BoolOp):
        for other in _SWAPS.get(type(node.op), ()):
            tree, changed = _node(code, index)
            changed.op = other()  # type: ignore[attr-defined]
            yield Mutant(ast.unparse(tree), "operator", line)
    elif isinstance(node, ast.Compare):
        for other in _SWAPS.get(type(node.ops[0]), ()):
            tree, changed = _node(code, index)
            changed.ops[0] = other()  # type: ignore[attr-defined]
            yield Mutant(ast.unparse(tree), "operator", line)
    elif isinstance(node, ast.Constant):
        for value in _other_constants(node.value):
            tree, changed = _node(code, index)
            changed.value = value  # type: ignore[attr-defined]
            yield Mutant(ast.unparse(tree), "constant", line)
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        names = sorted({n.id for n in ast.walk(ast.parse(code)) if isinstance(n, ast.Name)})
        others = [name for name in names if name != node.id]
        if others:
            tree, changed = _node(code, index)
            changed.id = rng.choice(others)  # type: ignore[attr-defined]
            yield Mutant(ast.unparse(tree), "name", line)
    elif isinstance(node, ast.FunctionDef | ast.For | ast.While | ast.If):
        yield from _without_lines(code, index)


def _without_lines(code: str, index: int) -> Iterator[Mutant]:
    """Each statement of a block but a docstring replaced by `pass`."""
    body = _node(code, index)[1].body  # type: ignore[attr-defined]
    for place, statement in enumerate(body):
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
            continue
        tree, changed = _node(code, index)
        changed.body[place] = ast.Pass()  # type: ignore[attr-defined]
        yield Mutant(ast.unparse(tree), "line", statement.lineno)


def _other_constants(value: object) -> list[object]:
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int | float):
        return [value + 1, value - 1]
    if isinstance(value, str) and "\n" not in value:
        return [value + "x"] if value == "" else ["", value[1:]]
    return []


def _node(code: str, index: int) -> tuple[ast.AST, ast.AST]:
    tree = ast.parse(code)
    return tree, next(node for number, node in enumerate(ast.walk(tree)) if number == index)
