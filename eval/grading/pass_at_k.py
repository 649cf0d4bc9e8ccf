"""pass@k, and a confidence interval for pass@1.

The estimator is that of Chen et al. 2021 (arXiv 2107.03374, section 2.1). If c of a problem's n
samples are right, 1 - C(n-c, k) / C(n, k) is an unbiased estimate of the probability that at least
one of k samples is right.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean, pvariance


@dataclass(frozen=True)
class Tally:
    """The number of graded samples of one problem, and how many of them passed."""

    samples: int
    passed: int

    def __post_init__(self) -> None:
        if not 0 <= self.passed <= self.samples or self.samples < 1:
            raise ValueError(f"{self.passed} of {self.samples} samples passed: impossible counts")


def pass_at_k(samples: int, passed: int, k: int) -> float:
    """The probability that at least one of `k` samples is right, if `passed` of `samples` were.

    The product 1 - prod(1 - k/i), i = n-c+1 .. n, avoids large binomial coefficients. Raises
    ValueError if k is not in 1..samples, since no unbiased estimate exists then.
    """
    if not 1 <= k <= samples or not 0 <= passed <= samples:
        raise ValueError(f"pass@{k} of {passed} right among {samples} samples is not defined")
    if samples - passed < k:
        return 1.0
    return 1.0 - math.prod(1.0 - k / i for i in range(samples - passed + 1, samples + 1))


def mean_pass_at_k(tallies: Sequence[Tally], k: int) -> float:
    """pass@k of a suite: the mean over its problems.

    Raises ValueError if there are no problems, or if one has fewer than `k` samples.
    """
    if not tallies:
        raise ValueError("no problems: pass@k is not defined")
    return fmean(pass_at_k(tally.samples, tally.passed, k) for tally in tallies)


def pass_at_1_interval(tallies: Sequence[Tally], confidence: float = 0.95) -> tuple[float, float]:
    """A confidence interval (low, high) for a suite's pass@1.

    The problems are treated as random draws from many similar ones. With one sample per problem
    this is Wilson's score interval, which stays valid at 0 and at 1.

    With several samples per problem, Wilson's formula gets an effective number of tries instead of
    the number of problems: the number of independent tries whose mean would vary as much as the
    mean of the problems' rates does. It lies between the number of problems and the number of
    samples, so more samples narrow the interval. It equals the number of problems if each problem
    has only right or only wrong samples.
    """
    rates = [tally.passed / tally.samples for tally in tallies]
    mean, spread = mean_pass_at_k(tallies, 1), pvariance(rates)
    tries = float(len(tallies))
    if 0.0 < mean < 1.0:
        most = float(sum(tally.samples for tally in tallies))
        alike = len(rates) * mean * (1.0 - mean) / spread if spread > 0.0 else most
        tries = min(most, max(tries, alike))
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    weight = 1.0 + z * z / tries
    middle = (mean + z * z / (2 * tries)) / weight
    half = z / weight * math.sqrt(mean * (1.0 - mean) / tries + z * z / (4 * tries * tries))
    # At a mean of 0 or 1 the interval ends exactly there, whatever rounding did.
    low = 0.0 if mean == 0.0 else max(0.0, middle - half)
    high = 1.0 if mean == 1.0 else min(1.0, middle + half)
    return low, high
