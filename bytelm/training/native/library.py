"""attention.cpp as a shared library. Free of torch: compiling begins while torch is imported."""

import contextlib
import ctypes
import threading
from pathlib import Path

from bytelm.native.build import NoCompilerError, compiled, library
from bytelm.training.native.structs import STRUCTS

SOURCE = Path(__file__).with_name("attention.cpp")
# -O3 takes six times as long to compile, gives the same bits, and runs 0 to 7 percent faster.
OPTIONS = ("-fopenmp", "-O2")


def attention_library() -> ctypes.CDLL:
    """attention.cpp, compiled and loaded. Raises NoCompilerError where it cannot be."""
    return library(SOURCE, *OPTIONS, structs=STRUCTS)


def begin_attention(device: str) -> None:
    """Start compiling attention.cpp in the background, if training on `device` will need it."""
    if device == "cpu":
        threading.Thread(target=_compile, daemon=True, name="attention").start()


def _compile() -> None:
    # If this fails, `attention_library` reports the same error.
    with contextlib.suppress(NoCompilerError):
        compiled(SOURCE, *OPTIONS, structs=STRUCTS)
