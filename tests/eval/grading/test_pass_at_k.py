from fractions import Fraction
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.grading.pass_at_k import Tally, mean_pass_at_k, pass_at_1_interval, pass_at_k


@st.composite
def counts(draw: st.DrawFn) -> tuple[int, int, int]:
    samples = draw(st.integers(1, 300))
    return samples, draw(st.integers(0, samples)), draw(st.integers(1, samples))


@given(counts())
def test_estimator_agrees_with_exact_fractions(drawn: tuple[int, int, int]) -> None:
    samples, passed, k = drawn
    exact = 1 - Fraction(comb(samples - passed, k), comb(samples, k))
    assert abs(pass_at_k(samples, passed, k) - float(exact)) < 1e-12


@given(st.integers(1, 300), st.data())
def test_pass_at_1_is_the_share_that_passed(samples: int, data: st.DataObject) -> None:
    passed = data.draw(st.integers(0, samples))
    assert pass_at_k(samples, passed, 1) == pytest.approx(passed / samples, abs=1e-12)


@pytest.mark.parametrize(("samples", "passed", "k"), [(5, 1, 6), (5, 1, 0), (5, 6, 1), (5, -1, 1)])
def test_what_is_not_defined_is_refused(samples: int, passed: int, k: int) -> None:
    with pytest.raises(ValueError, match="not defined"):
        pass_at_k(samples, passed, k)


def test_impossible_counts_are_refused() -> None:
    for samples, passed in ((0, 0), (2, 3), (2, -1)):
        with pytest.raises(ValueError, match="impossible"):
            Tally(samples, passed)


def test_mean_weighs_problems_equally_whatever_their_samples() -> None:
    assert mean_pass_at_k([Tally(10, 10), Tally(1, 0)], 1) == 0.5
    with pytest.raises(ValueError, match="not defined"):
        mean_pass_at_k([Tally(10, 10), Tally(1, 0)], 2)
    with pytest.raises(ValueError, match="no problems"):
        mean_pass_at_k([], 1)


@pytest.mark.parametrize(
    ("passed", "of", "low", "high"),
    # Wilson's score interval, 95 %, as printed in statistics texts.
    [(8, 10, 0.4902, 0.9433), (0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (1, 29, 0.0061, 0.1718)],
)
def test_one_sample_a_problem_gives_wilsons_interval(
    passed: int, of: int, low: float, high: float
) -> None:
    tallies = [Tally(1, 1)] * passed + [Tally(1, 0)] * (of - passed)
    assert pass_at_1_interval(tallies) == pytest.approx((low, high), abs=1e-4)


@given(st.lists(st.integers(0, 8), min_size=1, max_size=40), st.integers(8, 20))
def test_interval_holds_the_mean_and_stays_within_0_and_1(passed: list[int], samples: int) -> None:
    tallies = [Tally(samples, count) for count in passed]
    low, high = pass_at_1_interval(tallies)
    assert 0.0 <= low <= mean_pass_at_k(tallies, 1) <= high <= 1.0
    assert low < high


def test_more_samples_tighten_the_interval_only_where_problems_are_not_all_or_nothing() -> None:
    def width(tallies: list[Tally]) -> float:
        low, high = pass_at_1_interval(tallies)
        return high - low

    single = width([Tally(1, 1), Tally(1, 0)] * 20)
    assert width([Tally(100, 100), Tally(100, 0)] * 20) == pytest.approx(single)
    assert width([Tally(100, 60), Tally(100, 40)] * 20) < single / 2
    # All alike: never more certain than so many independent tries would be.
    assert width([Tally(2, 1)] * 20) == pytest.approx(single)
