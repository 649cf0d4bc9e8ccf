"""What this machine is good at: bfloat16 where it pays, compiled code where a compiler is."""

import contextlib
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import torch

from bytelm.base.rates import MOST_S
from bytelm.config import MOST_HEADS

# bfloat16 rounds more; it has to be clearly faster to be worth it.
WORTH = 1.3
# Heads with layers are compiled one by one. Past torch's own limit, 8, the others would run
# uncompiled, and nobody would be told.
MOST_VARIANTS = 2 * MOST_HEADS


def _size(device: str) -> int:
    """Rows of a matrix whose product keeps the device busy for longer than a call to it takes."""
    return 4096 if device.startswith("cuda") else 768


def _best_matmul_s(device: str) -> dict[torch.dtype, float]:
    """The shortest time of a matrix product in each type, measured in turns.

    In turns and the shortest of many, so that what else the machine does strikes both alike.
    """
    size = _size(device)
    matrices = {
        dtype: torch.randn(size, size, device=device).to(dtype)
        for dtype in (torch.float32, torch.bfloat16)
    }
    best = dict.fromkeys(matrices, float("inf"))
    started = time.perf_counter()
    for index in range(20):
        # Where a type has no units of its own, a product takes a second: two say enough. (Not one:
        # the first call on a GPU loads a library.)
        if index > 1 and time.perf_counter() - started > MOST_S:
            break
        for dtype, a in matrices.items():
            start = time.perf_counter()
            float((a @ a)[0, 0])
            best[dtype] = min(best[dtype], time.perf_counter() - start)
    return best


def pick_dtype(wanted: str, device: str) -> torch.dtype:
    """`float32`, `bfloat16`, or for `auto` the one that a short measurement favours."""
    if wanted != "auto":
        return {"float32": torch.float32, "bfloat16": torch.bfloat16}[wanted]
    best = _best_matmul_s(device)
    faster = best[torch.float32] / best[torch.bfloat16] >= WORTH
    return torch.bfloat16 if faster else torch.float32


def compiler() -> Callable[[Any], Any]:
    """A function that compiles functions for the shapes that they are called with.

    Each compiled function has code of its own: a process may hold many models.
    """
    # Of these two torch's own annotations do not know.
    variants: dict[str, Any] = {"recompile_limit": MOST_VARIANTS, "isolate_recompiles": True}

    def compile_static(function: Any) -> Any:
        return torch.compile(function, dynamic=False, **variants)

    return compile_static


# As what torch generates: its header of vectors is what takes most of a compiler's time.
_EMPTY_KERNEL = """
#include <torch/csrc/inductor/cpp_prefix.h>
extern "C" void kernel(float* out)
{
    auto zero = at::vec::Vectorized<float>(0);
    zero.store(out);
}
"""


def begin_compiling(device: str) -> None:
    """Let the C++ compiler begin in the background while torch still traces.

    On a machine where nothing was compiled before, torch precompiles a header, which takes many
    times as long as a kernel. It begins with that only when it has a kernel to compile; here it
    begins at once.
    """
    if device != "cpu":
        return
    # Torch would compile and load a program, in another process, to try what the processor says.
    if torch._inductor.config.cpp.vec_isa_ok is None:
        torch._inductor.config.cpp.vec_isa_ok = True
    threading.Thread(target=_compile_empty_kernel, daemon=True, name="compiler").start()


def _compile_empty_kernel() -> None:
    # Whatever is wrong, torch will say when it compiles what is needed.
    with contextlib.suppress(Exception):
        from torch._inductor.async_compile import AsyncCompile

        AsyncCompile().cpp_pybinding(["float*"], _EMPTY_KERNEL)


def abandon_compiling() -> None:
    """Drop what waits to be compiled; else the interpreter compiles all of it before it ends."""
    # Not imported here: where nothing was compiled there is nothing to drop.
    module = sys.modules.get("torch._inductor.async_compile")
    if module is not None:
        module.AsyncCompile.pool().shutdown(wait=False, cancel_futures=True)


def why(error: Exception) -> str:
    """One line of what a failed compilation said."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:160]
