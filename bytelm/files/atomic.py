"""Write files and folders atomically: to a temporary name, then sync, then rename.

A reader sees the old content or the new, and never a part of either. Links are followed: the file
or folder that they point to is written. Devices and pipes are written into.
"""

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import stat
from collections.abc import Collection, Iterator
from io import FileIO
from pathlib import Path
from typing import Any

from bytelm.base.errors import InputError, some
from bytelm.files.unfinished import beside, remove_abandoned, unfinished


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


def own_descriptor(path: Path) -> int | None:
    """The descriptor of this process that `path` names (/dev/stdout, /dev/fd/3), or None."""
    text = os.path.abspath(path)  # noqa: PTH100  # resolve() would follow the link
    named = {"/dev/stdin": 0, "/dev/stdout": 1, "/dev/stderr": 2}.get(text)
    found = re.fullmatch(rf"/(?:dev|proc/(?:self|{os.getpid()}))/fd/(\d+)", text)
    return int(found[1]) if found else named


def kind_of(path: Path) -> int:
    """The kind of file at `path` (stat.S_IFREG, ...); that of a regular file if there is none.

    Links are followed. Raises OSError, as for links in a circle.
    """
    try:
        return stat.S_IFMT(path.stat().st_mode)
    except FileNotFoundError:
        return stat.S_IFREG


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` to `path`, atomically if that is a regular file or does not exist.

    New files have the mode that the umask allows. A file that is replaced passes on its mode.
    Raises OSError, which leaves the old file in place.
    """
    own = own_descriptor(path)
    if own is not None:
        # Opening the path instead would begin at the start of a file again.
        with _saying_where(path), os.fdopen(os.dup(own), "wb") as file:
            file.write(content)
        return
    if not stat.S_ISREG(kind_of(path)):
        _write_into(path, content)
        return
    try:
        with new_file(path) as aside:
            aside.write_bytes(content)
    except OSError as error:
        # The folder is read-only, or the file is a mount of its own, and cannot be renamed onto.
        if error.errno not in _NO_RENAME or not os.access(path, os.W_OK):
            raise
        _write_into(path, content)


_NO_RENAME = (errno.EACCES, errno.EPERM, errno.EROFS, errno.EBUSY, errno.EXDEV)


def _write_into(path: Path, content: bytes) -> None:
    with _saying_where(path), path.open("wb") as file:
        file.write(content)
        file.flush()
        # Pipes and most devices cannot be synced.
        with contextlib.suppress(OSError):
            os.fsync(file.fileno())


@contextlib.contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path to write. After the block its file replaces the one at `path`.

    If the block raises, the temporary file is removed and `path` is unchanged.
    """
    target = Path(os.path.realpath(path))
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = beside(target)
    try:
        with _saying_where(path):
            os.close(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
            mode = (target if target.exists() else aside).stat().st_mode
            yield aside
            # The block may have replaced the file by one that only its owner can read.
            aside.chmod(stat.S_IMODE(mode))
            sync(aside)
            aside.replace(target)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    sync(target.parent)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8; see write_bytes. Lone surrogates are written too."""
    write_bytes(path, text.encode("utf-8", "surrogatepass"))


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, keys in their own order; see write_bytes."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def append_line(file: FileIO, row: dict[str, Any], path: Path) -> None:
    """Append `row` as a JSON line to `file`, which is open unbuffered, in append mode.

    Raises OSError that names `path`, and leaves the file as it was: a disk that fills up accepts a
    part of the line, and refuses the rest in the next call.
    """
    line = memoryview(json.dumps(row).encode() + b"\n")
    end = os.fstat(file.fileno()).st_size
    try:
        while line:
            line = line[file.write(line) :]
    except OSError as error:
        with contextlib.suppress(OSError):
            file.truncate(end)
        raise OSError(error.errno, error.strerror, str(path)) from error


def usual_mode(path: Path) -> None:
    """Give a file that a library made for its owner alone the mode that the umask allows."""
    mask = os.umask(0o077)
    os.umask(mask)
    path.chmod(0o666 & ~mask)


def check_replaceable(path: Path, may_hold: Collection[str]) -> None:
    """Raise InputError unless `new_folder` may replace what is at `path`.

    It may replace nothing, an empty folder, and a folder with no other entries than `may_hold`.
    """
    if not path.exists():
        return
    if not path.is_dir():
        raise InputError(f"{path} is a file; give a folder")
    if os.path.ismount(path):
        raise InputError(f"{path} is a mount point, which cannot be replaced; give a folder in it")
    others = sorted(entry.name for entry in path.iterdir() if entry.name not in may_hold)
    if others:
        raise InputError(
            f"{path} also holds {some(others)}, which would be lost; "
            "choose a new folder, or move what it holds"
        )


@contextlib.contextmanager
def new_folder(path: Path, may_hold: Collection[str] = ()) -> Iterator[Path]:
    """Yield a temporary folder. After the block it replaces what was at `path`.

    Only a folder with no other entries than `may_hold` is replaced (see `check_replaceable`, which
    raises InputError before the block and after it). If the block raises, the temporary folder is
    removed and `path` is unchanged. If the check after the block fails, the temporary folder stays.
    That of a process that was killed is removed by the next one.
    """
    target = Path(os.path.realpath(path))
    check_replaceable(target, may_hold)
    target.parent.mkdir(parents=True, exist_ok=True)
    remove_abandoned(target)
    aside = beside(target)
    # A signal may raise at any line: whatever exists must be inside the block that removes it.
    try:
        with _saying_where(path), unfinished(aside) as open_folder:
            yield open_folder
            for file in open_folder.iterdir():
                sync(file)
        sync(aside)
        _check_again(target, may_hold, aside)
        if target.exists():
            old = beside(target)
            target.replace(old)
            aside.replace(target)
            shutil.rmtree(old)
        else:
            aside.replace(target)
    except _KeptError:
        raise
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    sync(target.parent)


class _KeptError(InputError):
    """The work is done, but what it should replace must not be lost."""


def _check_again(target: Path, may_hold: Collection[str], aside: Path) -> None:
    try:
        check_replaceable(target, may_hold)
    except InputError as error:
        raise _KeptError(f"{error}; the finished work is in {aside}") from error
