"""The learning rate's scale as a function of the share of the budget that is spent."""

import math
from dataclasses import dataclass
from typing import Annotated, Literal

from bytelm.base.options import Range, check_options

Share = Annotated[float, Range(0, 1)]


@dataclass(frozen=True)
class ScheduleOptions:
    """Shares of the budget (bytes or minutes)."""

    lr_schedule: Literal["stable", "cosine"] = "stable"
    """stable (warmup, stable, decay: Hu et al. 2024) or cosine (the paper's, Table S13)."""
    warmup: Share = 0.02
    """Share of the budget in which the learning rate climbs to its peak."""
    decay: Share = 0.4
    """stable: share of the budget, its last, in which the learning rate falls, linearly."""
    floor: Share = 0.0
    """Where the learning rate ends, against its peak (the paper: 0.03)."""

    def __post_init__(self) -> None:
        check_options(self, "train.")


def learning_rate_scale(spent: float, options: ScheduleOptions) -> float:
    """The factor on the peak rates when the share `spent` of the budget is gone: 0 to 1."""
    climb = min(1.0, spent / options.warmup) if options.warmup > 0 else 1.0
    if options.lr_schedule == "cosine":
        along = (spent - options.warmup) / max(1 - options.warmup, 1e-9)
        fall = 0.5 + 0.5 * math.cos(math.pi * min(1.0, max(0.0, along)))
    else:
        fall = max(0.0, min(1.0, (1.0 - spent) / options.decay)) if options.decay > 0 else 1.0
    fall = options.floor + (1 - options.floor) * fall
    # Never exactly 0 at the first step: a step that changes nothing is a step lost.
    return max(min(climb, fall), 1e-3)
