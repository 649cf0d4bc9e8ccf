"""Claim a folder, so that no other process writes into it meanwhile."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from bytelm.base.errors import InputError


@contextlib.contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Lock `folder` against other processes that claim it, for the length of the block.

    The folder is made if it is missing. Folders that were made and are still empty after the block
    are removed. Look at the folder inside the block: what was seen before may be outdated. The lock
    ends with the process.

    Raises InputError if another process holds the lock, or if a file is in the way.
    """
    descriptor, made = _open_locked(folder)
    try:
        yield
    finally:
        # Under the lock, so that no other process is at work in what is removed.
        _remove_empty(made)
        os.close(descriptor)


def _open_locked(folder: Path) -> tuple[int, list[Path]]:
    """A descriptor of `folder` that holds its lock, and the folders that were made for it."""
    made: list[Path] = []
    try:
        while True:
            made += _make_folders(folder)
            # The process that held the claim before may remove the folder, if it is empty. Then the
            # lock would be that of a folder that is gone.
            with contextlib.suppress(FileNotFoundError):
                descriptor = os.open(folder, os.O_RDONLY)
                try:
                    _lock(descriptor, folder)
                    if os.path.samestat(os.fstat(descriptor), folder.stat()):
                        return descriptor, made
                except BaseException:
                    os.close(descriptor)
                    raise
                os.close(descriptor)
    except BaseException:
        _remove_empty(made)
        raise


def _make_folders(folder: Path) -> list[Path]:
    """Make `folder` and the folders above it; returns those that were missing, outermost first."""
    made = []
    for path in reversed([folder, *folder.parents]):
        if path.is_dir():
            continue
        try:
            path.mkdir()
        except FileExistsError:
            if not path.is_dir():
                raise InputError(f"{path} is a file, not a folder; choose another") from None
        else:
            made.append(path)
    return made


def _lock(descriptor: int, folder: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise InputError(
            f"another process is writing to {folder}: wait for it, stop it, or choose another"
        ) from None
    except OSError:
        # Some network file systems have no locks. Then the folder is used without one.
        pass


def _remove_empty(folders: list[Path]) -> None:
    for path in reversed(folders):
        # An error: the folder holds something by now, or another process removed it.
        with contextlib.suppress(OSError):
            path.rmdir()
