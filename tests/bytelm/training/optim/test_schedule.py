"""Schedules: factors on learning rates and on the weight of heads 2..n."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bytelm.training.optim.schedule import (
    ScheduleOptions,
    head_weight_scale,
    learning_rate_scale,
)


@given(st.floats(0, 2))
def test_the_schedule_stays_between_zero_and_one(spent: float) -> None:
    assert 0 < learning_rate_scale(spent, ScheduleOptions()) <= 1


def test_warmup_stable_decay() -> None:
    options = ScheduleOptions(warmup=0.1, decay=0.5)
    scales = [learning_rate_scale(spent, options) for spent in (0.05, 0.1, 0.3, 0.5, 0.75, 0.9)]
    assert scales == pytest.approx([0.5, 1, 1, 1, 0.5, 0.2])


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [("constant", [1, 1, 1, 1]), ("falling", [1, 0.5, 0.25, 0]), ("late", [0, 0, 1, 1])],
)
def test_the_scale_of_the_heads_weight(schedule: str, expected: list[float]) -> None:
    options = ScheduleOptions(head_schedule=schedule, decay=0.25)  # type: ignore[arg-type]
    assert [head_weight_scale(spent, options) for spent in (0, 0.5, 0.75, 1)] == expected
    assert head_weight_scale(1.1, options) == expected[-1]
