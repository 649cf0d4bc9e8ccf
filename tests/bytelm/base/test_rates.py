"""Rates of this machine: the shortest of some calls, within a limit of time."""

import itertools
import time

import pytest

from bytelm.base import rates


def test_the_shortest_call_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    # Started at 0; calls of 0.5, 0.2 and 0.4 seconds.
    clock = iter([0.0, 0.0, 0.5, 0.5, 0.7, 0.7, 1.1])
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    calls: list[int] = []
    assert rates.shortest_s(lambda: calls.append(1), 3, most_s=9.0) == pytest.approx(0.2)
    assert len(calls) == 3


@pytest.mark.parametrize(("most_s", "calls"), [(0.0, 1), (4.5, 2), (1e9, 12)])
def test_slow_calls_are_few(monkeypatch: pytest.MonkeyPatch, most_s: float, calls: int) -> None:
    """By a clock that moves a second with each reading, a call takes one second."""
    seconds = itertools.count()
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(seconds)))
    made: list[int] = []
    assert rates.shortest_s(lambda: made.append(1), 12, most_s) == 1.0
    assert len(made) == calls


@pytest.mark.medium
@pytest.mark.parametrize("rate", ["matmul", "bandwidth"])
def test_rates_are_positive(rate: str) -> None:
    import torch

    measured = {
        "matmul": lambda: rates.matmul_flops_per_s(torch.float32, "cpu"),
        "bandwidth": lambda: rates.bandwidth_bytes_per_s("cpu"),
    }
    assert measured[rate]() > 0
