"""Compile C++ once for this machine, and keep the library in the package's `__pycache__`."""

import contextlib
import ctypes
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path

from bytelm.native.headers import Struct, generated_headers
from bytelm.native.sanitize import sanitizer_flags

HERE = Path(__file__).parent
FLAGS = ("-std=c++17", "-O3", "-march=native", "-ffp-contract=fast", "-fno-math-errno",
         "-Wno-psabi", "-shared", "-fPIC", "-pthread", "-fvisibility=hidden")  # fmt: skip

_compiling = threading.Lock()


class NoCompilerError(Exception):
    """C++ cannot be compiled or loaded. The message says why, in one line."""


def _processor() -> str:
    """The name and the features of the processor that code is compiled for."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    kept = {line for line in lines if line.startswith(("model name", "flags", "Features"))}
    return "\n".join(sorted(kept)) or platform.processor() + platform.machine()


def _compiler() -> str:
    names = [os.environ["CXX"]] if os.environ.get("CXX") else ["g++", "c++", "clang++"]
    for name in names:
        if found := shutil.which(name):
            return found
    raise NoCompilerError(f"no C++ compiler ({', '.join(names)}) was found")


def _folder() -> Path:
    """The folder for libraries: `__pycache__`, or a folder of the user if that is read-only."""
    folder = HERE / "__pycache__"
    try:
        folder.mkdir(exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder
    except OSError:
        pass
    private = Path(tempfile.gettempdir()) / f"bytelm-{os.getuid()}"
    private.mkdir(mode=0o700, exist_ok=True)
    if private.stat().st_uid != os.getuid():
        raise NoCompilerError(f"{private} belongs to someone else")
    return private


@functools.cache
def library(source: Path, *options: str, structs: tuple[Struct, ...] = ()) -> ctypes.CDLL:
    """Compile `source` to a shared library, unless that is done already, and load it.

    `source` can include headers of its own folder and of this one. `options`: further flags for
    the compiler. `structs`: ctypes structs that C++ defines too; the compiler checks that both
    agree (see `bytelm.native.headers`). The library's name is a hash of the source, flags, headers,
    alphabet, structs and processor, so a change of any of these compiles it again.

    Raises NoCompilerError, with the reason, if there is no compiler or compiling fails.
    """
    target = compiled(source, *options, structs=structs)
    try:
        return ctypes.CDLL(str(target))
    except OSError as error:
        raise NoCompilerError(f"{target.name} cannot be loaded: {error}") from error


def compiled(source: Path, *options: str, structs: tuple[Struct, ...] = ()) -> Path:
    """The file of `library(...)`, compiled but not loaded. Threads may call it side by side.

    Raises NoCompilerError as `library` does.
    """
    headers = sorted([*HERE.glob("*.h"), *source.parent.glob("*.h")])
    command = (_compiler(), *FLAGS, *options, *sanitizer_flags())
    generated = generated_headers(structs)
    digest = hashlib.sha256("\0".join((*command, _processor(), *generated.values())).encode())
    for file in (source, *headers):
        digest.update(file.read_bytes())
    target = _folder() / f"{source.stem}-{digest.hexdigest()[:16]}.so"
    # A second thread waits for the first one's library, rather than compile its own.
    with _compiling:
        if not target.exists():
            _compile([*command, f"-I{HERE}", str(source)], generated, target)
    return target


def _compile(command: list[str], generated: dict[str, str], target: Path) -> None:
    """Compile to a temporary file and rename it, so that two processes can do so at once."""
    with tempfile.TemporaryDirectory(dir=target.parent) as aside:
        for name, text in generated.items():
            (Path(aside) / name).write_text(text, encoding="utf-8")
        made = Path(aside) / target.name
        _run_compiler([*command, f"-I{aside}", "-o", str(made)])
        made.replace(target)
        same = target.parent.glob(f"{target.stem.rpartition('-')[0]}-*.so")
        # Another process may delete the same files.
        with contextlib.suppress(OSError):
            for old in sorted(same, key=lambda path: path.stat().st_mtime)[:-4]:
                old.unlink(missing_ok=True)


def _run_compiler(command: list[str]) -> None:
    compiler = command[0]
    # The compiler must not load a sanitizer that this process runs under.
    environment = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    try:
        done = subprocess.run(
            command, env=environment,
            capture_output=True, text=True, errors="replace", timeout=300, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoCompilerError(f"{compiler} failed: {error}") from error
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if "error" in line]
        reason = (lines or done.stderr.splitlines() or [f"status {done.returncode}"])[0]
        raise NoCompilerError(f"{compiler} failed: {reason.strip()[:200]}")
