"""Our steps as a filter: what `data build` looks at in each document by itself."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from datatrove.data import Document
from datatrove.pipeline.filters.base_filter import BaseFilter

from bytelm.toolkit import InputError, check_options
from data.benchmarks import benchmark_texts
from data.scale.counts import write_counts
from data.scale.document import content_of, is_row, set_content
from data.steps.judge import Choices, Steps
from data.steps.manifest import LeftOut
from data.walk import Found


class TakeSteps(BaseFilter):  # type: ignore[misc]
    """Drops documents that `data build` leaves out, and puts fillers in place of secrets.

    `choices`: the steps, without near duplicates, which `WriteParts` is asked for. `benchmark`:
    files of problems, beside HumanEval's, whose text no document may hold. `rows`: whether all
    documents are Python, whatever their names end in; those of `ReadRows` are. `work`: see
    `data.scale.counts`. Raises InputError for choices that are out of range, and when it is run for
    files that cannot be read.
    """

    name = "bytelm steps"

    def __init__(
        self,
        work: str | Path,
        choices: Choices | None = None,
        benchmark: tuple[str | Path, ...] = (),
        rows: bool = False,
    ) -> None:
        super().__init__()
        self.work, self.choices, self.rows = Path(work), choices or Choices(), rows
        self.benchmark = tuple(map(Path, benchmark))
        check_options(self.choices)
        if self.choices.near_duplicates == "drop":
            raise InputError(
                "near duplicates are found when all documents are known: leave near_duplicates out "
                "of Choices, and give WriteParts signed=True"
            )

    def run(self, data: Any, rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        """Yield the documents of `data` that are kept."""
        self._left_out = LeftOut()
        # Made in the task: texts of benchmarks are larger than what is sent to it.
        benchmarks = benchmark_texts(self.benchmark)
        self._steps = Steps(self.choices, benchmarks)
        yield from super().run(data, rank, world_size)
        settings = {
            "choices": asdict(self.choices),
            "benchmarks": benchmarks.sha256,
            "rows": self.rows,
        }
        counts = {
            "rejected": self._left_out.documents,
            "rejected_bytes": self._left_out.bytes,
            "replaced": self._steps.replaced,
        }
        write_counts(self.work, "steps", rank, world_size, settings, counts)

    def filter(self, doc: Document) -> bool | tuple[bool, str]:
        """True to keep a document, or False with the reason."""
        content = content_of(doc)
        if isinstance(content, str):
            self._left_out.add(content, 0)
            return False, content
        found = Found(str(doc.id), content, row=self.rows or is_row(doc))
        reason = self._steps.reason(found)
        if reason is not None:
            self._left_out.add(reason, len(content))
            return False, reason
        text = self._steps.text(found)
        if text is not content:
            set_content(doc, text)
        return True
