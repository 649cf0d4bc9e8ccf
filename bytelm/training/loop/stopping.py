"""Ctrl-C and SIGTERM: stop at once, or after a step or a save that is under way.

Parameters change only inside `Stopping.protected`, which covers the optimizer's step and saving.
Everywhere else (forward, backward, compilation, evaluation) a signal raises `StopRequested` at
once. The state to save is then that of the last complete step.
"""

import contextlib
import signal
import warnings
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import Any


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
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> "Stopping":
        for number in self.SIGNALS:
            self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, previous in self._previous.items():
            signal.signal(number, previous)

    def _handle(self, number: int, _: FrameType | None) -> None:
        first = self.signal is None
        self.signal = signal.Signals(number)
        # Raise only once: a second Ctrl-C must not interrupt the saving that the first one started.
        if first and not (self._protected or self._held or self.deferred):
            # Code that the exception interrupts (torch's compiler, above all) may warn about it.
            warnings.simplefilter("ignore")
            raise StopRequested

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
