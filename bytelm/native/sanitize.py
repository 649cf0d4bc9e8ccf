"""Run a Python module with all C++ under a sanitizer, which ends the process at a fault.

    python -m bytelm.native.sanitize address pytest tests/bytelm/decode/native

`address` is ASan with UBSan: reads and writes outside of memory, undefined arithmetic. `thread` is
TSan: races. Only our C++ is compiled with them; Python and torch are not, so the sanitizer's
library is loaded before all others.
"""

import ctypes
import os
import subprocess
import sys
from collections.abc import Mapping

VARIABLE = "BYTELM_SANITIZE"
COMMON_FLAGS = ("-O1", "-g", "-fno-omit-frame-pointer")
FLAGS = {
    "address": ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", *COMMON_FLAGS),
    "thread": ("-fsanitize=thread", *COMMON_FLAGS),
}
# Loaded first. libstdc++ too: ASan looks for what throws exceptions when it starts.
LIBRARIES = {
    "address": ("libasan.so", "libubsan.so", "libstdc++.so"),
    "thread": ("libtsan.so", "libstdc++.so"),
}
# Python and torch leave memory to the system when they end, and free what others allocated.
# TSan must not judge what torch's own threads do, since it does not see how they wait.
OPTIONS = {
    "ASAN_OPTIONS": "detect_leaks=0:alloc_dealloc_mismatch=0",
    "UBSAN_OPTIONS": "print_stacktrace=1",
    "TSAN_OPTIONS": "ignore_noninstrumented_modules=1:halt_on_error=1:report_signal_unsafe=0",
}
ADDR_NO_RANDOMIZE = 0x0040000


def sanitizer_flags() -> tuple[str, ...]:
    """The compiler's flags for the sanitizer that this process runs under; none without one."""
    name = os.environ.get(VARIABLE, "")
    return FLAGS[name] if name else ()


def sanitized_environment(name: str) -> dict[str, str]:
    """The environment of a process under the sanitizer `name`."""
    compiler = os.environ.get("CXX") or "g++"
    paths = [
        subprocess.run(
            [compiler, f"-print-file-name={library}"], capture_output=True, text=True, check=True
        ).stdout.strip()
        for library in LIBRARIES[name]
    ]
    return {
        **os.environ, **OPTIONS, VARIABLE: name, "LD_PRELOAD": " ".join(paths),
        # Torch's own threads are no subject here; tests give ours their number themselves.
        "OMP_NUM_THREADS": "1",
    }  # fmt: skip


def execute(arguments: list[str], environment: Mapping[str, str]) -> None:
    """Become this Python with other arguments, at addresses that TSan's shadow has room for."""
    ctypes.CDLL(None).personality(ADDR_NO_RANDOMIZE)
    os.execve(sys.executable, [sys.executable, *arguments], environment)


def main(arguments: list[str]) -> None:
    """`arguments`: the sanitizer, the module, and what the module gets."""
    if len(arguments) < 2 or arguments[0] not in FLAGS:
        usage = "python -m bytelm.native.sanitize address|thread MODULE [ARGUMENT ...]"
        sys.exit(f"error: usage: {usage}")
    execute(["-m", *arguments[1:]], sanitized_environment(arguments[0]))


if __name__ == "__main__":
    main(sys.argv[1:])
