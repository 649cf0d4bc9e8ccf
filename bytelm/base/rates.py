"""What this machine reaches, measured: a step's time is told in shares of it."""

import time
from collections.abc import Callable

import torch

# Large enough for a GPU that what is measured is its work and not the call.
GPU_ROWS, CPU_ROWS = 8192, 1024
GPU_READ_BYTES, CPU_READ_BYTES = 8 * 2**30, 2**28


# A processor without bfloat16 takes seconds for one product: more rounds say nothing new there.
MOST_S = 1.0


def shortest_s(work: Callable[[], object], rounds: int, most_s: float = MOST_S) -> float:
    """Seconds of the shortest of `rounds` calls; no further call begins after `most_s` seconds."""
    best, started = float("inf"), time.perf_counter()
    for _ in range(rounds):
        begun = time.perf_counter()
        if best < float("inf") and begun - started > most_s:
            break
        work()
        best = min(best, time.perf_counter() - begun)
    return best


def matmul_flops_per_s(dtype: torch.dtype, device: str) -> float:
    """The rate of a large square matrix product, the best of some."""
    rows = GPU_ROWS if device.startswith("cuda") else CPU_ROWS
    a = torch.randn(rows, rows, device=device).to(dtype)
    return 2 * rows**3 / shortest_s(lambda: float((a @ a)[0, 0]), 12)


def bandwidth_bytes_per_s(device: str) -> float:
    """The best of a few reads of memory that no cache holds."""
    size = CPU_READ_BYTES
    if device.startswith("cuda"):
        # Half of what is free, on a small card: it may hold a model by now.
        size = min(GPU_READ_BYTES, torch.cuda.mem_get_info(device)[0] // 2)
    data = torch.ones(size // 4, device=device)
    return data.nbytes / shortest_s(lambda: float(data.sum()), 6)
