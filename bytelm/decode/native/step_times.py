"""How long a decoding step takes by the ids that each row feeds, measured before decoding."""

from collections.abc import Callable

import numpy as np

# Seconds that measuring may take, roughly.
MEASURING_S = 0.1
# Every width is measured in several turns: other programs only ever add time, so the shortest of
# two measurements is likely to be right.
FEWEST_TURNS, MOST_TURNS = 2, 8


def measure_step_times(step_s: Callable[[int], float], k: int) -> tuple[float, ...]:
    """Seconds of a step that feeds 1 .. `k` ids a row, each the shortest of some turns.

    `step_s` runs a step of a width and returns its seconds. The very first step wakes threads and
    fills caches, so it does not count: as the time of plain decoding it would make every draft look
    cheap. Where steps are long, only widths that are powers of two (and `k`) are measured: there
    the products take most of the time, and it is linear in the width.
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
