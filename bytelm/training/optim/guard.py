"""Skips steps whose gradients are not finite, or much larger than those of recent steps."""

import math
import statistics
from collections import deque
from dataclasses import dataclass
from typing import Annotated

from bytelm.base.options import Positive, Range, check_options

# A spike is a norm far above the median of this many norms. With fewer norms, nothing is a spike.
HISTORY = 64


class NotFiniteError(ArithmeticError):
    """Too many steps in a row were skipped, or the weights to be saved are not finite."""


@dataclass(frozen=True)
class GuardOptions:
    """Options of the guard, part of the table [train] of a preset."""

    spike: Annotated[float, Range(0, most=10**9)] = 20.0
    """Skip a step if its gradient norm exceeds this many times the median norm of the last 64
    applied steps. 0: never."""
    spikes: Annotated[int, Range(0, most=10**6)] = 5
    """After this many skipped steps in a row, apply large gradients again. Skipped steps leave the
    weights unchanged, so the gradients might stay large forever."""
    patience: Positive = 20
    """End the run with an error after this many skipped steps in a row."""

    def __post_init__(self) -> None:
        check_options(self, "train.")


class Guard:
    """Decides which steps are applied, counts those skipped, and ends a run that skips too many."""

    def __init__(self, options: GuardOptions) -> None:
        self.options = options
        self.skipped = self.in_a_row = 0
        self._norms: deque[float] = deque(maxlen=HISTORY)

    def usual(self) -> float | None:
        """The median gradient norm of recent steps; None before HISTORY steps were applied."""
        return statistics.median(self._norms) if len(self._norms) == HISTORY else None

    def admits(self, losses: list[float], norm: float) -> bool:
        """Whether to apply a step with these head losses and this gradient norm.

        Raises NotFiniteError after `patience` skipped steps in a row.
        """
        usual = self.usual()
        finite = math.isfinite(norm) and all(math.isfinite(loss) for loss in losses)
        spike = bool(self.options.spike and usual and norm > self.options.spike * usual)
        if finite and spike and self.in_a_row >= self.options.spikes:
            self._norms.clear()
            spike = False
        if finite and not spike:
            self._norms.append(norm)
            self.in_a_row = 0
            return True
        self.skipped += 1
        self.in_a_row += 1
        if self.in_a_row >= self.options.patience:
            raise NotFiniteError(
                f"{self.in_a_row} steps in a row were skipped; "
                f"the last had loss {losses[0]:.4g} and gradient norm {norm:.4g}"
                + (f" (recent median: {usual:.4g})" if usual else "")
            )
        return False

    def state(self) -> dict[str, object]:
        """What a checkpoint keeps, so that a resumed run skips the same steps."""
        return {"skipped": self.skipped, "in_a_row": self.in_a_row, "norms": list(self._norms)}

    def load(self, state: dict[str, object]) -> None:
        """The reverse of `state`. An empty `state`, as in old checkpoints, starts afresh."""
        self.skipped = int(state.get("skipped", 0))  # type: ignore[call-overload]
        self.in_a_row = int(state.get("in_a_row", 0))  # type: ignore[call-overload]
        self._norms = deque(state.get("norms", []), HISTORY)  # type: ignore[call-overload]
