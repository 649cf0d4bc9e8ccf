"""Sources together: all steps are taken, copies are left out, and then each gives its share.

The texts of a source lie in a folder beside the shards until all are known: what is in memory is
names, sizes and hashes, and one text at a time. So nothing depends on the order in which processes
end.
"""

import hashlib
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bytelm.toolkit import InputError
from data.exercises.generate import Curriculum
from data.packages.assemble import Assembly
from data.packages.part import Part, PartWriter
from data.sources import Source, Staged
from data.steps.judge import Steps
from data.steps.near import check_installed
from data.walk import Found


@dataclass
class Weighed:
    """A source in a mixture. `where` names it in errors; `weight` is None where all is taken."""

    source: Source
    where: str
    weight: float | None = None


@dataclass
class Made:
    """Exercises in a mixture, which are made when it is known how many are wanted.

    `most_bytes`: None for as many as their share needs. Without a weight, so many are made.
    """

    make: Callable[[int], Source]
    most_bytes: int | None
    weight: float | None = None


class Mixture:
    """The documents of sources after all steps, without copies, in the shares of their weights.

    Without weights all of them come. The mixture is as large as the source allows that is used up
    first, and has at most `most_bytes`. Of a source the files are chosen by a hash of their names.
    After `files`, `about` has the figures of each source for the manifest. `files` raises
    InputError for a source that gives nothing to a share.
    """

    def __init__(
        self,
        sources: Sequence[Weighed],
        made: Made | None,
        steps: Steps,
        out: Path,
        most_bytes: int | None = None,
    ) -> None:
        self._sources, self._made, self._steps, self._out = sources, made, steps, out
        self._most_bytes = most_bytes
        self._rejected, self._rejected_bytes = Counter[str](), Counter[str]()
        self.about: dict[str, Any] = {}

    @property
    def rejected(self) -> Counter[str]:
        return sum((one.source.rejected for one in self._sources), self._rejected)

    @property
    def rejected_bytes(self) -> Counter[str]:
        return sum((one.source.rejected_bytes for one in self._sources), self._rejected_bytes)

    @property
    def passed_over(self) -> int:
        return sum(one.source.passed_over for one in self._sources)

    def files(self) -> Iterator[Found]:
        near = self._steps.choices.near_duplicates == "drop"
        if near:
            check_installed()
        self._out.parent.mkdir(parents=True, exist_ok=True)
        # A walk passes over folders of such names, if `out` is in the folder that it reads.
        prefix = f".{self._out.name}."
        with tempfile.TemporaryDirectory(prefix=prefix, dir=self._out.parent) as folder:
            parts = [
                self._read(one.source, Path(folder) / str(at), near)
                for at, one in enumerate(self._sources)
            ]
            assembly = Assembly(parts, lambda filled: [""] * len(filled))
            self._rejected += assembly.rejected
            self._rejected_bytes += assembly.rejected_bytes
            if assembly.examples:
                self.about["near_duplicates"] = assembly.examples
            total = self._total(assembly)
            if total is not None:
                for at, one in enumerate(self._sources):
                    self._choose(assembly, at, round(total * (one.weight or 0)))
            yield from self._written(assembly, total)

    def _read(self, source: Source, folder: Path, signed: bool) -> Part:
        """The part of a source's documents that the steps keep, with their splits."""
        splits = []
        with PartWriter(folder, signed) as writer:
            for document in source.documents():
                reason = None if document.judged else self._steps.reason(document)
                if reason is not None:
                    self._reject(reason, len(document.content))
                    continue
                text = document.content if document.judged else self._steps.text(document)
                writer.add(document.name, text)
                splits.append(document.split)
            writer.finish({"splits": splits})
        return Part(folder)

    def _total(self, assembly: Assembly) -> float | None:
        """How many bytes there are for a weight of one; None where all is taken."""
        most = []
        for one, part, kept_N in zip(self._sources, assembly.parts, assembly.kept, strict=True):
            if one.weight is None:
                return None
            if not kept_N.any():
                raise InputError(
                    f"{one.where} gives no document that the steps keep, so that it cannot have a "
                    "share; leave it out of the recipe, or look at what it holds"
                )
            most.append(int(np.asarray(part.sizes)[kept_N].sum()) / one.weight)
        made = self._made
        if made is not None and made.weight is not None and made.most_bytes is not None:
            most.append(made.most_bytes / made.weight)
        if self._most_bytes is not None:
            weights = [one.weight or 0 for one in self._sources]
            whole = sum(weights) + (made.weight or 0 if made else 0)
            most.append(self._most_bytes / whole)
        return min(most)

    def _choose(self, assembly: Assembly, at: int, wanted_bytes: int) -> None:
        """Keep files of a part that have `wanted_bytes` together, or a little less."""
        part, kept_N = assembly.parts[at], assembly.kept[at]
        order = sorted(np.flatnonzero(kept_N).tolist(), key=lambda n: _digest(part.names[n]))
        left = wanted_bytes
        for place in order:
            size = part.sizes[place]
            if size <= left:
                left -= size
            else:
                kept_N[place] = False
                self._reject("beyond its share", size)

    def _written(self, assembly: Assembly, total: float | None) -> Iterator[Found]:
        chosen = _Chosen(assembly)
        about = [
            one.source.about
            | ({} if one.weight is None else {"weight": one.weight})
            | _figures(part, kept_N)
            for one, part, kept_N in zip(self._sources, assembly.parts, assembly.kept, strict=True)
        ]
        self.about["sources"] = about
        if self._made is None:
            yield from chosen.files()
            return
        if total is None:
            assert self._made.most_bytes is not None
            wanted = self._made.most_bytes
        else:
            wanted = max(1, round(total * (self._made.weight or 0)))
        made = self._made.make(wanted)
        assert isinstance(made.read, Curriculum)
        documents = size = 0
        for document in Staged(Source({}, chosen), made).files():
            if document.generated:
                length = len(document.content)
                # They are made in blocks, the last of which has more than is wanted.
                if total is not None and size + length > wanted:
                    self._reject("beyond its share", length)
                    continue
                documents, size = documents + 1, size + length
            yield document
        weight = {} if self._made.weight is None else {"weight": self._made.weight}
        about.append(made.about | weight | {"documents": documents, "bytes": size})

    def _reject(self, reason: str, size: int) -> None:
        self._rejected[reason] += 1
        self._rejected_bytes[reason] += size


class _Chosen:
    """The documents that are left of an assembly, with the splits that their sources gave."""

    def __init__(self, assembly: Assembly) -> None:
        self._assembly = assembly
        self.rejected = self.rejected_bytes = Counter[str]()

    def files(self) -> Iterator[Found]:
        for part, kept_N in zip(self._assembly.parts, self._assembly.kept, strict=True):
            rows = zip(part.documents(), part.about["splits"], kept_N, strict=True)
            for (name, content), split, keeps in rows:
                if keeps:
                    yield Found(name, content, split, judged=True)


def _figures(part: Part, kept_N: npt.NDArray[np.bool_]) -> dict[str, int]:
    sizes_N = np.asarray(part.sizes, dtype=np.int64)[kept_N]
    return {"documents": len(sizes_N), "bytes": int(sizes_N.sum())}


def _digest(name: str) -> bytes:
    # Not the hash of the splits, which would leave all documents of a share in one of them.
    return hashlib.sha256(f"part {name}".encode("utf-8", "surrogateescape")).digest()
