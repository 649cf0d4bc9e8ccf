"""A writer of parts: the documents of a task, with the digests and signatures that tell copies."""

from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

from datatrove.data import Document
from datatrove.pipeline.base import PipelineStep

from bytelm.toolkit import InputError, some
from data.packages.part import PartWriter
from data.scale.counts import write_counts
from data.scale.document import content_of, part_of
from data.steps.near import check_installed


class WriteParts(PipelineStep):  # type: ignore[misc]
    """Writes the documents to parts, which `MergeParts` makes shards of.

    `work`: see `data.scale.counts`. `signed`: whether `MergeParts` is to leave out near duplicates,
    for which the package rensa is needed. Two options name keys of the metadata:

        split_by   documents with the same value, such as that of "repo_name", go to one split;
                   without a value, or without `split_by`, each goes by its own id
        order_by   documents with the same value make a part, and the values give the order of the
                   parts; without it each task makes one. Our readers have an order of their own

    datatrove's readers of files set "file_path". In that order the shards are the same for any
    number of tasks. Raises InputError if rensa is missing, and when it is run if a document lacks
    such a key.
    """

    type = "💽 - WRITER"
    name = "bytelm parts"

    def __init__(
        self,
        work: str | Path,
        split_by: str | None = None,
        signed: bool = False,
        order_by: str | None = None,
    ) -> None:
        super().__init__()
        self.work, self.signed = Path(work), signed
        self.split_by, self.order_by = split_by, order_by
        if signed:
            check_installed()

    def run(self, data: Any, rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        """Write the documents of `data`, and yield them. Those without a text are counted."""
        written, rejected = list[tuple[str, str]](), Counter[str]()
        for order, documents in groupby(data, key=lambda document: self._order(document, rank)):
            # No two of a task have one name, wherever their documents come from.
            name = f"{rank:05d}-{len(written):06d}"
            groups = list[str]()
            with PartWriter(self.work / "parts" / name, self.signed) as part:
                for document in documents:
                    content = content_of(document)
                    if isinstance(content, str):
                        rejected[content] += 1
                        continue
                    self.stat_update("documents")
                    part.add(str(document.id), content)
                    groups.append(self._group(document))
                    yield document
                part.finish({"groups": groups})
            written.append((order, name))
        settings = {"signed": self.signed, "split_by": self.split_by, "order_by": self.order_by}
        counts = {"parts": written, "rejected": rejected}
        write_counts(self.work, "parts", rank, world_size, settings, counts)

    def _order(self, document: Document, rank: int) -> str:
        if self.order_by is not None:
            return str(_value(document, "order_by", self.order_by))
        part = part_of(document)
        return f"{rank if part is None else part:09d}"

    def _group(self, document: Document) -> str:
        """What decides the split; "" for the document's own name."""
        value = None if self.split_by is None else _value(document, "split_by", self.split_by)
        return "" if value is None else str(value)


def _value(document: Document, name: str, key: str) -> Any:
    if key not in document.metadata:
        keys = some(sorted(document.metadata), 30) or "none"
        raise InputError(
            f"{name}: the metadata of the document {document.id} have no {key!r}; they have: {keys}"
        )
    return document.metadata[key]
