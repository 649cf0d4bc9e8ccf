"""From a command line to an exit status, the same for every command.

A command is a dataclass with a method `run` that returns its figures; tyro makes the command line
from its fields. The figures leave as one JSON line, the last on stdout; progress and words for
people go to stderr. Of many ranks (torchrun) the first prints both.
"""

import json
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from types import FrameType
from typing import Any, Protocol

from bytelm.base import ranks
from bytelm.base.errors import InputError, options_written
from bytelm.base.parsing import parse


class Command(Protocol):
    """`on_ranks = True` (a ClassVar) says that a command may run on many ranks."""

    def run(self) -> dict[str, Any] | None:
        """Do it; the figures for the JSON line, or None where stdout belongs to something else."""


class Stopped(BaseException):
    """A signal ended the command in good order; `status` is 128 + the signal's number."""

    def __init__(self, figures: dict[str, Any], status: int) -> None:
        super().__init__(figures, status)
        self.figures, self.status = figures, status


class Terminated(SystemExit):
    """SIGTERM came."""


def _terminate(number: int, _: FrameType | None) -> None:
    """As Ctrl-C does: unwind, so that files being written aside are removed on the way out."""
    _asked.append(number)
    raise Terminated(128 + number)


# Signals that asked this process to end.
_asked: list[int] = []


def say(text: str, all_ranks: bool = False) -> None:
    """One line for a person, on stderr; from the first rank alone if nothing else is asked."""
    if all_ranks or ranks.is_first():
        print(text, file=sys.stderr, flush=True)


def _complain(text: str) -> None:
    """Say why the command fails."""
    if ranks.first_to_fail():
        who = f" (rank {ranks.rank()})" if ranks.world_size() > 1 else ""
        say(f"error{who}: {text}", all_ranks=True)


def main(
    program: str,
    description: str,
    commands: Mapping[str, Callable[..., Command]],
    arguments: Sequence[str] | None = None,
) -> int:
    """Parse, run, print the JSON line. Returns the exit status: 0, 1 (failed), 2 (wrong input).

    Of `commands` only the one that is named is looked up.
    """
    signal.signal(signal.SIGTERM, _terminate)
    with options_written("command line"):
        return _main(program, description, commands, arguments)


def _main(
    program: str,
    description: str,
    commands: Mapping[str, Callable[..., Command]],
    arguments: Sequence[str] | None,
) -> int:
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        command: Command = parse(program, description, commands, words)
        if ranks.launched() and not getattr(command, "on_ranks", False):
            raise InputError("this command runs in one process: start it without torchrun")
        figures, status = command.run(), 0
    except InputError as error:
        _complain(str(error))
        return 2
    except Stopped as stopped:
        figures, status = stopped.figures, stopped.status
    except BrokenPipeError:
        # The reader left (`| head`): not an error, and nobody is there to be told.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _complain(f"{where}{error.strerror or error}")
        return 1
    except KeyboardInterrupt:
        say("stopped")
        return 130
    except Terminated:
        say("stopped")
        return 143
    except RecursionError:
        # What SIGTERM does to an import that is under way: numpy's parts look for themselves.
        if not _asked:
            raise
        say("stopped")
        return 143
    if figures is not None and ranks.is_first():
        print(json.dumps(figures), flush=True)
    return status
