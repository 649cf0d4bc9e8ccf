"""The source of packages: wheels in, documents out. Work that was stopped goes on where it was."""

import contextlib
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bytelm.toolkit import InputError, claimed
from data.packages.assemble import Assembly, open_parts
from data.packages.fetch import Wheel
from data.packages.part import Part, PartWriter, check_parts
from data.packages.work import Limits, Task, parts_of
from data.splits import splits_of_groups
from data.steps.judge import Steps
from data.steps.near import check_installed
from data.walk import Found


@dataclass
class Packages:
    """The documents of wheels, after all steps.

    The parts of packages lie in the folder `parts` until all documents were read: a build that was
    stopped goes on there. After reading, `about` has the packages and counts for the manifest.
    """

    wheels: list[Wheel]
    steps: Steps
    limits: Limits
    parts: Path
    held_out_percent: float
    processes: int = 0
    about: dict[str, Any] = field(default_factory=dict)
    rejected: Counter[str] = field(default_factory=Counter)
    rejected_bytes: Counter[str] = field(default_factory=Counter)
    passed_over: int = 0

    def files(self) -> Iterator[Found]:
        if len(self.wheels) == 1:
            raise _alone(self.wheels[0].package)
        if self.steps.choices.near_duplicates == "drop":
            check_installed()
        # A folder that is missing is made, and the claim keeps other builds out of it.
        with claimed(self.parts):
            check_parts(self.parts)
            task = Task(self.parts, self.steps, self.limits)
            parts = open_parts(parts_of(self.wheels, task, self.processes))
            assembly = Assembly(parts, self._splits)
            for part in parts:
                self._count(part)
            self.rejected += assembly.rejected
            self.rejected_bytes += assembly.rejected_bytes
            self.about["packages"] = [part.about["package"] for part in parts]
            if assembly.examples:
                self.about["near_duplicates"] = assembly.examples
            yield from assembly.files()
            for path in self.parts.iterdir():
                shutil.rmtree(path, ignore_errors=True)
        # The claim leaves a folder that was there before.
        with contextlib.suppress(OSError):
            self.parts.rmdir()

    def _splits(self, parts: list[Part]) -> list[str]:
        names = [part.about["package"]["name"] for part in parts]
        if len(names) == 1:
            raise _alone(names[0])
        return [*splits_of_groups(names, self.held_out_percent).values()]

    def _count(self, part: Part) -> None:
        if "damaged" in part.about:
            self.rejected["damaged wheel"] += 1
        self.rejected += part.counted("rejected")
        self.rejected_bytes += part.counted("rejected_bytes")
        self.steps.replaced += part.counted("replaced")
        self.passed_over += part.about.get("passed_over", 0)


def _alone(package: str) -> InputError:
    return InputError(
        f"one package alone ({package}) cannot be split into training and held-out data; "
        "give at least two, or unpack it and give --path"
    )


@dataclass
class WithoutNear:
    """The documents of another source, after all steps, without near duplicates.

    They are kept beside `out` until all are known.
    """

    read: Any
    steps: Steps
    out: Path
    about: dict[str, Any]

    @property
    def rejected(self) -> Counter[str]:
        return Counter(self.read.rejected) + self._rejected

    @property
    def rejected_bytes(self) -> Counter[str]:
        return Counter(self.read.rejected_bytes) + self._rejected_bytes

    @property
    def passed_over(self) -> int:
        return getattr(self.read, "passed_over", 0)

    def __post_init__(self) -> None:
        self._rejected, self._rejected_bytes = Counter[str](), Counter[str]()

    def files(self) -> Iterator[Found]:
        check_installed()
        self.out.parent.mkdir(parents=True, exist_ok=True)
        # A walk passes over folders of such names, if `out` is in the folder that it reads.
        prefix = f".{self.out.name}."
        with tempfile.TemporaryDirectory(prefix=prefix, dir=self.out.parent) as folder:
            with PartWriter(Path(folder) / "part", signed=True) as writer:
                for document in self.read.files():
                    self._judge(writer, document)
                writer.finish({})
            assembly = Assembly([Part(Path(folder) / "part")], lambda parts: [""] * len(parts))
            self._rejected += assembly.rejected
            self._rejected_bytes += assembly.rejected_bytes
            if assembly.examples:
                self.about["near_duplicates"] = assembly.examples
            yield from assembly.files()

    def _judge(self, writer: PartWriter, document: Found) -> None:
        reason = self.steps.reason(document)
        if reason is None:
            writer.add(document.name, self.steps.text(document))
        else:
            self._rejected[reason] += 1
            self._rejected_bytes[reason] += len(document.content)
