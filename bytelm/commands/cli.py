"""Run a command line and return its exit status, in the same way for every command.

A command is a dataclass with a method `run`. tyro makes the command line from its fields. `run`
returns the command's figures, which are printed as one JSON line, the last line of stdout.
Progress and messages go to stderr. With several ranks (torchrun), the first rank prints both.
"""

import contextlib
import json
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import FrameType
from typing import Any, Protocol

from bytelm.base import ranks
from bytelm.base.cores import limit_threads
from bytelm.base.errors import InputError, options_written
from bytelm.base.signals import importing, replaces, send_again
from bytelm.commands.parsing import parse
from bytelm.files.places import check_places
from bytelm.files.streams import fill_closed_streams, flush_stdout, say, write_stdout


class Command(Protocol):
    """A command. The ClassVar `on_ranks = True` allows it to run on several ranks."""

    def run(self) -> dict[str, Any] | None:
        """Run the command.

        Returns the figures for the JSON line, or None if stdout is used for something else.
        """


class Stopped(BaseException):
    """The command ended before its work was done, and has saved what is done.

    `status`: 128 + the number of the signal that ended it, or 1.
    """

    def __init__(self, figures: dict[str, Any], status: int) -> None:
        super().__init__(figures, status)
        self.figures, self.status = figures, status


class Terminated(SystemExit):
    """SIGTERM came. What Ctrl-C raises is KeyboardInterrupt."""


# The signals for which `_stop` has raised.
_raised: list[int] = []


def _handle_signals() -> None:
    """Let SIGINT and SIGTERM raise wherever the exception is not lost."""
    _raised.clear()
    signal.signal(signal.SIGTERM, _stop)
    # A shell has its background jobs ignore Ctrl-C. That stays so.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _stop)
    sys.unraisablehook = _unraisable


def _stop(number: int, frame: FrameType | None) -> None:
    """Raise, so that temporary files are removed while the stack unwinds."""
    if importing(frame):
        send_again(number)
        return
    _raised.append(number)
    raise _exception(number)


def _exception(number: int) -> KeyboardInterrupt | Terminated:
    return KeyboardInterrupt() if number == signal.SIGINT else Terminated(128 + number)


@contextlib.contextmanager
def _signals_kept() -> Iterator[None]:
    """Raise for a signal once more if compiled code put an error in its exception's place."""
    try:
        yield
    except Exception as error:
        if _raised and replaces(error, (KeyboardInterrupt, Terminated)):
            raise _exception(_raised[-1]) from None
        raise


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

    `arguments`: sys.argv[1:] if None. The status is 0 (done), 1 (failed), 2 (wrong input), 3 (the
    command refused to work here), or 128 + the number of the signal that ended the command. Of
    `commands` only the named one is looked up, so that the others need not be imported.
    """
    try:
        fill_closed_streams()
        _handle_signals()
        limit_threads(ranks.local_world_size())
        words = list(sys.argv[1:] if arguments is None else arguments)
        with options_written("command line"):
            figures, status = _run(program, description, commands, words)
            return _print(figures, status)
    except (KeyboardInterrupt, Terminated) as stop:
        # Before the command began, after its work, or a second time while it stopped.
        return _status_of_stop(stop)


def _run(
    program: str,
    description: str,
    commands: Mapping[str, Callable[..., Command]],
    words: list[str],
) -> tuple[dict[str, Any] | None, int]:
    """Run the command; returns its figures and the status. Errors become one line on stderr."""
    status = 1
    try:
        with _signals_kept():
            command: Command = parse(program, description, commands, words)
            if ranks.launched() and not getattr(command, "on_ranks", False):
                raise InputError("this command runs in one process: start it without torchrun")
            check_places(command)
            return command.run(), 0
    except InputError as error:
        _complain(str(error))
        status = error.status
    except Stopped as stopped:
        return stopped.figures, stopped.status
    except BrokenPipeError:
        # The reader of stdout has closed it (`| head`). That is no error, so nothing is printed.
        pass
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _complain(f"{where}{error.strerror or error}")
    except (MemoryError, RuntimeError) as error:
        status = _status_of(error)
    except (KeyboardInterrupt, Terminated) as stop:
        say("stopped")
        status = _status_of_stop(stop)
    except SystemExit as ended:
        # tyro has printed the help.
        status = ended.code if isinstance(ended.code, int) else 0
    return None, status


def _unraisable(unraisable: Any) -> None:
    """Send a signal again that came in a callback or a destructor, where Python drops it."""
    if isinstance(unraisable.exc_value, (KeyboardInterrupt, Terminated)):
        stopped = isinstance(unraisable.exc_value, KeyboardInterrupt)
        send_again(signal.SIGINT if stopped else signal.SIGTERM)
    else:
        sys.__unraisablehook__(unraisable)


def _status_of_stop(stop: KeyboardInterrupt | Terminated) -> int:
    return 130 if isinstance(stop, KeyboardInterrupt) else 143


def _status_of(error: MemoryError | RuntimeError) -> int:
    """The exit status after an error that is not a bug. Raises it if it is one."""
    # Torch's CPU allocator raises RuntimeError, its CUDA allocator OutOfMemoryError.
    full = ("can't allocate memory", "out of memory")
    if isinstance(error, MemoryError) or any(words in str(error) for words in full):
        _complain("there is not enough memory; make the work smaller, or use a larger machine")
        return 1
    raise error


def _print(figures: dict[str, Any] | None, status: int) -> int:
    """Print the figures as the last line of stdout; returns the exit status."""
    try:
        flush_stdout()
        if figures is not None and ranks.is_first():
            write_stdout(json.dumps(figures).encode() + b"\n")
    except OSError as error:
        if figures is not None or not isinstance(error, BrokenPipeError):
            what = "the text" if figures is None else "the work is done, but its figures"
            _complain(f"{what} cannot be printed on stdout: {error.strerror}")
        return status or 1
    return status
