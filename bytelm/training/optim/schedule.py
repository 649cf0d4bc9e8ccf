"""Schedules by the share of the budget spent: factors on learning rates and on heads' weights."""

import math
from dataclasses import dataclass
from typing import Annotated, Literal

from bytelm.base.options import Range, check_options

Share = Annotated[float, Range(0, 1)]


@dataclass(frozen=True)
class ScheduleOptions:
    """Options of the schedule. Shares are shares of the budget, in bytes or minutes."""

    lr_schedule: Literal["stable", "cosine"] = "stable"
    """stable: warmup, constant rate, linear decay (Hu et al. 2024). cosine: warmup, then a cosine
    to the floor (paper, Table S13)."""
    warmup: Share = 0.02
    """Share of the budget, at its start, in which the learning rate rises to its peak."""
    decay: Share = 0.4
    """Share of the budget, at its end, in which the learning rate falls linearly. Only for the
    schedule stable."""
    floor: Share = 0.0
    """Final learning rate as a share of the peak (paper: 0.03)."""
    head_schedule: Literal["constant", "falling", "late"] = "constant"
    """How the weight of heads 2..n changes. falling: linearly to 0. late: 0, and heads 2..n not
    computed, until the learning rates fall (the share `decay` at the end)."""

    def __post_init__(self) -> None:
        check_options(self, "train.")


def learning_rate_scale(spent: float, options: ScheduleOptions) -> float:
    """The factor (0.001 to 1) on the peak rates after the share `spent` (0 to 1) of the budget."""
    climb = min(1.0, spent / options.warmup) if options.warmup > 0 else 1.0
    if options.lr_schedule == "cosine":
        along = (spent - options.warmup) / max(1 - options.warmup, 1e-9)
        fall = 0.5 + 0.5 * math.cos(math.pi * min(1.0, max(0.0, along)))
    else:
        fall = max(0.0, min(1.0, (1.0 - spent) / options.decay)) if options.decay > 0 else 1.0
    fall = options.floor + (1 - options.floor) * fall
    # Never exactly 0: a step that changes nothing would be wasted.
    return max(min(climb, fall), 1e-3)


def head_weight_scale(spent: float, options: ScheduleOptions) -> float:
    """The factor (0 to 1) on the weight of heads 2..n after the share `spent` of the budget."""
    if options.head_schedule == "falling":
        return max(0.0, 1 - spent)
    return float(options.head_schedule == "constant" or spent >= 1 - options.decay)
