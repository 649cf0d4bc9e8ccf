"""stdin, stdout and stderr, which may be closed, full, slow, or without a reader.

stderr is for people: progress and messages. A command goes on where they cannot be written. stdout
is for results: `write_stdout` writes all bytes or raises OSError.
"""

import atexit
import contextlib
import errno
import os
import select
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from bytelm.base import ranks
from bytelm.base.errors import InputError

if TYPE_CHECKING:
    from tqdm import tqdm

    ProgressBar = tqdm[Any]
else:
    ProgressBar = Any

# The descriptors of stdin, stdout and stderr that were closed when the process started.
_closed: set[int] = set()


def fill_closed_streams() -> None:
    """Give closed standard streams a file, so that no other file takes their descriptors.

    Otherwise the next file that is opened would be descriptor 1 or 2, and receive whatever a
    library prints. Python leaves None in `sys` for such streams. Libraries do not expect that.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            _closed.add(number)
            # `open` takes the lowest free descriptor, which is `number`.
            os.open(os.devnull, os.O_RDWR)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115, PTH123
    atexit.register(_forget_unwritten, sys.stderr)


def _forget_unwritten(stream: Any) -> None:
    """Flush a stream; if that fails, forget its text.

    Python flushes the streams when it exits. If that fails, its exit status is 120.
    """
    try:
        stream.flush()
    except (OSError, ValueError):
        with contextlib.suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)


class _Stderr:
    """stderr as a text stream. Text that cannot be written is dropped.

    It has no buffer. Text left in one would fail again when the interpreter exits.
    """

    @property
    def encoding(self) -> str:
        return getattr(sys.stderr, "encoding", None) or "utf-8"

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError, ValueError, AttributeError):
            try:
                number = sys.stderr.fileno()
            except (OSError, ValueError, AttributeError):
                sys.stderr.write(text)
            else:
                _write_all(number, text.encode(self.encoding, "backslashreplace"), wait=False)
        return len(text)

    def flush(self) -> None:
        """Do nothing: nothing is buffered."""

    def fileno(self) -> int:
        return sys.stderr.fileno()

    def isatty(self) -> bool:
        with contextlib.suppress(OSError, ValueError, AttributeError):
            return sys.stderr.isatty()
        return False


STDERR = _Stderr()


def say(text: str, all_ranks: bool = False) -> None:
    """Print a message on stderr, by default only from the first rank.

    Progress bars are cleared before, and drawn again after it.
    """
    if all_ranks or ranks.is_first():
        with _bars_cleared():
            STDERR.write(f"{text}\n")


@contextlib.contextmanager
def _bars_cleared() -> Iterator[None]:
    module: Any = sys.modules.get("tqdm")
    if module is None:
        yield
        return
    # A signal while tqdm makes its lock would be an AttributeError in external_write_mode.
    module.tqdm.get_lock()
    with module.tqdm.external_write_mode(file=STDERR):
        yield


def progress_bar(iterable: Any = None, **options: Any) -> ProgressBar:
    """A tqdm progress bar on stderr, with tqdm's `options`. It never ends the work."""
    from tqdm import tqdm

    class Bar(tqdm):  # type: ignore[type-arg]
        def __del__(self) -> None:
            # A signal may have ended the construction: then there are no attributes to close.
            with contextlib.suppress(AttributeError):
                super().__del__()

    return Bar(iterable, file=STDERR, **{"dynamic_ncols": True, **options})


def write_stdout(content: bytes) -> None:
    """Write all of `content` to stdout, at once.

    Raises OSError if stdout is closed, its disk is full, or its reader is gone (BrokenPipeError).
    """
    if 1 in _closed:
        raise OSError(errno.EBADF, "stdout is closed")
    sys.stdout.flush()
    try:
        number = sys.stdout.fileno()
    except (OSError, ValueError):
        # Something in this process captures the text, as tests do.
        sys.stdout.buffer.write(content)
        return
    _write_all(number, content, wait=True)


def _write_all(number: int, content: bytes, wait: bool) -> None:
    """Write to a descriptor until all is written. `wait`: also where it would block."""
    rest = memoryview(content)
    while rest:
        try:
            rest = rest[os.write(number, rest) :]
        except BlockingIOError:
            # The descriptor is non-blocking, and its pipe is full.
            if not wait:
                raise
            select.select([], [number], [])


def read_stdin() -> bytes:
    """All bytes of stdin. Raises InputError if it is closed."""
    if 0 in _closed:
        raise InputError("standard input is closed; give a file")
    return sys.stdin.buffer.read()


def flush_stdout() -> None:
    """Write what `print` left in stdout's buffer. Raises OSError, and empties the buffer then."""
    try:
        sys.stdout.flush()
    except OSError:
        _forget_unwritten(sys.stdout)
        raise
