"""Folders that are being written. Those of processes that were killed are removed later.

An unfinished folder is locked by the process that writes it, and its name says what it is. The lock
ends with the process. So an unfinished folder without a lock is of a process that was killed.
"""

import contextlib
import fcntl
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

ENDING = ".unfinished"


def beside(target: Path) -> Path:
    """A new name in the folder of `target`, of a length that every file system takes."""
    return target.with_name(f".{_short(target)}.{secrets.token_hex(4)}")


def _short(target: Path) -> str:
    return os.fsdecode(os.fsencode(target.name)[:200])


@contextlib.contextmanager
def unfinished(aside: Path) -> Iterator[Path]:
    """Make the folder `aside`, and yield its path while it is being written.

    After the block it is at `aside`, whole. If the block raises, it is removed. On a file system
    without locks it is at `aside` from the beginning.
    """
    marked, descriptor = aside.with_name(aside.name + ENDING), -1
    # A signal may raise at any line: whatever exists must be inside the block that removes it.
    try:
        aside.mkdir()
        descriptor = os.open(aside, os.O_RDONLY)
        # The name comes after the lock: nobody sees an unfinished folder without one.
        if _locked(descriptor):
            aside.replace(marked)
            yield marked
            marked.replace(aside)
        else:
            yield aside
    except BaseException:
        shutil.rmtree(marked, ignore_errors=True)
        shutil.rmtree(aside, ignore_errors=True)
        raise
    finally:
        if descriptor >= 0:
            os.close(descriptor)


def remove_abandoned(target: Path) -> None:
    """Remove unfinished folders of `target` whose processes are gone."""
    name = re.compile(rf"\.{re.escape(_short(target))}\.[0-9a-f]{{8}}{re.escape(ENDING)}")
    found: list[Path] = []
    # A folder may be written into and yet not be listed.
    with contextlib.suppress(PermissionError):
        found += [path for path in target.parent.iterdir() if name.fullmatch(path.name)]
    for path in found:
        # An error: it is gone by now, no folder, or not ours.
        with contextlib.suppress(OSError):
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                if _locked(descriptor):
                    shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(descriptor)


def _locked(descriptor: int) -> bool:
    """Lock a folder. False if another process holds the lock, or if there are no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
