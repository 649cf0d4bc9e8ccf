"""From a command line to an exit status, the same for every command.

A command is a dataclass with a method `run` that returns its figures; tyro makes the command line
from its fields. The figures leave as one JSON line, the last on stdout; progress and words for
people go to stderr.
"""

import json
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from types import FrameType
from typing import Any, Protocol

import tyro

from bytelm.errors import InputError
from bytelm.ranks import rank, world_size


class Command(Protocol):
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
    raise Terminated(128 + number)


def say(text: str) -> None:
    """One line for a person, on stderr; under torchrun it says which rank speaks."""
    speaker = f"rank {rank()}: " if world_size() > 1 else ""
    print(speaker + text, file=sys.stderr, flush=True)


def main(
    program: str,
    description: str,
    commands: Mapping[str, Callable[..., Command]],
    arguments: Sequence[str] | None = None,
) -> int:
    """Parse, run, print the JSON line. Returns the exit status: 0, 1 (failed), 2 (wrong input)."""
    signal.signal(signal.SIGTERM, _terminate)
    try:
        command = tyro.extras.subcommand_cli_from_dict(
            dict(commands),
            prog=f"python -m {program}",
            description=description,
            args=list(sys.argv[1:] if arguments is None else arguments),
            config=(tyro.conf.OmitArgPrefixes,),
        )
        figures, status = command.run(), 0
    except InputError as error:
        say(f"error: {error}")
        return 2
    except Stopped as stopped:
        figures, status = stopped.figures, stopped.status
    except BrokenPipeError:
        # The reader left (`| head`): not an error, and nobody is there to be told.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        say(f"error: {where}{error.strerror or error}")
        return 1
    except KeyboardInterrupt:
        say("stopped")
        return 130
    except Terminated:
        say("stopped")
        return 143
    if figures is not None:
        print(json.dumps(figures), flush=True)
    return status
