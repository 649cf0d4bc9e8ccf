"""How long a run goes on, and how often it scores held-out text and saves."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Budget:
    """When a run ends: after so many bytes or minutes, whichever is first."""

    bytes: int | None = None
    minutes: float | None = None

    def spent(self, trained_bytes: int, elapsed_s: float) -> float:
        """The share that is gone, 1.0 or more at the end."""
        shares = [0.0]
        if self.bytes is not None:
            shares.append(trained_bytes / self.bytes)
        if self.minutes is not None:
            shares.append(elapsed_s / (60 * self.minutes))
        return max(shares)


@dataclass(frozen=True)
class Cadence:
    """How often a run scores held-out text and saves. Neither changes what is learnt."""

    eval_steps: int = 100
    eval_bytes: int = 32_768
    save_minutes: float = 1.0
    save_steps: int = 0
    keep: int = 2
