"""A reader of a folder, in blocks of files that the tasks share out."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datatrove.data import Document
from datatrove.pipeline.base import PipelineStep

from bytelm.toolkit import InputError
from data.scale.counts import write_counts
from data.walk import MACHINERY, Found, Walk

PART = "part"
"""The key of a document's metadata that names the part it is written to."""
# What every task sees, and the first one counts.
_SEEN_BY_ALL = ("link", "unreadable folder")


@dataclass
class SharedWalk(Walk):
    """A walk that reads the files of one task. All tasks list all folders.

    `part` is the number of the block of the file that was read last.
    """

    rank: int = 0
    tasks: int = 1
    files_per_part: int = 1000
    part: int = 0
    _seen: int = 0

    def _file(self, entry: "os.DirEntry[bytes]") -> Iterator[Found]:
        self.part = self._seen // self.files_per_part
        self._seen += 1
        if self.part % self.tasks == self.rank:
            yield from super()._file(entry)

    def finish(self) -> None:
        """Leave what all tasks saw to the first."""
        for reason in _SEEN_BY_ALL if self.rank else ():
            self.rejected.pop(reason, None)


class ReadFolder(PipelineStep):  # type: ignore[misc]
    """Reads the files below `path` whose names end in one of `suffixes` (empty: all files).

    The documents are those of `data build --path`, in its order. A text holds the bytes of its file
    as UTF-8, other bytes as surrogates. `work`: see `data.scale.counts`. Raises InputError if
    `path` is not a folder.
    """

    type = "📖 - READER"
    name = "bytelm folder"

    def __init__(
        self,
        path: str | Path,
        work: str | Path,
        suffixes: tuple[str, ...] = (".py",),
        max_file_bytes: int = 1 << 20,
        files_per_part: int = 1000,
    ) -> None:
        super().__init__()
        self.path, self.work = Path(path), Path(work)
        self.suffixes, self.max_file_bytes = tuple(suffixes), max_file_bytes
        self.files_per_part = files_per_part

    def run(self, data: Any = None, rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        """Yield the documents of task `rank` of `world_size`, after those of `data`."""
        yield from data or ()
        if not self.path.is_dir():
            raise InputError(f"{self.path} is not a folder; give a folder of source files")
        walk = SharedWalk(
            self.path, self.suffixes, self.max_file_bytes, MACHINERY,
            rank=rank, tasks=world_size, files_per_part=self.files_per_part,
        )  # fmt: skip
        for found in walk.files():
            self.stat_update("documents")
            text = found.content.decode("utf-8", "surrogateescape")
            yield Document(text=text, id=found.name, metadata={PART: f"{walk.part:09d}"})
        walk.finish()
        counts = {
            "source": {"path": str(self.path), "suffixes": list(self.suffixes)},
            "max_file_bytes": self.max_file_bytes,
            "rejected": walk.rejected,
            "rejected_bytes": walk.rejected_bytes,
        }
        write_counts(self.work, "read", rank, world_size, counts)
