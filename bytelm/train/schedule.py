"""Warmup-stable-decay: the learning rate's scale as a function of the share of the budget spent."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ScheduleOptions:
    """Shares of the budget (bytes or minutes)."""

    warmup: float = 0.02
    """Share of the budget in which the learning rate climbs to its peak."""
    decay: float = 0.4
    """Share of the budget, its last, in which the learning rate falls to zero, linearly."""


def learning_rate_scale(spent: float, options: ScheduleOptions) -> float:
    """The factor on the peak rates when the share `spent` of the budget is gone: 0 to 1."""
    climb = min(1.0, spent / options.warmup) if options.warmup > 0 else 1.0
    fall = min(1.0, (1.0 - spent) / options.decay) if options.decay > 0 else 1.0
    # Never exactly 0 at the first step: a step that changes nothing is a step lost.
    return max(min(climb, fall), 1e-3)
