"""A reader of a folder, in blocks of files that the tasks share out."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bytelm.toolkit import InputError
from data.scale.read import Listing, SharedReader
from data.walk import MACHINERY, Found, Walk, below

# What every task sees, and the first one counts.
_SEEN_BY_ALL = ("link", "unreadable folder")


@dataclass
class SharedWalk(Walk):
    """A walk that reads the files of one task, in blocks. All tasks list all folders.

    The folder `work`, in which other tasks write, is not entered.
    """

    rank: int = 0
    tasks: int = 1
    files_per_part: int = 1000
    work: Path | None = None
    part: int = 0
    listing: Listing = field(default_factory=Listing)

    def files(self) -> Iterator[Found]:
        yield from super().files()
        # What all tasks saw is left to the first.
        for reason in _SEEN_BY_ALL if self.rank else ():
            self.rejected.pop(reason, None)

    def _enters(self, entry: "os.DirEntry[bytes]") -> bool:
        return Path(os.fsdecode(entry.path)) != self.work and super()._enters(entry)

    def _file(self, entry: "os.DirEntry[bytes]") -> Iterator[Found]:
        self.part = self.listing.count // self.files_per_part
        self.listing.add(entry.path)
        if self.part % self.tasks == self.rank:
            yield from super()._file(entry)


class ReadFolder(SharedReader):
    """Reads the files below `path` whose names end in one of `suffixes` (empty: all files).

    The documents are those of `data build --path`, in its order. `work`: see `data.scale.counts`.
    `out`: the shard folder, which is not read if it lies below `path`; neither is `work`. Raises
    InputError if `files_per_part` is below 1, and when it is run if `path` is not a folder.
    """

    name = "bytelm folder"

    def __init__(
        self,
        path: str | Path,
        work: str | Path,
        suffixes: str | tuple[str, ...] = (".py",),
        max_file_bytes: int = 1 << 20,
        files_per_part: int = 1000,
        out: str | Path | None = None,
    ) -> None:
        super().__init__(work)
        self.path, self.out = Path(path), None if out is None else Path(out)
        self.suffixes = (suffixes,) if isinstance(suffixes, str) else tuple(suffixes)
        self.max_file_bytes, self.files_per_part = max_file_bytes, files_per_part
        if files_per_part < 1:
            raise InputError(f"files_per_part must be at least 1, not {files_per_part}")

    def opened(self, rank: int, tasks: int) -> SharedWalk:
        if not self.path.is_dir():
            raise InputError(f"{self.path} is not a folder; give a folder of source files")
        return SharedWalk(
            self.path, self.suffixes, self.max_file_bytes, MACHINERY,
            None if self.out is None else below(self.path, self.out),
            rank=rank, tasks=tasks, files_per_part=self.files_per_part,
            work=below(self.path, self.work),
        )  # fmt: skip

    def about(self) -> dict[str, Any]:
        return {
            "source": {"path": str(self.path), "suffixes": list(self.suffixes)},
            "max_file_bytes": self.max_file_bytes,
            "files_per_part": self.files_per_part,
        }
