"""Compile C++ once for this machine, and keep the library in the package's `__pycache__`."""

import contextlib
import ctypes
import fcntl
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from bytelm.files.atomic import sha256_of, sync
from bytelm.native.headers import Struct, generated_headers
from bytelm.native.sanitize import sanitizer_flags
from bytelm.native.toolchain import NoCompilerError as NoCompilerError
from bytelm.native.toolchain import compiler_command, private_folders

HERE = Path(__file__).parent
FLAGS = ("-std=c++17", "-O3", "-march=native", "-ffp-contract=fast", "-fno-math-errno",
         "-Wno-psabi", "-shared", "-fPIC", "-pthread", "-fvisibility=hidden")  # fmt: skip

# The temporary folder of a compiler begins with this.
SCRATCH = ".compiling-"
DAY_S = 24 * 3600

_compiling = threading.Lock()


def _processor() -> str:
    """The name and the features of the processor that code is compiled for."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    kept = {line for line in lines if line.startswith(("model name", "flags", "Features"))}
    return "\n".join(sorted(kept)) or platform.processor() + platform.machine()


def _folder() -> Path:
    """The folder for libraries: `__pycache__`, or a private folder if that cannot be used."""
    folder = HERE / "__pycache__"
    # An error: it is read-only, or something else has its name.
    with contextlib.suppress(OSError):
        folder.mkdir(exist_ok=True)
        if os.access(folder, os.W_OK | os.X_OK):
            return folder
    return next(private_folders())


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
    command = (*compiler_command(), *FLAGS, *options, *sanitizer_flags())
    generated = generated_headers(structs)
    digest = hashlib.sha256("\0".join((*command, _processor(), *generated.values())).encode())
    for file in (source, *headers):
        digest.update(file.read_bytes())
    key = f"{source.stem}-{digest.hexdigest()[:16]}"
    # A second thread waits for the first one's library, rather than compile its own.
    with _compiling:
        try:
            folder = _folder()
            _remove_abandoned(folder)
            whole = _whole_library(folder, key)
            return whole or _compile([*command, str(source)], generated, folder, key)
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            raise NoCompilerError(f"{where}{error.strerror or error}") from error


def _whole_library(folder: Path, key: str) -> Path | None:
    """The library `KEY-HASH.so` whose content has this hash. Others of the key are removed.

    A computer that loses power can leave a file that is empty, cut, or full of zeros.
    """
    for path in sorted(folder.glob(f"{key}-*.so")):
        with contextlib.suppress(OSError):
            if path.stem.rpartition("-")[2] == _short_hash(path):
                return path
            path.unlink()
    return None


def _short_hash(path: Path) -> str:
    return sha256_of(path)[:16]


def _compile(command: list[str], generated: dict[str, str], folder: Path, key: str) -> Path:
    """Compile to a temporary file, sync and rename it, so that two processes can do so at once."""
    with _scratch(folder) as aside:
        for name, text in generated.items():
            (aside / name).write_text(text, encoding="utf-8")
        made = aside / "library.so"
        _run_compiler([*command, f"-I{HERE}", f"-I{aside}", "-o", str(made)], aside)
        target = folder / f"{key}-{_short_hash(made)}.so"
        sync(made)
        made.replace(target)
        sync(folder)
    same = folder.glob(f"{key.rpartition('-')[0]}-*.so")
    # Another process may delete the same files.
    with contextlib.suppress(OSError):
        for old in sorted(same, key=lambda path: path.stat().st_mtime)[:-4]:
            old.unlink(missing_ok=True)
    return target


@contextlib.contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """A temporary folder that is locked for as long as this process uses it."""
    with contextlib.ExitStack() as stack:
        with _locked(folder):
            made = tempfile.TemporaryDirectory(
                prefix=SCRATCH, dir=folder, ignore_cleanup_errors=True
            )
            aside = Path(stack.enter_context(made))
            stack.enter_context(_locked(aside))
        yield aside


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Wait for the lock of `folder`, and hold it. Some network file systems have no locks."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _remove_abandoned(folder: Path) -> None:
    """Remove the temporary folders of compilers that were killed: nobody holds their locks."""
    found = [*folder.glob(f"{SCRATCH}*"), *(path.parent for path in folder.glob("tmp*/alphabet.h"))]
    if not found:
        return
    # Under the folder's lock, so that none of them is new and not locked yet.
    with _locked(folder):
        for path in found:
            with contextlib.suppress(OSError):
                if _is_abandoned(path):
                    shutil.rmtree(path, ignore_errors=True)


def _is_abandoned(path: Path) -> bool:
    old = time.time() - path.stat().st_mtime > DAY_S
    if not path.name.startswith(SCRATCH):
        # Of a version that did not lock.
        return old
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return old
    finally:
        os.close(descriptor)
    return True


def _run_compiler(command: list[str], scratch: Path) -> None:
    compiler = command[0]
    # The compiler must not load a sanitizer that this process runs under. Its own temporary files
    # go where they are removed even if it is killed.
    environment = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    environment["TMPDIR"] = str(scratch)
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
