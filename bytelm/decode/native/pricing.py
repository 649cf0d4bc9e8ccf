"""What a decoding step costs by the ids that each row feeds, measured before decoding begins."""

from collections.abc import Callable

import numpy as np

# Seconds that measuring may take, more or less; and turns, all the same, since what else runs here
# only ever adds, and of two measurements one is likely to be rid of it.
PRICING_S = 0.1
FEWEST_TURNS, MOST_TURNS = 2, 8


def measure_prices(step_s: Callable[[int], float], k: int) -> tuple[float, ...]:
    """Seconds of a step that feeds 1 .. `k` ids a row, each the shortest of some turns.

    `step_s` takes a step of a width and returns its seconds. The very first, which wakes threads
    and fills caches, does not count: it would be the price of plain decoding, and every draft
    would look cheap beside it. Where steps are long, widths between powers of two are not taken:
    there the products decide, and these lie on a line.
    """
    first_s = step_s(1)
    widths = list(range(1, k + 1))
    if first_s * sum(widths) > PRICING_S:
        widths = sorted({*(1 << n for n in range(k.bit_length())), k})
    turns = [[step_s(width) for width in widths]]
    while len(turns) < FEWEST_TURNS or (
        len(turns) < MOST_TURNS and sum(map(sum, turns)) < PRICING_S
    ):
        turns.append([step_s(width) for width in widths])
    shortest_s = [min(costs) for costs in zip(*turns, strict=True)]
    return tuple(np.interp(range(1, k + 1), widths, shortest_s).tolist())
