"""How long a run trains, and how often it evaluates and saves."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Budget:
    """When a run ends: after `bytes` of training data or `minutes`, whichever comes first."""

    bytes: int | None = None
    minutes: float | None = None

    def spent(self, trained_bytes: int, elapsed_s: float) -> float:
        """The share of the budget that is spent. The run ends at 1.0 or more."""
        shares = [0.0]
        if self.bytes is not None:
            shares.append(trained_bytes / self.bytes)
        if self.minutes is not None:
            shares.append(elapsed_s / (60 * self.minutes))
        return max(shares)


@dataclass(frozen=True)
class Cadence:
    """How often a run evaluates on held-out text and saves. Neither changes what it learns.

    `eval_bytes` is the size of the held-out sample. `save_steps` 0: save by minutes. `keep` is the
    number of checkpoints to keep.
    """

    eval_steps: int = 100
    eval_bytes: int = 32_768
    save_minutes: float = 1.0
    save_steps: int = 0
    keep: int = 2
