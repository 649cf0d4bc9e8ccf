"""The folder where torch keeps machine code, as a killed compiler may have left it.

Torch compiles to the file's final name and takes any file of that name for whole. Where compiler
and linker were killed half-way, every later run would fail to load what they left; and a run that
goes on without compiled code rounds in other places, and no longer ends as it would have.
"""

import contextlib
import os
import struct
from pathlib import Path

from filelock import FileLock, Timeout

# ELF, 64 bits, little-endian: the offset of the section headers, their size, and their number.
_HEADER = struct.Struct("<40xQ10xHH2x")


def place_cache(run: Path) -> None:
    """Let torch keep machine code beside the run folder `run`, unless the user chose a place.

    Torch settles the place when some of its parts are imported, hence before them.
    """
    cache = run.parent / ".cache" / "inductor"
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache.absolute()))


def is_whole(path: Path) -> bool:
    """Whether an ELF file has all its section headers, which linkers put at its end.

    True for files of other systems, of which it knows nothing; empty files are not whole.
    """
    with path.open("rb") as file:
        header = file.read(_HEADER.size)
    if len(header) < _HEADER.size:
        return False
    if header[:6] != b"\x7fELF\x02\x01":
        # Before its header is written, the linker's file begins with zeros.
        return any(header)
    offset, size, count = _HEADER.unpack(header)
    return bool(offset) and offset + size * count <= path.stat().st_size


def remove_cut_code(cache: Path) -> int:
    """Remove libraries that are cut off; how many there were.

    What a living process compiles just now is left alone: it holds torch's lock. Several processes
    may do this at a time, as ranks that begin together do.
    """
    removed = 0
    for path in cache.glob("*/*.so"):
        lock = cache / "locks" / f"{path.name.partition('.')[0]}.lock"
        # In the meantime another process may have finished it, or removed it.
        with contextlib.suppress(Timeout, FileNotFoundError):
            if is_whole(path):
                continue
            lock.parent.mkdir(exist_ok=True)
            with FileLock(lock, timeout=0):
                if not is_whole(path):
                    path.unlink()
                    removed += 1
    return removed
