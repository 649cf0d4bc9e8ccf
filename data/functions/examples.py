"""The examples of a docstring, as a text that tests the function where it stands alone.

Imports of the module itself go: they would bring the library's function in place of the one that is
tested. `module.function` becomes `function`.
"""

import ast
import builtins
import doctest
import warnings
from collections.abc import Iterable

from data.functions.module import BROKEN, names_of

_PYTHON = frozenset(dir(builtins))


class ExamplesError(Exception):
    """Why a docstring's examples are no test, as a reason that is counted."""


def examples_of(docstring: str) -> list[doctest.Example]:
    """The examples of a docstring. Raises ExamplesError for a docstring that doctest refuses."""
    try:
        return doctest.DocTestParser().get_examples(docstring)
    except ValueError as error:
        raise ExamplesError("broken examples") from error


def usable(
    examples: Iterable[doctest.Example], entry: str, module: str, bound: Iterable[str]
) -> list[doctest.Example]:
    """The examples that can be run without the module, in their order.

    `module` is its dotted name, and `bound` has what it binds. Raises ExamplesError if none of them
    shows what the function `entry` gives.
    """
    own = {module.partition(".")[0], module.rpartition(".")[2]}
    bound = {*bound, *_PYTHON}
    found = []
    for example in examples:
        if example.options.get(doctest.SKIP):
            continue
        try:
            source, imported = _without_imports(example.source, module.partition(".")[0])
            own |= imported
            if not source:
                continue
            source = _rewritten(source, entry, own, bound)
            names = names_of(source)
        except BROKEN as error:
            raise ExamplesError("broken examples") from error
        bound |= names.binds
        own -= names.binds
        if source == example.source:
            found.append(example)
        else:
            found.append(
                doctest.Example(source, example.want, example.exc_msg, options=example.options)
            )
    # What the function gives may be shown later.
    calls = [at for at, example in enumerate(found) if entry in names_of(example.source).needs]
    if not calls or not any(example.want for example in found[calls[0] :]):
        raise ExamplesError("no usable example")
    return found


def _parsed(source: str) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(source)


def _without_imports(source: str, package: str) -> tuple[str, set[str]]:
    """A source without imports of the package, and the names that those would bind."""
    tree, imported, left = _parsed(source), set[str](), list[ast.stmt]()
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and _is_of(node.module or "", package):
            imported |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            kept = [alias for alias in node.names if not _is_of(alias.name, package)]
            gone = [alias for alias in node.names if alias not in kept]
            imported |= {alias.asname or alias.name.partition(".")[0] for alias in gone}
            left += [ast.Import(kept)] if kept else []
        else:
            left.append(node)
    if not imported:
        return source, imported
    text = "".join(f"{ast.unparse(node)}\n" for node in left)
    return ("; ".join(text.splitlines()) + "\n" if len(left) > 1 else text), imported


def _is_of(module: str, package: str) -> bool:
    return module.partition(".")[0] == package


def _rewritten(source: str, entry: str, own: set[str], bound: set[str]) -> str:
    """The source with `entry` in place of `module.entry`, where `module` is our own or unknown."""
    places = []
    for node in ast.walk(_parsed(source)):
        if isinstance(node, ast.Attribute) and node.attr == entry:
            root = node.value
            while isinstance(root, ast.Attribute):
                root = root.value
            if isinstance(root, ast.Name) and (root.id in own or root.id not in bound):
                places.append((node.lineno, node.col_offset, node.end_lineno, node.end_col_offset))
    lines = [line.encode() for line in source.split("\n")]
    for first, start, last, end in sorted(places, reverse=True):
        assert last is not None
        tail = lines[last - 1][end:]
        lines[first - 1 : last] = [lines[first - 1][:start] + entry.encode() + tail]
    return b"\n".join(lines).decode()


def written(setup: Iterable[str], examples: Iterable[doctest.Example]) -> str:
    """A text for doctest: statements that show nothing, and then the examples.

    Raises ExamplesError if doctest would read it in another way.
    """
    wanted = [doctest.Example(f"{text}\n", "") for text in setup] + list(examples)
    text = "".join(f"{_prompted(one.source)}{one.want}" for one in wanted)
    try:
        found = doctest.DocTestParser().get_examples(text)
    except ValueError as error:
        raise ExamplesError("examples that cannot be written") from error
    if [_key(one) for one in found] != [_key(one) for one in wanted]:
        raise ExamplesError("examples that cannot be written")
    return text


def _prompted(source: str) -> str:
    first, *more = source.removesuffix("\n").split("\n")
    return f">>> {first}\n" + "".join(f"... {line}\n" if line else "...\n" for line in more)


def _key(example: doctest.Example) -> tuple[object, ...]:
    return example.source, example.want, example.exc_msg, example.options
