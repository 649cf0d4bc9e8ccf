"""Where a signal's handler may raise, and how a signal comes again where it may not.

A handler that raises interrupts whatever runs. Three places lose the exception:

- An import. The code around it may take any exception for "this module is missing", as torch does
  for numpy, and goes on with half a module.
- A destructor or a weak reference's callback. Python prints a traceback and goes on.
- Compiled code. It may put an error of its own in the exception's place: when torch cannot read
  an object's first item, it says that the object has no shape.
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


def comes_from(error: BaseException, stops: tuple[type[BaseException], ...]) -> bool:
    """Whether `error` is one of `stops`, or was raised while one of them was handled.

    If it is not, although a signal's handler has raised, compiled code may have put `error` in the
    place of what the handler raised.
    """
    if isinstance(error, stops):
        return True
    before = (error.__cause__, error.__context__)
    return any(earlier is not None and comes_from(earlier, stops) for earlier in before)


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
