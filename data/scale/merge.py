"""From the parts of all tasks to one shard folder, in one task."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from datatrove.data import Document
from datatrove.pipeline.base import PipelineStep

from bytelm.toolkit import InputError, ShardWriter, say
from data.packages.assemble import Assembly
from data.packages.part import Part
from data.scale.counts import Counts, read_counts
from data.splits import Sink, splits_of_groups
from data.steps.judge import Choices
from data.steps.manifest import LeftOut, described
from data.walk import Found


class MergeParts(PipelineStep):  # type: ignore[misc]
    """Makes shards of what `WriteParts` wrote, without copies, in the order of the parts.

    Of copies the first stays. Memory holds names, sizes and hashes, and one text at a time. With
    our readers the shards are those of `data build`, whatever the number of tasks was. `work`: see
    `data.scale.counts`. `out`: the shard folder. `source`: what the manifest says of documents that
    another reader read. Raises InputError unless `held_out_percent` is between 0 and 100.
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
        if not 0 < held_out_percent < 100:
            raise InputError(f"held_out_percent must lie between 0 and 100, not {held_out_percent}")

    def run(self, data: Any = None, rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        """Write the shards. Yields nothing but what `data` has.

        Raises InputError if there are several tasks, if a task of the parts has not ended, if parts
        are missing, damaged or of different runs, and if there are too few documents for two
        splits. What was at `out` stays then.
        """
        yield from data or ()
        if world_size != 1:
            raise InputError(f"MergeParts takes one task, not {world_size}; give it tasks=1")
        counted = read_counts(self.work)
        with ShardWriter(self.out) as writer:
            self._write(writer, counted)
        say(f"wrote {self.out}")

    def _write(self, writer: ShardWriter, counted: dict[str, Counts]) -> None:
        left_out, sink = LeftOut(), Sink(writer, self.held_out_percent)
        parts = self._parts(counted["parts"])
        assembly = Assembly(parts, lambda filled: [""] * len(filled))
        left_out.add_all(assembly.rejected, assembly.rejected_bytes)
        for counts in counted.values():
            left_out.add_all(counts.summed("rejected"), counts.summed("rejected_bytes"))
        for found in self._documents(assembly):
            self.stat_update("documents")
            sink.add(found)
        sink.finish(left_out.documents)
        steps, read = counted.get("steps"), counted.get("read")
        source = read.settings["source"] if read else (self.source or {"reader": "datatrove"})
        if assembly.examples:
            source = {**source, "near_duplicates": assembly.examples}
        most = read.settings.get("max_file_bytes") if read else None
        replaced = steps.summed("replaced") if steps else Counter[str]()
        choices = _choices(counted)
        writer.finish(described(source, choices, self.held_out_percent, most, left_out, replaced))

    def _parts(self, counted: Counts) -> list[Part]:
        listed = sorted(
            (order, name) for counts in counted.tasks for order, name in counts["parts"]
        )
        folders = [self.work / "parts" / name for _, name in listed]
        found = [_whole(folder) for folder in folders]
        missing = [folder for folder, part in zip(folders, found, strict=True) if part is None]
        if missing:
            raise InputError(
                f"{missing[0]} is missing or damaged, as {len(missing)} of {len(folders)} parts "
                "are; remove the work folder and run all tasks again"
            )
        return [part for part in found if part is not None]

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


def _whole(folder: Path) -> Part | None:
    """A part whose files are as long as they should be, or None."""
    try:
        part = Part(folder)
        return part if part.is_whole() else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _choices(counted: dict[str, Counts]) -> Choices:
    """The steps that all tasks took."""
    steps = counted.get("steps")
    choices = Choices(**steps.settings["choices"]) if steps else Choices(filters=False)
    near: Literal["drop", "keep"] = "drop" if counted["parts"].settings["signed"] else "keep"
    return replace(choices, near_duplicates=near)
