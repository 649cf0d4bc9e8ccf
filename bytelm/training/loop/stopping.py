"""Ctrl-C and SIGTERM: stop at once, or after a step or a save that is under way.

Parameters change only inside `Stopping.protected`, which covers the optimizer's step and saving.
Everywhere else (forward, backward, compilation, evaluation) a signal raises `StopRequested` at
once. The state to save is then that of the last complete step.
"""

import contextlib
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from types import FrameType, TracebackType
from typing import Any

from bytelm.base.signals import importing, replaces, send_again


class StopRequested(BaseException):
    """A signal asked the run to end."""


class Stopping:
    """Installs the signal handlers for the duration of a `with` block. Main thread only.

    A signal raises between `release` and `hold`. Before and after, it is only recorded. With
    `deferred`, it is always only recorded, because all ranks must stop at the same step.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self, deferred: bool = False) -> None:
        self.deferred = deferred
        self.signal: signal.Signals | None = None
        self._protected, self._held = False, True
        # Whether the handler has raised.
        self._raised = False
        self._previous: dict[int, Any] = {}
        self._previous_hook: Callable[[Any], object] = sys.unraisablehook

    def __enter__(self) -> "Stopping":
        for number in self.SIGNALS:
            self._previous[number] = signal.signal(number, self._handle)
        self._previous_hook, sys.unraisablehook = sys.unraisablehook, self._unraisable
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, previous in self._previous.items():
            signal.signal(number, previous)
        sys.unraisablehook = self._previous_hook

    def _handle(self, number: int, frame: FrameType | None) -> None:
        # Raise only once: a second Ctrl-C must not interrupt the saving that the first one started.
        raises = self.signal is None and not (self._protected or self._held or self.deferred)
        if raises and importing(frame):
            send_again(number)
            return
        self.signal = signal.Signals(number)
        if raises:
            # Code that the exception interrupts (torch's compiler, above all) may warn about it.
            warnings.simplefilter("ignore")
            self._raised = True
            raise StopRequested

    def _unraisable(self, unraisable: Any) -> None:
        """Send a signal again that came in a callback or a destructor, where Python drops it."""
        if isinstance(unraisable.exc_value, StopRequested) and self.signal is not None:
            number, self.signal = self.signal, None
            send_again(number)
        else:
            self._previous_hook(unraisable)

    @contextlib.contextmanager
    def ends_here(self) -> Iterator[None]:
        """Go on after this block when a signal's StopRequested ends it.

        An error that compiled code put in the exception's place ends the block just as quietly.
        """
        try:
            yield
        except StopRequested:
            pass
        except Exception as error:
            if not (self._raised and replaces(error, (StopRequested,))):
                raise

    @contextlib.contextmanager
    def protected(self) -> Iterator[None]:
        """Delay a signal until the end of the block, then raise StopRequested."""
        assert not self._protected
        self._protected = True
        try:
            yield
        finally:
            self._protected = False
        if self.signal is not None and not (self._held or self.deferred):
            raise StopRequested

    def release(self) -> None:
        """Let signals raise from now on. Raises at once if a signal was already recorded."""
        self._held = False
        if self.signal is not None and not self.deferred:
            raise StopRequested

    def hold(self) -> None:
        """Only record signals from now on, because the run is ending anyway."""
        self._held = True
