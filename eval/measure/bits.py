"""`python -m eval bits`: bits per byte of every head on any files, beside the compressors."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

import tyro

from bytelm.toolkit import (
    InputError,
    Split,
    is_first,
    joined,
    load_checkpoint,
    say,
    score_on_ranks,
    seal,
    write_json,
)
from eval.measure.compressors import compress_bits


@dataclass
class Bits:
    """Bits per byte of every prediction head on files, and what compressors make of the same.

    torchrun's ranks share the files; the first writes.
    """

    on_ranks: ClassVar[bool] = True

    paths: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Files, folders (every file below them), or shard folders (their held-out documents)."""
    checkpoint: Path
    """A run folder, or one of its checkpoints."""
    out: Path | None = None
    """Also write the figures, with those of each file, to this JSON file."""
    compressors: bool = True
    """Compress the same bytes with gzip, zstd and xz."""
    batch: int = 8
    """Segments that are scored side by side."""
    device: str = "cpu"
    """cpu or cuda."""

    def run(self) -> dict[str, Any] | None:
        with joined(self.device) as device:
            return self._score(device)

    def _score(self, device: str) -> dict[str, Any] | None:
        started = time.monotonic()
        named = [pair for path in self.paths for pair in _documents(path)]
        if not named:
            where = ", ".join(map(str, self.paths)) or "nothing"
            raise InputError(f"no bytes to score: {where} holds no file that is not empty")
        checkpoint = load_checkpoint(self.checkpoint, device)
        documents = [content for _, content in named]
        score = score_on_ranks(checkpoint.model, documents, self.batch, progress=True)
        if not is_first():
            return None
        figures: dict[str, Any] = {
            "heads_bpb": score.heads_bpb(),
            "bytes": sum(map(len, documents)),
            "documents": len(documents),
            "forecast": {str(k): value for k, value in score.forecast.items()},
            "forecast_accepted": score.accepted,
        }
        if self.compressors:
            figures["compressors"] = compress_bits(documents)
        figures |= {
            "seconds": round(time.monotonic() - started, 3),
            "checkpoint": str(checkpoint.folder),
            "checkpoint_sha256": checkpoint.sha256,
        }
        if self.out is not None:
            files = [
                {"name": name, "bytes": len(content), "heads_bpb": score.document_bpb(index)}
                for index, (name, content) in enumerate(named)
            ]
            write_json(self.out, {**seal(figures), "files": files})
        rates = " ".join(f"{value:.3f}" for value in figures["heads_bpb"])
        say(f"bits per byte of heads 1 to {len(figures['heads_bpb'])}: {rates}")
        return figures


def _documents(path: Path) -> Iterator[tuple[str, bytes]]:
    """The named, non-empty documents that `path` means."""
    if (path / "manifest.json").is_file():
        split = Split(path, "held_out")
        for name, document in zip(split.names(), split, strict=True):
            yield name, document.tobytes()
    elif path.is_dir():
        for file in sorted(path.rglob("*")):
            if file.is_file() and not file.is_symlink():
                yield from _file(file)
    elif path.is_file():
        yield from _file(path)
    else:
        what = "is not a regular file or folder" if path.exists() else "does not exist"
        raise InputError(f"{path} {what}")


def _file(path: Path) -> Iterator[tuple[str, bytes]]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    if content:
        yield str(path), content
