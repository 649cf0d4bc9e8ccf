"""Where a signal's handler may raise, and how a signal comes again where it may not.

A handler that raises interrupts whatever runs. Three places lose the exception:

- An import. The code around it may take any exception for "this module is missing", as torch does
  for numpy, and goes on with half a module.
- A destructor or a weak reference's callback. Python prints a traceback and goes on.
- Compiled code. It may put an error of its own in the exception's place. When torch cannot read an
  object's first item, it says that the object has no shape, and pydantic has an error for each
  function that fails.
"""

import _thread
import signal
import threading
import time
from types import FrameType


def importing(frame: FrameType | None) -> bool:
    """Whether an import is under way in `frame` or in a caller of it."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib."):
            return True
        frame = frame.f_back
    return False


def replaces(error: BaseException, stops: tuple[type[BaseException], ...]) -> bool:
    """Whether `error` may stand in the place of one of `stops`, which a handler has raised.

    It does not if it was raised while one of `stops` was handled, as when a file that is being
    closed cannot be written.
    """
    before = error.__cause__
    if before is not None:
        return isinstance(before, stops) or replaces(before, stops)
    before = error.__context__
    return before is None or (not isinstance(before, stops) and replaces(before, stops))


def send_again(number: int) -> None:
    """Send this process the signal once more in 20 ms, because now it would be lost again."""
    # Not threading.Thread, whose locks the interrupted code may hold.
    _thread.start_new_thread(_send, (number,))


def _send(number: int) -> None:
    time.sleep(0.02)
    # To the main thread, which runs the handlers: elsewhere it would not end a sleep or a read.
    ident = threading.main_thread().ident
    if ident is not None:
        signal.pthread_kill(ident, number)
