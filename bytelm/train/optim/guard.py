"""Which gradients are applied: finite ones, and none far above the usual until they are usual."""

import math
import statistics
from collections import deque
from dataclasses import dataclass
from typing import Annotated

from bytelm.base.options import Range, check_options

# A spike is told from the median of so many norms; before there are as many, none is.
HISTORY = 64


class NotFiniteError(ArithmeticError):
    """Step after step could not be applied, or weights to be saved are not finite."""


@dataclass(frozen=True)
class GuardOptions:
    """Part of the table [train] of a preset."""

    spike: Annotated[float, Range(0)] = 20.0
    """A step whose gradient's norm exceeds this times the usual one is skipped; 0: none is."""
    spikes: Annotated[int, Range(0)] = 5
    """After so many skipped steps in a row a spike is none: batches differ, so it is the weights
    that give such gradients, and skipping leaves them where they are."""
    patience: Annotated[int, Range(1)] = 20
    """So many skipped steps in a row end the run."""

    def __post_init__(self) -> None:
        check_options(self, "train.")


class Guard:
    """Admits gradients, counts those that it does not, and gives up after too many in a row."""

    def __init__(self, options: GuardOptions) -> None:
        self.options = options
        self.skipped = self.in_a_row = 0
        self._norms: deque[float] = deque(maxlen=HISTORY)

    def usual(self) -> float | None:
        """The median norm of late; None while there are too few to tell."""
        return statistics.median(self._norms) if len(self._norms) == HISTORY else None

    def admits(self, losses: list[float], norm: float) -> bool:
        """Whether a step may be applied. Raises NotFiniteError when too many may not."""
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
                + (f", where {usual:.4g} is usual" if usual else "")
            )
        return False

    def state(self) -> dict[str, object]:
        """What a checkpoint keeps, so that a resumed run skips the same steps."""
        return {"skipped": self.skipped, "in_a_row": self.in_a_row, "norms": list(self._norms)}

    def load(self, state: dict[str, object]) -> None:
        """The reverse of `state`; of a checkpoint that has none, nothing."""
        self.skipped = int(state.get("skipped", 0))  # type: ignore[call-overload]
        self.in_a_row = int(state.get("in_a_row", 0))  # type: ignore[call-overload]
        self._norms = deque(state.get("norms", []), HISTORY)  # type: ignore[call-overload]
