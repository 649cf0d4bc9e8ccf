"""Step times: the shortest measured, the first not counted, few where steps are long."""

import pytest

from bytelm.decode.native.step_times import MEASURING_S, MOST_TURNS, measure_step_times


class Machine:
    """Steps of width w take base + slope x w seconds, and more where something gets between."""

    def __init__(self, base: float, slope: float, delays: dict[int, float]) -> None:
        self.base, self.slope, self.delays = base, slope, delays
        self.taken: list[int] = []

    def step_s(self, width: int) -> float:
        self.taken.append(width)
        return self.true(width) + self.delays.get(len(self.taken), 0.0)

    def true(self, width: int) -> float:
        return self.base + self.slope * width


@pytest.mark.parametrize("k", [2, 3, 4, 6, 8, 32])
@pytest.mark.parametrize("base", [1e-4, 1e-2, 1.0])
def test_a_slow_first_step_does_not_count(k: int, base: float) -> None:
    """As the time of plain decoding it would make every draft look cheap."""
    machine = Machine(base, base / 2, {1: 3 * base})
    expected = [machine.true(width) for width in range(1, k + 1)]
    assert measure_step_times(machine.step_s, k) == pytest.approx(expected)


@pytest.mark.parametrize("base", [1e-4, 1.0])
@pytest.mark.parametrize("at", range(2, 10))
def test_an_interruption_does_not_count(base: float, at: int) -> None:
    machine = Machine(base, base / 2, {at: 5 * base})
    expected = [machine.true(width) for width in range(1, 9)]
    assert measure_step_times(machine.step_s, 8) == pytest.approx(expected)


def test_long_steps_are_few() -> None:
    machine = Machine(1.0, 0.5, {})
    measure_step_times(machine.step_s, 8)
    assert machine.taken == [1, 1, 2, 4, 8, 1, 2, 4, 8]
    machine = Machine(1.0, 0.5, {})
    measure_step_times(machine.step_s, 7)
    assert machine.taken == [1, 1, 2, 4, 7, 1, 2, 4, 7]


def test_short_steps_are_measured_at_every_width_and_for_no_longer_than_it_takes() -> None:
    machine = Machine(1e-6, 0, {})
    measure_step_times(machine.step_s, 4)
    assert machine.taken == [1, *[1, 2, 3, 4] * MOST_TURNS]
    step = MEASURING_S / 25
    machine = Machine(step, 0, {})
    measure_step_times(machine.step_s, 6)
    assert machine.taken == [
        1,
        *range(1, 7),
        *range(1, 7),
        *range(1, 7),
        *range(1, 7),
        *range(1, 7),
    ]
