"""Sources of documents: the library, folders, clones, datasets, exercises, functions, shards."""

import hashlib
import heapq
import sysconfig
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Protocol

from bytelm.toolkit import InputError, Split, option
from data.dataset import Dataset
from data.exercises.clean import benchmark_checks
from data.exercises.generate import LAST_STAGE, Curriculum
from data.functions.documents import PassedFunctions
from data.git.clone import Clone
from data.steps.judge import Steps
from data.walk import MACHINERY, Found, Walk, below

TESTS = frozenset({"test", "tests", "idle_test"})
PACKAGES = frozenset({"site-packages", "dist-packages"})


class Reader(Protocol):
    """What a source reads its documents with."""

    @property
    def rejected(self) -> Counter[str]: ...

    @property
    def rejected_bytes(self) -> Counter[str]: ...

    def files(self) -> Iterator[Found]: ...


@dataclass
class Source:
    """Documents to read. `about` describes the source in the manifest.

    After reading, `rejected` and `rejected_bytes` count skipped documents and bytes by reason.
    """

    about: dict[str, Any]
    read: Reader

    @property
    def rejected(self) -> Counter[str]:
        return self.read.rejected

    @property
    def rejected_bytes(self) -> Counter[str]:
        return self.read.rejected_bytes

    @property
    def passed_over(self) -> int:
        """Files that nobody asked for, by their endings."""
        return getattr(self.read, "passed_over", 0)

    def documents(self) -> Iterator[Found]:
        return self.read.files()


def standard_library(max_file_bytes: int) -> Source:
    """The standard library of the running interpreter, without its tests."""
    root = Path(sysconfig.get_path("stdlib"))
    walk = Walk(root, (".py",), max_file_bytes, TESTS | PACKAGES | MACHINERY)
    return Source({"recipe": "stdlib"}, walk)


def folder(path: Path, suffixes: tuple[str, ...], max_file_bytes: int, out: Path) -> Source:
    """The files below a folder whose names end in one of `suffixes`; all files if it is empty.

    The output folder `out` is skipped. Raises InputError if `path` is not a folder.
    """
    if not path.is_dir():
        what = "is not a folder" if path.exists() else "does not exist"
        raise InputError(f"{option('path')} {path} {what}")
    inside = below(path, out)
    walk = Walk(path, suffixes, max_file_bytes, MACHINERY, inside)
    return Source({"path": str(path), "suffixes": list(suffixes)}, walk)


def dataset(path: Path, column: str, out: Path) -> Source:
    """The rows of local parquet, JSON and csv files; see `Dataset`.

    The output folder `out` is skipped. Raises InputError if `path` has no such file.
    """
    found = Dataset(path, column, below(path, out))
    return Source({"dataset": str(path), "column": column}, found)


def repository(
    path: Path, revision: str, suffixes: tuple[str, ...], max_file_bytes: int
) -> tuple[Source, Clone]:
    """The files of a commit in a local clone, and the clone; see `Clone`. Raises InputError."""
    clone = Clone(path, revision, suffixes, max_file_bytes)
    about = {"git": clone.repository, "commit": clone.commit.sha, "suffixes": list(suffixes)}
    return Source(about, clone), clone


def exercises(megabytes: float, seed: int, benchmarks: tuple[Path, ...], processes: int) -> Source:
    """The curriculum: see `Curriculum`. `benchmarks`: files of problems that it must not have.

    Raises InputError if one of the files has no test.
    """
    about: dict[str, Any] = {"recipe": "exercises", "megabytes": megabytes, "seed": seed}
    tests = benchmark_checks(benchmarks)
    made = Curriculum(round(megabytes * 1e6), seed, tests, processes, about=about)
    return Source(about, made)


def functions(problems: Path, results: Path, steps: Steps, held_out_percent: float) -> Source:
    """The functions that passed; see `PassedFunctions`."""
    about: dict[str, Any] = {"functions": str(problems)}
    return Source(about, PassedFunctions(problems, results, steps, held_out_percent, about))


