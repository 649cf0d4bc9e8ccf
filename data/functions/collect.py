"""From the files of a source to problems: each function once, and counts of what is left out."""

import ast
import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bytelm.toolkit import say
from data.functions.module import BROKEN, Module, Statement
from data.functions.problem import Home, NoProblemError, has_examples, problem
from data.packages.fetch import Wheel
from data.packages.wheel import DAMAGE, Sources
from data.sources import standard_library
from data.steps.licences import UNKNOWN, Licence, of_file
from data.walk import MACHINERY, Found, Walk

PYTHON_LICENCE = Licence("permissive", "PSF-2.0")


@dataclass(frozen=True)
class File:
    """A file of Python with the package that it is of."""

    home: Home
    content: bytes
    licence: Licence


@dataclass
class Counts:
    """What was found, and what was left out, by reason."""

    files: int = 0
    functions: int = 0
    """At the left margin."""
    with_examples: Counter[str] = field(default_factory=Counter)
    """Of those, by package."""
    problems: Counter[str] = field(default_factory=Counter)
    """By package."""
    left_out: Counter[str] = field(default_factory=Counter)
    """Functions and methods with examples."""
    rejected: Counter[str] = field(default_factory=Counter)
    """Files."""


def files_of_library(max_file_bytes: int, counts: Counts) -> Iterator[File]:
    """The standard library: each of its modules and packages is a package here."""
    yield from _walked(standard_library(max_file_bytes).read, "stdlib", PYTHON_LICENCE, counts)


def files_of_folder(path: Path, max_file_bytes: int, counts: Counts) -> Iterator[File]:
    """The files below a folder: what lies in it is a package each."""
    walk = Walk(path, (".py",), max_file_bytes, MACHINERY)
    yield from _walked(walk, path.resolve().name, UNKNOWN, counts)


def _walked(walk: Any, source: str, licence: Licence, counts: Counts) -> Iterator[File]:
    for found in walk.files():
        top = found.name.partition("/")[0].removesuffix(".py")
        yield _file(found, f"{source}/{found.name}", f"{source}/{top}", found.name, licence)
    counts.rejected += walk.rejected


def files_of_wheels(wheels: Iterable[Wheel], max_file_bytes: int, counts: Counts) -> Iterator[File]:
    """The files of wheels. A damaged wheel is named and counted."""
    for wheel in wheels:
        try:
            sources = Sources(wheel, max_file_bytes, None)
        except DAMAGE as error:
            say(f"left out {wheel.path.name}: it is damaged ({error}); fetch it anew")
            counts.rejected["damaged wheel"] += 1
            continue
        with sources:
            for found in sources.files():
                path = found.name.removeprefix(f"{wheel.package}/")
                yield _file(found, found.name, wheel.package, path, sources.licence)
        counts.rejected += sources.rejected


def _file(found: Found, name: str, package: str, path: str, licence: Licence) -> File:
    """A file whose `path` is that below the folder from which it is imported."""
    module = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    own = of_file(found.content, licence)
    return File(Home(name, package, module, own.said or own.kind), found.content, own)


def problems(files: Iterable[File], permissive: bool, counts: Counts) -> Iterator[dict[str, Any]]:
    """The problems of the files, in their order. Of functions that do the same the first is taken.

    `permissive`: only those of files with a permissive licence.
    """
    seen = set[bytes]()
    for file in files:
        counts.files += 1
        module = _module(file, counts)
        if module is None:
            continue
        functions = list(module.functions())
        counts.functions += len(functions)
        shown = [one for one in functions if has_examples(one.node)]
        counts.left_out["method"] += sum(map(has_examples, module.methods()))
        if shown:
            counts.with_examples[file.home.package] += len(shown)
        if permissive and file.licence.kind != "permissive":
            reason = "licence" if file.licence.kind == "other" else "unknown licence"
            counts.left_out[reason] += len(shown)
            continue
        yield from _of_module(shown, module, file.home, seen, counts)
    counts.left_out += Counter()


def _of_module(
    functions: list[Statement], module: Module, home: Home, seen: set[bytes], counts: Counts
) -> Iterator[dict[str, Any]]:
    for function in functions:
        try:
            row, digest = problem(function, module, home), _behaviour(function.node)
        except NoProblemError as error:
            counts.left_out[str(error)] += 1
            continue
        except RecursionError:
            counts.left_out["nested too deep"] += 1
            continue
        if digest in seen:
            counts.left_out["duplicate"] += 1
            continue
        seen.add(digest)
        counts.problems[home.package] += 1
        yield row


def _module(file: File, counts: Counts) -> Module | None:
    try:
        text = file.content.decode()
    except UnicodeDecodeError:
        counts.rejected["not UTF-8"] += 1
        return None
    try:
        return Module(text)
    except BROKEN:
        counts.rejected["not Python"] += 1
        return None


def _behaviour(node: ast.stmt) -> bytes:
    """A hash of a function's arguments and body: without its name, docstring, layout, comments."""
    assert isinstance(node, ast.FunctionDef)
    parts = [ast.dump(one) for one in (node.args, *node.body[1:])]
    return hashlib.sha256("\n".join(parts).encode("utf-8", "surrogatepass")).digest()
