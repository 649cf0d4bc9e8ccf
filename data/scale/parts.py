"""A writer of parts: the documents of a task, with the digests and signatures that tell copies."""

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

from datatrove.data import Document
from datatrove.pipeline.base import PipelineStep

from data.packages.part import PartWriter
from data.scale.counts import write_counts
from data.scale.read import PART


class WriteParts(PipelineStep):  # type: ignore[misc]
    """Writes the documents to parts, which `MergeParts` makes shards of.

    `work`: see `data.scale.counts`. `split_by`: the key of the metadata, such as "repo_name", whose
    value says which documents go to one split together; None: each goes by its own id. `signed`:
    whether `MergeParts` is to leave out near duplicates, for which the package rensa is needed.
    Documents of readers other than `ReadFolder` make one part for each task.
    """

    type = "💽 - WRITER"
    name = "bytelm parts"

    def __init__(self, work: str | Path, split_by: str | None = None, signed: bool = False) -> None:
        super().__init__()
        self.work, self.split_by, self.signed = Path(work), split_by, signed

    def run(self, data: Any, rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        """Write the documents of `data`, and yield them."""
        written = list[str]()
        own = f"{rank:09d}"
        for name, documents in groupby(data, key=lambda one: one.metadata.get(PART, own)):
            groups = list[str]()
            with PartWriter(self.work / "parts" / name, self.signed) as part:
                for document in documents:
                    self.stat_update("documents")
                    part.add(str(document.id), document.text.encode("utf-8", "surrogateescape"))
                    groups.append(self._group(document))
                    yield document
                part.finish({"groups": groups})
            written.append(name)
        counts = {"parts": written, "signed": self.signed}
        write_counts(self.work, "parts", rank, world_size, counts)

    def _group(self, document: Document) -> str:
        """What decides the split; "" for the document's own name."""
        return "" if self.split_by is None else str(document.metadata.get(self.split_by, ""))
