"""Intervals by bootstrap: the problems are drawn with replacement, as many as there are.

Shapes: P problem, C column, R resample.
"""

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95
# Resamples whose counts are in memory at a time.
_AT_ONCE = 500

Floats = NDArray[np.float64]


def bootstrap_means(values_PC: Floats, resamples: int, seed: int) -> Floats:
    """Means (R, C) over problems that are drawn with replacement, as many as there are."""
    problems = len(values_PC)
    random = np.random.default_rng(seed)
    means = []
    for begin in range(0, resamples, _AT_ONCE):
        size = min(_AT_ONCE, resamples - begin)
        counts_RP = random.multinomial(problems, np.full(problems, 1 / problems), size=size)
        means.append(counts_RP @ values_PC / problems)
    return np.concatenate(means)


def interval_of(means_R: Floats) -> tuple[float, float]:
    """The middle 95 % of the resamples."""
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(means_R, (tail, 1 - tail))
    return float(low), float(high)
