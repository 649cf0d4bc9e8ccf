"""Run a command line and return its exit status, in the same way for every command.

A command is a dataclass with a method `run`. tyro makes the command line from its fields. `run`
returns the command's figures, which are printed as one JSON line, the last line of stdout.
Progress and messages go to stderr. With several ranks (torchrun), the first rank prints both.
"""

import json
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from types import FrameType
from typing import Any, Protocol

from bytelm.base import ranks
from bytelm.base.cores import limit_threads
from bytelm.base.errors import InputError, options_written
from bytelm.base.parsing import parse


class Command(Protocol):
    """A command. The ClassVar `on_ranks = True` allows it to run on several ranks."""

    def run(self) -> dict[str, Any] | None:
        """Run the command.

        Returns the figures for the JSON line, or None if stdout is used for something else.
        """


class Stopped(BaseException):
    """A signal ended the command, which has saved its work. `status`: 128 + the signal's number."""

    def __init__(self, figures: dict[str, Any], status: int) -> None:
        super().__init__(figures, status)
        self.figures, self.status = figures, status


class Terminated(SystemExit):
    """SIGTERM was received."""


def _terminate(number: int, _: FrameType | None) -> None:
    """Raise, as Ctrl-C does, so that temporary files are removed while the stack unwinds."""
    _asked.append(number)
    raise Terminated(128 + number)


# The SIGTERM signals that this process has received.
_asked: list[int] = []


def say(text: str, all_ranks: bool = False) -> None:
    """Print a message on stderr, by default only from the first rank."""
    if all_ranks or ranks.is_first():
        print(text, file=sys.stderr, flush=True)


def _complain(text: str) -> None:
    """Print why the command fails, if no other rank has done so."""
    if ranks.first_to_fail():
        who = f" (rank {ranks.rank()})" if ranks.world_size() > 1 else ""
        say(f"error{who}: {text}", all_ranks=True)


def main(
    program: str,
    description: str,
    commands: Mapping[str, Callable[..., Command]],
    arguments: Sequence[str] | None = None,
) -> int:
    """Parse the arguments, run the command, print its JSON line; returns the exit status.

    `arguments`: sys.argv[1:] if None. The status is 0 (done), 1 (failed), 2 (wrong input), or
    128 + the number of the signal that ended the command. Of `commands` only the named one is
    looked up, so that the others need not be imported.
    """
    signal.signal(signal.SIGTERM, _terminate)
    limit_threads(ranks.local_world_size())
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
        # The reader of stdout has closed it (`| head`). That is no error, so nothing is printed.
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
        # SIGTERM during `import numpy` can end as a RecursionError inside the import.
        if not _asked:
            raise
        say("stopped")
        return 143
    if figures is not None and ranks.is_first():
        print(json.dumps(figures), flush=True)
    return status
