"""pass@k and how sure one can be of pass@1.

The estimator is that of Chen et al. 2021 (arXiv 2107.03374, section 2.1): with n samples of a
problem, c of them right, 1 - C(n-c, k) / C(n, k) estimates without bias the chance that at least
one of k samples is right.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean, pvariance


@dataclass(frozen=True)
class Tally:
    """Of one problem: how many samples were graded, and how many passed."""

    samples: int
    passed: int

    def __post_init__(self) -> None:
        if not 0 <= self.passed <= self.samples or self.samples < 1:
            raise ValueError(f"{self.passed} of {self.samples} samples passed: impossible counts")


def pass_at_k(samples: int, passed: int, k: int) -> float:
    """The chance that at least one of `k` samples is right, from `passed` of `samples` that were.

    The product form 1 - prod(1 - k/i), i = n-c+1 .. n, never forms a large binomial coefficient.
    Raises ValueError where k is not in 1..samples: then nothing can be estimated without bias.
    """
    if not 1 <= k <= samples or not 0 <= passed <= samples:
        raise ValueError(f"pass@{k} of {passed} right among {samples} samples is not defined")
    if samples - passed < k:
        return 1.0
    return 1.0 - math.prod(1.0 - k / i for i in range(samples - passed + 1, samples + 1))


def mean_pass_at_k(tallies: Sequence[Tally], k: int) -> float:
    """pass@k of a suite, the mean over its problems; ValueError where one has under k samples."""
    if not tallies:
        raise ValueError("no problems: pass@k is not defined")
    return fmean(pass_at_k(tally.samples, tally.passed, k) for tally in tallies)


def pass_at_1_interval(tallies: Sequence[Tally], confidence: float = 0.95) -> tuple[float, float]:
    """A confidence interval for the suite's pass@1, problems seen as draws from many like them.

    With one sample a problem it is Wilson's score interval, which stays honest at 0 and at 1. With
    several it is Wilson's form around the standard error over problems: the count of problems is
    replaced by the count of single tries that would vary as much as the problems' rates do (so
    that sampling more tightens it), at least the problems and at most the samples. Where every
    problem is all right or all wrong, that is the count of problems again.
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
    # At 0 and at 1 the end of the interval is exactly there; rounding must not push it out.
    low = 0.0 if mean == 0.0 else max(0.0, middle - half)
    high = 1.0 if mean == 1.0 else min(1.0, middle + half)
    return low, high
