"""From the parts of all tasks to one shard folder, in one task."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from datatrove.data import Document
from datatrove.pipeline.base import PipelineStep

from bytelm.toolkit import InputError, ShardWriter, say
from data.packages.assemble import Assembly
from data.packages.part import Part
from data.scale.counts import read_counts, summed
from data.splits import Sink, splits_of_groups
from data.steps.judge import Choices
from data.steps.manifest import LeftOut, described
from data.walk import Found


class MergeParts(PipelineStep):  # type: ignore[misc]
    """Makes shards of what `WriteParts` wrote, without copies, in the order of the parts.

    Of copies the first stays. Memory holds names, sizes and hashes, and one text at a time. With
    `ReadFolder` the shards are those of `data build --path`, whatever the number of tasks was.
    `work`: see `data.scale.counts`. `out`: the shard folder. `source`: what the manifest says of
    documents that another reader read.
    """

    type = "💽 - WRITER"
    name = "bytelm shards"

    def __init__(
        self,
        work: str | Path,
        out: str | Path,
        held_out_percent: float = 5.0,
        source: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.work, self.out = Path(work), Path(out)
        self.held_out_percent, self.source = held_out_percent, source

    def run(self, data: Any = None, rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        """Write the shards. Yields nothing but what `data` has.

        Raises InputError if there are several tasks, if a task of the parts has not ended, if a
        part is missing, and if there are too few documents for two splits.
        """
        yield from data or ()
        if world_size != 1:
            raise InputError(f"MergeParts takes one task, not {world_size}; give it tasks=1")
        listed, left_out = read_counts(self.work, "parts"), LeftOut()
        parts = self._parts(listed)
        assembly = Assembly([part for part in parts if len(part)], lambda some: [""] * len(some))
        left_out.add_all(assembly.rejected, assembly.rejected_bytes)
        steps, read = read_counts(self.work, "steps"), read_counts(self.work, "read")
        for counts in (steps, read):
            left_out.add_all(summed(counts, "rejected"), summed(counts, "rejected_bytes"))
        choices = Choices(**steps[0]["choices"]) if steps else Choices(filters=False)
        near: Literal["drop", "keep"] = "drop" if listed[0]["signed"] else "keep"
        choices = replace(choices, near_duplicates=near)
        with ShardWriter(self.out) as writer:
            sink = Sink(writer, self.held_out_percent)
            for found in self._documents(assembly):
                self.stat_update("documents")
                sink.add(found)
            sink.finish(left_out.documents)
            source = read[0]["source"] if read else (self.source or {"reader": "datatrove"})
            if assembly.examples:
                source = {**source, "near_duplicates": assembly.examples}
            most = read[0]["max_file_bytes"] if read else None
            replaced = summed(steps, "replaced")
            writer.finish(
                described(source, choices, self.held_out_percent, most, left_out, replaced)
            )
        say(f"wrote {self.out}")

    def _parts(self, listed: list[dict[str, Any]]) -> list[Part]:
        if not listed:
            raise InputError(f"{self.work} holds no parts; run a pipeline with WriteParts first")
        names = sorted(name for one in listed for name in one["parts"])
        missing = [name for name in names if not (self.work / "parts" / name).is_dir()]
        if missing:
            raise InputError(
                f"{self.work}/parts/{missing[0]} is missing, as {len(missing)} of {len(names)} "
                "parts are; remove the work folder and run all tasks again"
            )
        return [Part(self.work / "parts" / name) for name in names]

    def _documents(self, assembly: Assembly) -> Iterator[Found]:
        """The documents that are no copies, with the splits of their groups."""
        splits = self._splits(assembly)
        for part, kept_N in zip(assembly.parts, assembly.kept, strict=True):
            rows = zip(part.documents(), part.about["groups"], kept_N, strict=True)
            for (name, content), group, keeps in rows:
                if keeps:
                    yield Found(name, content, splits.get(group, ""), judged=True)

    def _splits(self, assembly: Assembly) -> dict[str, str]:
        groups = {
            group
            for part, kept_N in zip(assembly.parts, assembly.kept, strict=True)
            for group, keeps in zip(part.about["groups"], kept_N, strict=True)
            if keeps and group
        }
        if len(groups) == 1:
            raise InputError(
                f"all documents are of one group ({groups.pop()}), which cannot be split into "
                "training and held-out data; leave out split_by of WriteParts"
            )
        return splits_of_groups(sorted(groups), self.held_out_percent)
