"""Torch's cache of compiled code, and the removal of incomplete files from it.

Torch compiles directly to a file's final name, and takes any file of that name as complete. If the
compiler or the linker is killed half-way, every later run fails to load the file. Such a run would
then train without compiled code, which rounds differently, so its result would not be repeatable.
"""

import contextlib
import os
import struct
from pathlib import Path

from filelock import FileLock, Timeout

# ELF, 64 bits, little-endian: the offset of the section headers, their size, and their number.
_HEADER = struct.Struct("<40xQ10xHH2x")


def place_cache(run: Path) -> None:
    """Set torch's cache of compiled code to a folder beside the run folder `run`.

    An existing TORCHINDUCTOR_CACHE_DIR is kept. Call this early: some parts of torch read the
    variable when they are imported.
    """
    cache = run.parent / ".cache" / "inductor"
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache.absolute()))


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


def remove_cut_code(cache: Path) -> int:
    """Remove incomplete libraries from the cache; return how many.

    A library that another process is compiling stays, because that process holds torch's lock.
    Several processes may call this at the same time, as ranks do when they start together.
    """
    removed = 0
    for path in cache.glob("*/*.so"):
        lock = cache / "locks" / f"{path.name.partition('.')[0]}.lock"
        # Meanwhile another process may have completed or removed the file.
        with contextlib.suppress(Timeout, FileNotFoundError):
            if is_whole(path):
                continue
            lock.parent.mkdir(exist_ok=True)
            with FileLock(lock, timeout=0):
                if not is_whole(path):
                    path.unlink()
                    removed += 1
    return removed
