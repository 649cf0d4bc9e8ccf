"""Sources of documents: the standard library, a folder, a local dataset."""

import os
import sysconfig
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bytelm.toolkit import InputError
from data.walk import Found, Walk

TESTS = frozenset({"test", "tests", "idle_test"})
PACKAGES = frozenset({"site-packages", "dist-packages"})
# Folders that never hold sources: version control, caches, installed packages.
MACHINERY = frozenset({".git", ".hg", ".svn", "__pycache__", "node_modules", ".venv", ".tox"})


@dataclass
class Source:
    """Documents to read, from `walk` or `rows`. `about` describes the source in the manifest.

    After reading, `rejected` and `rejected_bytes` count skipped documents and bytes by reason.
    """

    about: dict[str, Any]
    walk: Walk | None = None
    rows: Iterator[Found] | None = None
    rejected: Counter[str] = field(default_factory=Counter)
    rejected_bytes: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        if self.walk is not None:
            self.rejected, self.rejected_bytes = self.walk.rejected, self.walk.rejected_bytes

    def documents(self) -> Iterator[Found]:
        if self.walk is not None:
            return self.walk.files()
        assert self.rows is not None
        return self.rows


def standard_library(max_file_bytes: int) -> Source:
    """The standard library of the running interpreter, without its tests."""
    root = Path(sysconfig.get_path("stdlib"))
    walk = Walk(root, (".py",), max_file_bytes, TESTS | PACKAGES | MACHINERY)
    return Source({"recipe": "stdlib"}, walk)


def folder(path: Path, suffixes: tuple[str, ...], max_file_bytes: int, out: Path) -> Source:
    """The files below a folder whose names end in one of `suffixes`; all files if it is empty.

    The output folder `out` is skipped. Raises InputError if `path` is not a folder.
    """
    if not path.is_dir():
        what = "is not a folder" if path.exists() else "does not exist"
        raise InputError(f"--path {path} {what}")
    inside = _below(path, out)
    walk = Walk(path, suffixes, max_file_bytes, MACHINERY, inside)
    return Source({"path": str(path), "suffixes": list(suffixes)}, walk)


def _below(path: Path, out: Path) -> Path | None:
    """`out` as a path that starts with `path`, or None if it is not inside."""
    try:
        return path / out.resolve().relative_to(path.resolve())
    except ValueError:
        return None


_READERS = {".parquet": "parquet", ".jsonl": "json", ".json": "json", ".csv": "csv"}


def dataset(path: Path, column: str) -> Source:
    """The rows of local parquet, jsonl, json or csv files, read by the datasets library.

    Raises InputError if `path` has no such file. Reading raises it for a missing column or a file
    that cannot be read.
    """
    if not path.exists():
        raise InputError(f"--dataset {path} does not exist; it is a local file or folder")
    found = sorted(path.rglob("*")) if path.is_dir() else [path]
    files = [file for file in found if file.is_file() and file.suffix in _READERS]
    if not files:
        raise InputError(f"--dataset {path} holds no {', '.join(_READERS)} file")
    source = Source({"dataset": str(path), "column": column})
    source.rows = _rows(files, path if path.is_dir() else path.parent, column, source)
    return source


def _rows(files: list[Path], root: Path, column: str, source: Source) -> Iterator[Found]:
    # Set before the import, or the library asks its hub about every file that it opens.
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    import datasets

    for file in files:
        try:
            # Streaming reads the file in place. Without it, the library copies it into a cache.
            rows = datasets.load_dataset(
                _READERS[file.suffix], data_files=str(file), split="train", streaming=True
            )
            for index, row in enumerate(rows):
                value = row.get(column)
                if value is None and column not in row:
                    raise InputError(
                        f"{file} has no column {column!r}; it has: {', '.join(row)}; "
                        "choose one with --column"
                    )
                content = (
                    value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
                )
                if not isinstance(content, bytes):
                    source.rejected["not text"] += 1
                elif not content:
                    source.rejected["empty"] += 1
                else:
                    yield Found(f"{file.relative_to(root).as_posix()}:{index}", content)
        except InputError:
            raise
        except Exception as error:
            # The library passes on its readers' errors: ArrowInvalid, JSONDecodeError and others.
            line = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise InputError(f"{file} cannot be read as {_READERS[file.suffix]}: {line}") from error
