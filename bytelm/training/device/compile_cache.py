"""Torch's cache of compiled code, and the removal of incomplete files from it.

Torch compiles directly to a file's final name, and takes any file of that name as complete. If the
compiler or the linker is killed half-way, or the machine loses power, every later run fails to load
the file. Such a run would then train without compiled code, which rounds differently, so its result
would not be repeatable.

When all code of a run is compiled, `record_whole_code` writes each file's hash beside it. A file
that is not what was recorded is removed. One without a record is judged by its format.
"""

import contextlib
import os
import struct
from pathlib import Path

from filelock import FileLock, Timeout

from bytelm.files.atomic import sha256_of, sync, write_text
from bytelm.files.streams import say
from bytelm.native.toolchain import TORCH_CACHE, fits_torch, folder_for_torch

# ELF, 64 bits, little-endian: the offset of the section headers, their size, and their number.
_HEADER = struct.Struct("<40xQ10xHH2x")
# The record of a file: its name, and this.
RECORD = ".sha256"
SMALLEST_HEADER_BYTES = 1 << 20


def place_cache(run: Path) -> None:
    """Set torch's cache of compiled code to a folder beside the run folder `run`.

    It is a private folder instead if torch cannot compile beside the run folder: if its path holds
    white space, or it cannot be written. An existing TORCHINDUCTOR_CACHE_DIR is kept, unless its
    path holds white space. Call this early: some parts of torch read the variable when they are
    imported.
    """
    given = os.environ.get(TORCH_CACHE)
    if given and fits_torch(Path(given).absolute()):
        return
    if given:
        say(f"{TORCH_CACHE}={given} is not used: torch cannot compile in a path with white space")
    cache = run.parent.absolute() / ".cache" / "inductor"
    if not fits_torch(cache) or not _can_write(cache):
        with contextlib.suppress(OSError):
            cache = folder_for_torch() / "inductor"
    os.environ[TORCH_CACHE] = str(cache)


def _can_write(folder: Path) -> bool:
    """Whether `folder` can be made and written; nothing is made."""
    there = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)


def is_whole(path: Path) -> bool:
    """Whether an ELF file has all its section headers, which linkers write at its end.

    Files of other formats count as whole. Empty files do not.
    """
    with path.open("rb") as file:
        header = file.read(_HEADER.size)
    if len(header) < _HEADER.size:
        return False
    if header[:6] != b"\x7fELF\x02\x01":
        # The linker writes the header last. Before, the file begins with zeros.
        return any(header)
    offset, size, count = _HEADER.unpack(header)
    return bool(offset) and offset + size * count <= path.stat().st_size


def is_as_recorded(path: Path) -> bool:
    """Whether a file has the hash that was recorded; True if none was."""
    try:
        recorded = _record(path).read_text(encoding="ascii", errors="replace").strip()
    except FileNotFoundError:
        return True
    return recorded == sha256_of(path)


def _record(path: Path) -> Path:
    return path.with_name(f"{path.name}{RECORD}")


def remove_cut_code(cache: Path) -> int:
    """Remove incomplete and changed libraries from the cache; return how many.

    A library that another process is compiling stays, because that process holds torch's lock.
    Several processes may call this at the same time, as ranks do when they start together.
    """
    return sum(_remove_cut(path, cache / "locks") for path in cache.glob("*/*.so"))


def _remove_cut(path: Path, locks: Path) -> bool:
    # Meanwhile another process may have completed or removed the file.
    with contextlib.suppress(Timeout, FileNotFoundError):
        if is_whole(path) and is_as_recorded(path):
            return False
        locks.mkdir(exist_ok=True)
        with _lock(path, locks):
            if not is_whole(path) or not is_as_recorded(path):
                path.unlink()
                _record(path).unlink(missing_ok=True)
                return True
    return False


def _lock(path: Path, locks: Path) -> FileLock:
    """Torch's lock for the compilation of `path`. Raises Timeout if another process holds it."""
    return FileLock(locks / f"{path.name.partition('.')[0]}.lock", timeout=0)


def header_folder() -> Path:
    """The folder of torch's precompiled headers, which all caches of this user share."""
    from torch._inductor.runtime.cache_dir_utils import default_cache_dir  # takes a second

    return Path(default_cache_dir()) / "precompiled_headers"


def remove_cut_headers(folder: Path) -> int:
    """Remove precompiled headers that are incomplete; return how many.

    The compiler refuses an incomplete one, and with it each file that includes it. It writes a few
    kilobytes first and all the rest at the end, so a header of a compiler that was killed is small.
    One that another process is compiling stays, because that process holds torch's lock.
    """
    removed = 0
    for path in folder.glob("*.gch"):
        with contextlib.suppress(Timeout, OSError):
            if path.stat().st_size < SMALLEST_HEADER_BYTES:
                with _lock(path, folder / "locks"):
                    if path.stat().st_size < SMALLEST_HEADER_BYTES:
                        path.unlink()
                        removed += 1
    return removed


def record_whole_code(cache: Path) -> None:
    """Sync torch's compiled libraries, and record the hash of each.

    Call this when all code of this process is compiled. What another process is compiling is left
    out.
    """
    for path in cache.glob("*/*.so"):
        # What cannot be recorded, as on a full disk, is judged by its format.
        with contextlib.suppress(Timeout, OSError):
            if not _record(path).exists():
                with _lock(path, cache / "locks"):
                    sync(path)
                    write_text(_record(path), f"{sha256_of(path)}\n")
