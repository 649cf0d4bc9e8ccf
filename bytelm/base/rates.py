"""Measure this machine's peak rates. A step's time is compared with them."""

import time
from collections.abc import Callable

import torch

# Large enough that a GPU's work takes much longer than the call that starts it.
GPU_ROWS, CPU_ROWS = 8192, 1024
GPU_READ_BYTES, CPU_READ_BYTES = 8 * 2**30, 2**28


# A processor without bfloat16 takes seconds for one product, so not all rounds are run there.
MOST_S = 1.0


def shortest_s(work: Callable[[], object], rounds: int, most_s: float = MOST_S) -> float:
    """The shortest time of up to `rounds` calls of `work`, in seconds.

    After `most_s` seconds no further call begins.
    """
    best, started = float("inf"), time.perf_counter()
    for _ in range(rounds):
        begun = time.perf_counter()
        if best < float("inf") and begun - started > most_s:
            break
        work()
        best = min(best, time.perf_counter() - begun)
    return best


def matmul_flops_per_s(dtype: torch.dtype, device: str) -> float:
    """Floating-point operations per second of a large square matrix product, the best of 12."""
    rows = GPU_ROWS if device.startswith("cuda") else CPU_ROWS
    a = torch.randn(rows, rows, device=device).to(dtype)
    return 2 * rows**3 / shortest_s(lambda: float((a @ a)[0, 0]), 12)


def bandwidth_bytes_per_s(device: str) -> float:
    """Bytes per second of reading memory that is larger than the caches, the best of 6."""
    size = CPU_READ_BYTES
    if device.startswith("cuda"):
        # On a small card, half of the free memory: the rest may be needed for a model.
        size = min(GPU_READ_BYTES, torch.cuda.mem_get_info(device)[0] // 2)
    data = torch.ones(size // 4, device=device)
    return data.nbytes / shortest_s(lambda: float(data.sum()), 6)
