"""What our readers have in common: tasks share out what is read, and each counts its own."""

import hashlib
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from datatrove.data import Document
from datatrove.pipeline.base import PipelineStep

from bytelm.toolkit import InputError
from data.scale.counts import write_counts
from data.scale.document import document_of
from data.walk import Found


class Shared(Protocol):
    """A source that reads one task's share.

    `part` is the part of the document that was read last. After reading, `listing` has all names
    that the task saw, and the counts are those of its share.
    """

    part: int
    listing: Any
    rejected: Counter[str]
    rejected_bytes: Counter[str]

    def files(self) -> Iterator[Found]: ...


class Listing:
    """A hash of names in their order: tasks share out right only if all of them see the same."""

    def __init__(self) -> None:
        self.count, self._digest = 0, hashlib.sha256()

    def add(self, name: bytes) -> None:
        """Append a name."""
        self.count += 1
        self._digest.update(name + b"\0")

    def about(self) -> list[Any]:
        """How many names there are, and their hash."""
        return [self.count, self._digest.hexdigest()]


class SharedReader(PipelineStep):  # type: ignore[misc]
    """A reader of ours. It is the first step of its pipeline."""

    type = "📖 - READER"

    def __init__(self, work: str | Path) -> None:
        super().__init__()
        self.work = Path(work)

    @abstractmethod
    def opened(self, rank: int, tasks: int) -> Shared:
        """The share of a task."""

    @abstractmethod
    def about(self) -> dict[str, Any]:
        """The `source` of the manifest, and `max_file_bytes` where there is such a limit."""

    def run(self, data: Any = None, rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        """Yield the documents of task `rank` of `world_size`.

        Raises InputError if another step came before, and for what cannot be read.
        """
        if data is not None:
            raise InputError(
                f"{type(self).__name__} must be the first step of a pipeline; run two pipelines "
                "for two sources"
            )
        shared = self.opened(rank, world_size)
        for found in shared.files():
            self.stat_update("documents")
            yield document_of(found, shared.part)
        settings = {**self.about(), "files": shared.listing.about()}
        counts = {"rejected": shared.rejected, "rejected_bytes": shared.rejected_bytes}
        write_counts(self.work, "read", rank, world_size, settings, counts)
