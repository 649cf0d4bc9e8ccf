"""The places of results: checked before the work, and a refuge if they fail after it.

    out: Annotated[Path, Out()]

marks a command's option as a file to write. `bytelm.commands.cli.main` checks all of them before it
runs the command, so that hours of work are not lost to a wrong path.
"""

import contextlib
import dataclasses
import json
import os
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

from bytelm.base.errors import InputError, option
from bytelm.files.atomic import kind_of, own_descriptor, write_bytes


@dataclass(frozen=True)
class Out:
    """Marks an option that is a file to write."""


def check_places(command: object) -> None:
    """Check every option of a command that is marked with `Out`; raises InputError."""
    if not dataclasses.is_dataclass(command):
        return
    hints = get_type_hints(type(command), include_extras=True)
    for field in dataclasses.fields(command):
        value = getattr(command, field.name)
        if value is not None and _is_marked(hints[field.name]):
            check_place(value, field.name)


def _is_marked(annotation: Any) -> bool:
    parts = get_args(annotation)
    marks = getattr(annotation, "__metadata__", ())
    return any(isinstance(mark, Out) for mark in marks) or any(map(_is_marked, parts))


def check_place(path: Path, name: str = "out") -> None:
    """Raise InputError unless a file can be written at `path`. Nothing is written.

    `name`: the option that `path` comes from. Whether the disk has room shows only later.
    """
    given = f"{option(name)} {path}"
    if own_descriptor(path) is not None:
        return
    try:
        kind = kind_of(path)
        if stat.S_ISDIR(kind):
            raise InputError(f"{given} is a folder; give a file, such as {path / 'out.json'}")
        if stat.S_ISREG(kind):
            _try_to_write(Path(os.path.realpath(path)))
        elif stat.S_ISSOCK(kind) or not os.access(path, os.W_OK):
            raise InputError(f"{given} cannot be written; give another file")
    except OSError as error:
        raise InputError(f"{given}: {error.strerror}; give a file that can be written") from error


def _try_to_write(path: Path) -> None:
    """Raise OSError if no file can be made in the folder of `path`, or in what is there of it."""
    if len(os.fsencode(path.name)) > os.pathconf("/", "PC_NAME_MAX"):
        raise OSError(36, "File name too long")
    there = next(parent for parent in path.parents if parent.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError:
        # A file may be writable although its folder is not, as one that is mounted by itself.
        if not (path.exists() and os.access(path, os.W_OK)):
            raise


def write_result(path: Path, content: bytes) -> None:
    """Write a command's result to `path`; see `write_bytes`.

    If that fails, the result goes to a temporary file, and the OSError says where it is.
    """
    try:
        write_bytes(path, content)
    except OSError as error:
        refuge = _keep_elsewhere(path.name, content)
        kept = f"; the result is in {refuge}" if refuge else ""
        raise OSError(error.errno, f"{error.strerror}{kept}", str(path)) from error


def write_json_result(path: Path, value: object) -> None:
    """Write `value` as indented JSON; see `write_result`."""
    write_result(path, json.dumps(value, indent=2).encode() + b"\n")


def _keep_elsewhere(name: str, content: bytes) -> Path | None:
    for folder in (tempfile.gettempdir(), "."):
        with contextlib.suppress(OSError):
            descriptor, refuge = tempfile.mkstemp(prefix="bytelm-", suffix=f"-{name}", dir=folder)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(content)
            except OSError:
                Path(refuge).unlink()
                raise
            return Path(refuge)
    return None
