"""Measure, before decoding, how a step's time depends on the number of ids that each row feeds."""

from collections.abc import Callable

import numpy as np

# About how many seconds the measurement may take.
MEASURING_S = 0.1
# Every width is measured several times, and the shortest time counts: other programs can only make
# a step slower.
FEWEST_TURNS, MOST_TURNS = 2, 8


def measure_step_times(step_s: Callable[[int], float], k: int) -> tuple[float, ...]:
    """Seconds of steps that feed 1, ..., `k` ids per row, each the shortest of several.

    `step_s`: runs a step of a given width and returns its seconds. The first step does not count.
    It wakes threads and fills caches, and would make plain decoding look slow and drafts cheap.
    If steps are long, only the widths that are powers of two, and `k`, are measured, and the others
    are interpolated. Matrix products dominate long steps, and their time is linear in the width.
    """
    first_s = step_s(1)
    widths = list(range(1, k + 1))
    if first_s * sum(widths) > MEASURING_S:
        widths = sorted({*(1 << n for n in range(k.bit_length())), k})
    turns = [[step_s(width) for width in widths]]
    while len(turns) < FEWEST_TURNS or (
        len(turns) < MOST_TURNS and sum(map(sum, turns)) < MEASURING_S
    ):
        turns.append([step_s(width) for width in widths])
    shortest_s = [min(costs) for costs in zip(*turns, strict=True)]
    return tuple(np.interp(range(1, k + 1), widths, shortest_s).tolist())
