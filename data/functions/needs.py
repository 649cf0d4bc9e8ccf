"""What a function needs of its module: imports, constants and helpers, found by their names."""

import ast
import sys
from collections.abc import Iterable

from data.functions.module import Module, Statement

MOST_BYTES = 4000
"""What a function may need: more than this is no small function any more."""
_MOST_STATEMENTS = 1000


class NeedsError(Exception):
    """Why a function cannot stand alone, as a reason that is counted."""


def needed(module: Module, names: Iterable[str], entry: str, package: str) -> list[str]:
    """The statements that these names need, as texts in the order of the module.

    `entry` is the function itself, which is not among them. `package`: the module's package, which
    nothing may be imported from. Raises NeedsError.
    """
    todo, known = list(names), {entry}
    taken: dict[tuple[int, int], Statement] = {}
    aliases: dict[tuple[int, int], set[str]] = {}
    while todo:
        name = todo.pop()
        if name in known:
            continue
        known.add(name)
        found = module.defined.get(name, [])
        if any(isinstance(one.node, ast.Assign | ast.AnnAssign) for one in found):
            found = [*found, *module.changed.get(name, [])]
        for statement in found:
            at = statement.node.lineno, statement.node.col_offset
            aliases.setdefault(at, set()).add(name)
            if at not in taken:
                taken[at] = statement
                todo += statement.names.needs
            if len(taken) > _MOST_STATEMENTS:
                raise NeedsError("needs too much")
    chosen = [taken[at] for at in sorted(taken)]
    texts = [_text(taken[at], aliases[at], package) for at in sorted(taken)]
    if sum(len(text.encode()) for text in texts) > MOST_BYTES:
        raise NeedsError("needs too much")
    if any(map(_binds_check, chosen)):
        raise NeedsError("needs a name check")
    return texts


def _binds_check(statement: Statement) -> bool:
    return "check" in statement.names.binds


def _text(statement: Statement, names: set[str], package: str) -> str:
    """A statement's text; of an import only the names that are needed."""
    for node in ast.walk(statement.node):
        if isinstance(node, ast.Import | ast.ImportFrom) and is_own(node, package):
            raise NeedsError("needs its package")
    node = statement.node
    if not isinstance(node, ast.Import | ast.ImportFrom):
        return statement.text
    kept = [alias for alias in node.names if _bound_by(alias) in names]
    if isinstance(node, ast.Import):
        return ast.unparse(ast.Import(kept))
    return ast.unparse(ast.ImportFrom(node.module, kept, node.level))


def is_own(node: ast.Import | ast.ImportFrom, package: str) -> bool:
    """Whether something is imported from the package itself, which is not there behind the walls.

    All that is in the standard library is there.
    """
    if isinstance(node, ast.ImportFrom) and node.level:
        return True
    roots = (
        [node.module or ""] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names]
    )
    foreign = {root.partition(".")[0] for root in roots} - sys.stdlib_module_names
    return package in foreign


def _bound_by(alias: ast.alias) -> str:
    return alias.asname or alias.name.partition(".")[0]
