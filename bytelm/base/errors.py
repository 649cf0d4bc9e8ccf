"""The one exception that means "the user can mend this", and how its text names options.

The same check serves the command line, Python and preset files, and each writes an option in its
own way. So a text never spells an option out: it asks `option` or `setting`, which write it as the
current user does.

    raise InputError(f"{option('top_p')} must be above 0, not {top_p}")
    raise InputError(f"{folder} holds a run; go on with {setting('resume', True)}")

               Python             command line         preset file
    option     top_p              --top-p              top_p
    setting    resume=True        --resume             resume = true
    setting    compile=False      --no-compile         compile = false
    setting    heads=9            --heads 9            heads = 9

An option of the model or of training has its table's name in front: "model.width", "train.batch".
Python's form is the default; `bytelm.base.cli.main` and the reader of presets choose theirs.
"""

import contextlib
import json
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Literal

Style = Literal["python", "command line", "file"]

_style: ContextVar[Style] = ContextVar("style", default="python")


class InputError(ValueError):
    """Wrong input: the message says what was wrong, where, and what to do.

    Commands print the message as one line and exit with status 2; anything else that reaches
    the top is a bug and keeps its traceback.
    """


def option(name: str) -> str:
    """How the user writes the option with the Python name `name`."""
    return f"--{name.replace('_', '-')}" if _style.get() == "command line" else name


def setting(name: str, value: object) -> str:
    """How the user gives the option `name` the value `value`."""
    style = _style.get()
    if style == "file":
        return f"{name} = {json.dumps(value, default=str)}"
    if style == "python":
        return f"{name}={value!r}"
    if isinstance(value, bool):
        table, dot, last = name.rpartition(".")
        return option(name if value else f"{table}{dot}no_{last}")
    return f"{option(name)} {value}"


@contextlib.contextmanager
def options_written(style: Style) -> Iterator[None]:
    """Within the block, errors name options in this style."""
    token = _style.set(style)
    try:
        yield
    finally:
        _style.reset(token)


@contextlib.contextmanager
def of_file(where: str) -> Iterator[None]:
    """Within the block, errors are those of a file: `where` stands before them."""
    try:
        with options_written("file"):
            yield
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
