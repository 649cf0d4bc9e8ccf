"""Write files and folders atomically: to a temporary name, then sync, then rename.

A reader sees the old content or the new, and never a part of either.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bytelm.base.errors import InputError


def sync(path: Path) -> None:
    """Sync a file's content, or the renames inside a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def _saying_where(path: Path) -> Iterator[None]:
    """Add `path` to an OSError that names no file, such as that of a full disk."""
    try:
        yield
    except OSError as error:
        if error.errno is None or error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


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


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` to `path` atomically. Raises OSError, which leaves the old file in place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    aside = Path(name)
    try:
        with _saying_where(path), os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        aside.chmod(0o644)
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    sync(path.parent)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8; see write_bytes. Lone surrogates are written too."""
    write_bytes(path, text.encode("utf-8", "surrogatepass"))


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, keys in their own order; see write_bytes."""
    write_text(path, json.dumps(value, indent=2) + "\n")


@contextlib.contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder. After the block it replaces what was at `path`.

    If the block raises, the temporary folder is removed and `path` is unchanged.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        with _saying_where(path):
            yield aside
            for file in aside.iterdir():
                sync(file)
        sync(aside)
        aside.chmod(0o755)
        if path.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{path.name}.old.", dir=path.parent))
            path.replace(old)
            aside.replace(path)
            shutil.rmtree(old)
        else:
            aside.replace(path)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    sync(path.parent)