def shards(path: Path, out: Path) -> Source:
    """The documents of a shard folder, which stay in their splits.

    Raises InputError if it is no whole shard folder, or the one that is to be written.
    """
    if path.resolve() == out.resolve():
        raise InputError(f"{path} is read, and cannot be written too; write elsewhere")
    found = ShardDocuments(path)
    return Source({"shards": str(path), "sha256": found.sha256}, found)


class ShardDocuments:
    """Reads both splits of a shard folder, training data first."""

    def __init__(self, path: Path) -> None:
        self._splits = [Split(path, "train"), Split(path, "held_out")]
        self.sha256 = {split.split: split.sha256 for split in self._splits}
        self.rejected, self.rejected_bytes = Counter[str](), Counter[str]()

    def files(self) -> Iterator[Found]:
        for split in self._splits:
            for name, text in zip(split.names(), split, strict=True):
                yield Found(name, text.tobytes(), split.split)


class Chain:
    """The documents of sources, one source after the other. Training shuffles each stage."""

    def __init__(self, *sources: Source) -> None:
        self._sources = sources

    @property
    def rejected(self) -> Counter[str]:
        return sum((source.rejected for source in self._sources), Counter[str]())

    @property
    def rejected_bytes(self) -> Counter[str]:
        return sum((source.rejected_bytes for source in self._sources), Counter[str]())

    @property
    def passed_over(self) -> int:
        return sum(source.passed_over for source in self._sources)

    def files(self) -> Iterator[Found]:
        for source in self._sources:
            yield from source.documents()


class Part(Chain):
    """Documents of a source, of `wanted_bytes` or a little more, chosen by a hash of their names.

    While they are chosen, their texts lie in a file without a name in `folder`, which takes a few
    times `wanted_bytes`. None: in the system's folder for such files. In memory is one text.
    """

    def __init__(self, source: Source, wanted_bytes: float, folder: Path | None = None) -> None:
        super().__init__(source)
        self._wanted, self._folder = wanted_bytes, folder

    def files(self) -> Iterator[Found]:
        with tempfile.TemporaryFile(dir=self._folder) as texts:
            for document, start, size in self._chosen(texts):
                texts.seek(start)
                yield replace(document, content=texts.read(size))

    def _chosen(self, texts: IO[bytes]) -> list[tuple[Found, int, int]]:
        """The documents in the order of their hashes, without texts: these begin at a place."""
        # The first has the highest hash, and of equal hashes the last.
        heap: list[tuple[bytes, int, Found, int, int]] = []
        whole = 0
        for index, document in enumerate(super().files()):
            size = len(document.content)
            # Not the hash of the splits, which would leave all of the part in one of them.
            key = (_digest(f"part {document.name}").translate(_REVERSED), -index)
            heapq.heappush(heap, (*key, replace(document, content=b""), texts.tell(), size))
            whole += size
            last: int | None = None
            # It is not needed where those before it are enough.
            while heap and whole - heap[0][-1] >= self._wanted:
                _, last, _, _, gone = heapq.heappop(heap)
                whole -= gone
            if last != -index:
                texts.write(document.content)
        return [(document, start, size) for _, _, document, start, size in sorted(heap)[::-1]]


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()


# Bytes whose order is turned round.
_REVERSED = bytes(range(255, -1, -1))


class Staged(Chain):
    """The documents of `made`, with those of `library` before the last of its stages."""

    def __init__(self, library: Source, made: Source) -> None:
        super().__init__(library, made)

    def files(self) -> Iterator[Found]:
        library, made = self._sources
        begun = False
        for document in made.documents():
            if document.stage == LAST_STAGE and not begun:
                begun = True
                yield from (replace(found, stage=LAST_STAGE) for found in library.documents())
            yield document
        if not begun:
            yield from library.documents()
