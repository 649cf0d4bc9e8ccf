"""Resamples of problems, and the intervals that they give."""

import numpy as np
import pytest

from eval.bootstrap import bootstrap_means, interval_of


def test_problems_are_drawn_with_replacement() -> None:
    # A problem is drawn or not: with two that differ, the mean is 0, 1/2 or 1.
    means_R = bootstrap_means(np.array([[0.0], [1.0]]), 40_000, 1)[:, 0]
    values, counts = np.unique(means_R, return_counts=True)
    assert values.tolist() == [0.0, 0.5, 1.0]
    assert counts / len(means_R) == pytest.approx([0.25, 0.5, 0.25], abs=0.01)
    assert interval_of(np.arange(1001.0)) == pytest.approx((25, 975))
