"""Run a Python module with our C++ under a sanitizer, which ends the process at the first fault.

    python -m bytelm.native.sanitize address pytest tests/bytelm/decode/native

`address` is ASan with UBSan, which find reads and writes outside of memory, and undefined
arithmetic. `thread` is TSan, which finds data races. Only our C++ is compiled with a sanitizer.
Python and torch are not, so the sanitizer's library must be loaded before all others.
"""

import ctypes
import os
import subprocess
import sys
from collections.abc import Mapping

from bytelm.native.toolchain import NoCompilerError, compiler_command

VARIABLE = "BYTELM_SANITIZE"
COMMON_FLAGS = ("-O1", "-g", "-fno-omit-frame-pointer")
FLAGS = {
    "address": ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", *COMMON_FLAGS),
    "thread": ("-fsanitize=thread", *COMMON_FLAGS),
}
# Libraries to load first. ASan needs libstdc++ at its start, to find the functions for exceptions.
LIBRARIES = {
    "address": ("libasan.so", "libubsan.so", "libstdc++.so"),
    "thread": ("libtsan.so", "libstdc++.so"),
}
# Python and torch do not free all memory when they end, and free memory that others allocated, so
# those checks are off. TSan ignores torch's threads, since it cannot see how they synchronize.
OPTIONS = {
    "ASAN_OPTIONS": "detect_leaks=0:alloc_dealloc_mismatch=0",
    "UBSAN_OPTIONS": "print_stacktrace=1",
    "TSAN_OPTIONS": "ignore_noninstrumented_modules=1:halt_on_error=1:report_signal_unsafe=0",
}
ADDR_NO_RANDOMIZE = 0x0040000


def sanitizer_flags() -> tuple[str, ...]:
    """The compiler's flags for the sanitizer that this process runs under, if there is one."""
    name = os.environ.get(VARIABLE, "")
    return FLAGS[name] if name else ()


def sanitized_environment(name: str) -> dict[str, str]:
    """The environment variables of a process under the sanitizer `name`: address or thread."""
    try:
        compiler = compiler_command()
    except NoCompilerError as error:
        sys.exit(f"error: {error}")
    paths = [
        subprocess.run(
            [*compiler, f"-print-file-name={library}"], capture_output=True, text=True, check=True
        ).stdout.strip()
        for library in LIBRARIES[name]
    ]
    return {
        **os.environ, **OPTIONS, VARIABLE: name, "LD_PRELOAD": " ".join(paths),
        # One thread for torch, whose threads are not tested. Tests set the number of our own.
        "OMP_NUM_THREADS": "1",
    }  # fmt: skip


def execute(arguments: list[str], environment: Mapping[str, str]) -> None:
    """Replace this process by Python with `arguments`.

    Address randomization is turned off, since TSan cannot use all addresses.
    """
    ctypes.CDLL(None).personality(ADDR_NO_RANDOMIZE)
    os.execve(sys.executable, [sys.executable, *arguments], environment)


def main(arguments: list[str]) -> None:
    """Run the tool. `arguments`: the sanitizer, the module, and the module's arguments."""
    if len(arguments) < 2 or arguments[0] not in FLAGS:
        usage = "python -m bytelm.native.sanitize address|thread MODULE [ARGUMENT ...]"
        sys.exit(f"error: usage: {usage}")
    execute(["-m", *arguments[1:]], sanitized_environment(arguments[0]))


if __name__ == "__main__":
    main(sys.argv[1:])
