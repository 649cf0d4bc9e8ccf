"""Ctrl-C and SIGTERM: leave at once where nothing is half done, else as soon as it is done.

Parameters change only inside `Stopping.protected` (the optimizer's step, saving). Everywhere else
(forward, backward, compiling, evaluating) a signal raises `StopRequested` where it strikes, and
the state to save is that of the last whole step.
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
    """Installs the handlers for the time of a `with` block; main thread only.

    Signals raise between `release` and `hold`, and are noted before and after.

    With `deferred`, a signal is only noted: ranks that run in step must stop at the same step.
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
        # Once: a second Ctrl-C while the first is being served must not tear up the saving.
        if first and not (self._protected or self._held or self.deferred):
            # What unwinds (a compiler, above all) may warn of the exception that ends it.
            warnings.simplefilter("ignore")
            raise StopRequested

    @contextlib.contextmanager
    def protected(self) -> Iterator[None]:
        """Hold a signal back until the block is done, then raise."""
        assert not self._protected
        self._protected = True
        try:
            yield
        finally:
            self._protected = False
        if self.signal is not None and not (self._held or self.deferred):
            raise StopRequested

    def release(self) -> None:
        """From here on signals raise; one that was noted before does so now."""
        self._held = False
        if self.signal is not None and not self.deferred:
            raise StopRequested

    def hold(self) -> None:
        """From here on note signals, but do not raise: the run is ending anyway."""
        self._held = True
