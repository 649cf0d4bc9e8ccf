"""InputError, the exception for wrong input, and the spelling of options in its messages.

The command line, Python and preset files share their checks, but each spells an option in its own
way. A message therefore calls `option` or `setting`, which use the spelling of the caller.

    raise InputError(f"{option('top_p')} must be above 0, not {top_p}")
    raise InputError(f"{folder} holds a run; go on with {setting('resume', True)}")

               Python             command line         preset file
    option     top_p              --top-p              top_p
    setting    resume=True        --resume             resume = true
    setting    compile=False      --no-compile         compile = false
    setting    heads=9            --heads 9            heads = 9

Options of the model and of training begin with the name of their table: "model.width",
"train.batch". Python's spelling is the default. `bytelm.commands.cli.main` and the reader of
presets set theirs.
"""

import contextlib
import json
import sys
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Literal

SCRIPT = "bytelm"
"""The name of the console script."""

Style = Literal["python", "command line", "file"]

_style: ContextVar[Style] = ContextVar("style", default="python")


class InputError(ValueError):
    """Wrong input by the user. The message says what is wrong, where, and what to do.

    Commands print the message as one line and exit with `status`. Any other exception that ends a
    command is a bug, or a failure of the system.
    """

    status = 2


def option(name: str) -> str:
    """The option with the Python name `name`, in the current spelling.

    A name from a file may hold anything. What would break the line of a message is escaped.
    """
    if not name.isprintable():
        name = name.encode("unicode_escape").decode()
    return f"--{name.replace('_', '-')}" if _style.get() == "command line" else name


def setting(name: str, value: object) -> str:
    """The option `name` with the value `value`, in the current spelling."""
    style = _style.get()
    if style == "file":
        return f"{name} = {json.dumps(value, default=str)}"
    if style == "python":
        return f"{name}={value!r}"
    if isinstance(value, bool):
        table, dot, last = name.rpartition(".")
        return option(name if value else f"{table}{dot}no_{last}")
    return f"{option(name)} {value}"


def some(names: Sequence[str], most: int = 3) -> str:
    """The first names of a list, and how many there are besides: "a, b, c and 4 more"."""
    return ", ".join(names[:most]) + f" and {len(names) - most} more" * (len(names) > most)


def door(program: str) -> str:
    """How the commands of `program` (bytelm, data or eval) are begun, as this process was.

    By the script: "bytelm" or "bytelm eval". Else: "python -m bytelm" or "python -m eval".
    """
    if not sys.argv or Path(sys.argv[0]).stem != SCRIPT:
        return f"python -m {program}"
    return SCRIPT if program == SCRIPT else f"{SCRIPT} {program}"


@contextlib.contextmanager
def options_written(style: Style) -> Iterator[None]:
    """Inside the block, `option` and `setting` use this spelling."""
    token = _style.set(style)
    try:
        yield
    finally:
        _style.reset(token)


@contextlib.contextmanager
def of_file(where: str) -> Iterator[None]:
    """Inside the block, InputErrors are those of a file: `where` is put before each message."""
    try:
        with options_written("file"):
            yield
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
