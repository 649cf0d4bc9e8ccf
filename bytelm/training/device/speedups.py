"""Speedups that depend on the machine: bfloat16 if it is faster, compiled code if possible."""

import contextlib
import functools
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import torch

from bytelm.base.options import MOST_HEADS
from bytelm.base.rates import MOST_S
from bytelm.native.toolchain import prepare_torch

# bfloat16 rounds more, so it must be faster than float32 by this factor.
WORTH = 1.3
# Heads with layers are compiled one by one. Past torch's default limit of 8, torch would silently
# run the others uncompiled.
MOST_VARIANTS = 2 * MOST_HEADS


def _size(device: str) -> int:
    """Rows of a matrix so large that its product takes much longer than the call's overhead."""
    return 4096 if device.startswith("cuda") else 768


def _best_matmul_s(device: str) -> dict[torch.dtype, float]:
    """The shortest time in seconds of a matrix product in each type.

    The types are measured in turns, and the shortest time of many counts, so that other load on the
    machine does not favour one type.
    """
    size = _size(device)
    matrices = {
        dtype: torch.randn(size, size, device=device).to(dtype)
        for dtype in (torch.float32, torch.bfloat16)
    }
    best = dict.fromkeys(matrices, float("inf"))
    started = time.perf_counter()
    for index in range(20):
        # Without hardware support for a type, a product may take a second: two of them are enough.
        # (One is not: the first call on a GPU loads a library.)
        if index > 1 and time.perf_counter() - started > MOST_S:
            break
        for dtype, a in matrices.items():
            start = time.perf_counter()
            float((a @ a)[0, 0])
            best[dtype] = min(best[dtype], time.perf_counter() - start)
    return best


def pick_dtype(wanted: str, device: str) -> torch.dtype:
    """The type named by `wanted`; for "auto", the one that is faster in a short measurement."""
    if wanted != "auto":
        return {"float32": torch.float32, "bfloat16": torch.bfloat16}[wanted]
    best = _best_matmul_s(device)
    faster = best[torch.float32] / best[torch.bfloat16] >= WORTH
    return torch.bfloat16 if faster else torch.float32


def compiler() -> Callable[[Any], Any]:
    """A function that compiles functions, for the static shapes of their arguments.

    Compiled functions share no code, because a process may hold many models.
    """
    # A dict, because torch's annotations lack these two arguments.
    variants: dict[str, Any] = {"recompile_limit": MOST_VARIANTS, "isolate_recompiles": True}

    def compile_static(function: Any) -> Any:
        return torch.compile(function, dynamic=False, **variants)

    return compile_static


# Like the kernels that torch generates. Its header takes most of the compiler's time.
_EMPTY_KERNEL = """
#include <torch/csrc/inductor/cpp_prefix.h>
extern "C" void kernel(float* out)
{
    auto zero = at::vec::Vectorized<float>(0);
    zero.store(out);
}
"""


def begin_compiling(device: str) -> None:
    """Set up torch's compiler, and start it in the background, while torch is still tracing.

    With an empty cache, torch first precompiles a header, which takes many times as long as a
    kernel. Torch does so only when the first kernel is ready. This function makes it start at once.
    """
    prepare_torch()
    if device != "cpu":
        return
    # Else torch compiles and runs a test program to check the processor's vector instructions.
    # Any compiler knows AVX2. Of what is newer, an old compiler may know less than the processor.
    plain = torch.backends.cpu.get_cpu_capability() == "AVX2"
    if plain and torch._inductor.config.cpp.vec_isa_ok is None:
        torch._inductor.config.cpp.vec_isa_ok = True
    _check_instructions_in_one_thread()
    threading.Thread(target=_compile_empty_kernel, daemon=True, name="compiler").start()


@functools.cache
def _check_instructions_in_one_thread() -> None:
    """Make torch's check of the vector instructions safe to call from several threads.

    The check changes the compiler's options for a moment. A second thread would take these for the
    options of its own kernels. A run would then use other machine code than the same run later.
    """
    from torch._inductor import cpu_vec_isa

    check, lock = cpu_vec_isa.valid_vec_isa_list, threading.Lock()

    @functools.cache
    def check_in_turn() -> list[cpu_vec_isa.VecISA]:
        with lock:
            return check()

    cpu_vec_isa.valid_vec_isa_list = check_in_turn


def _compile_empty_kernel() -> None:
    # If this fails, torch reports the same error when it compiles the first real kernel.
    with contextlib.suppress(Exception):
        from torch._inductor.async_compile import AsyncCompile

        AsyncCompile().cpp_pybinding(["float*"], _EMPTY_KERNEL)


def abandon_compiling() -> None:
    """Cancel pending compilations, which the interpreter would else finish before it exits."""
    # If the module was never imported, nothing was compiled and there is nothing to cancel.
    module = sys.modules.get("torch._inductor.async_compile")
    if module is not None and module.get_compile_threads() > 1:
        pool = module.AsyncCompile.pool
        pool().shutdown(wait=False, cancel_futures=True)
        # The next training of this process gets a pool of its own. Else it would not be compiled.
        pool.cache_clear()
