"""The shard format: documents as raw bytes, with offsets and a manifest, read by memory mapping.

A shard folder contains, for each split and shard number,

    train-00000.bin           uint8, the documents one after another, nothing between them
    train-00000.offsets.npy   int64, documents + 1: document i is bin[offsets[i]:offsets[i + 1]]
    train-00000.names.json    the documents' names, a list of strings

and `manifest.json`, which lists these files with their sizes and SHA-256 hashes. The builder may
add entries of its own, such as the sources. The folder is written under a temporary name and then
renamed: it is complete, or it does not exist.
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from bytelm.base.errors import InputError, door
from bytelm.base.files import new_folder, sha256_of, write_json

__all__ = ["FORMAT", "SPLITS", "InputError", "ShardWriter", "Split", "read_manifest"]

FORMAT = "bytelm-shards-1"
SPLITS = ("train", "held_out")


class ShardWriter:
    """Writes one shard folder. Use it as a context manager, and call `finish` last.

    >>> with ShardWriter(Path("shards")) as writer:
    ...     writer.add("train", "a.py", b"x = 1")
    ...     writer.finish({"recipe": "mine"})

    A new shard begins when one has `shard_bytes` bytes. On success the folder replaces what was at
    `folder` before. If the block ends by an exception or without `finish`, nothing is written and
    what was at `folder` stays.
    """

    def __init__(self, folder: Path, shard_bytes: int = 256 << 20) -> None:
        self.folder = folder
        self.shard_bytes = shard_bytes
        self._context = new_folder(folder)
        self._finished = False
        self._open: dict[str, tuple[BinaryIO, list[int], list[str]]] = {}
        self._shards: dict[str, list[dict[str, Any]]] = {split: [] for split in SPLITS}

    def __enter__(self) -> "ShardWriter":
        self._aside = self._context.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for file, _, _ in self._open.values():
            file.close()
        if kind is None and not self._finished:
            kind, error = InputError, InputError(f"the shards for {self.folder} were not finished")
        self._context.__exit__(kind, error, trace)

    def add(self, split: str, name: str, content: bytes) -> None:
        """Append one document to `split` (train or held_out). `content` must not be empty."""
        assert split in SPLITS
        assert content
        if split not in self._open:
            path = self._aside / f"{split}-{len(self._shards[split]):05d}.bin"
            self._open[split] = (path.open("wb"), [0], [])
        file, offsets, names = self._open[split]
        file.write(content)
        offsets.append(offsets[-1] + len(content))
        names.append(name)
        if offsets[-1] >= self.shard_bytes:
            self._close(split)

    def _close(self, split: str) -> None:
        file, offsets, names = self._open.pop(split)
        file.close()
        stem = f"{split}-{len(self._shards[split]):05d}"
        np.save(self._aside / f"{stem}.offsets.npy", np.asarray(offsets, dtype=np.int64))
        (self._aside / f"{stem}.names.json").write_text(json.dumps(names) + "\n")
        endings = ("bin", "offsets.npy", "names.json")
        files = {ending: f"{stem}.{ending}" for ending in endings}
        self._shards[split].append(
            {
                "documents": len(names),
                "bytes": offsets[-1],
                "files": files,
                "sha256": {ending: sha256_of(self._aside / file) for ending, file in files.items()},
            }
        )

    def finish(self, about: dict[str, Any]) -> dict[str, Any]:
        """Write the manifest and return it. `about`: the builder's own entries."""
        for split in list(self._open):
            self._close(split)
        manifest = {"format": FORMAT, **about, "splits": {}}
        for split in SPLITS:
            shards = self._shards[split]
            manifest["splits"][split] = {
                "documents": sum(shard["documents"] for shard in shards),
                "bytes": sum(shard["bytes"] for shard in shards),
                "shards": shards,
            }
        write_json(self._aside / "manifest.json", manifest)
        self._finished = True
        return manifest


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read the manifest of a shard folder. Raises InputError if it is missing or damaged."""
    path = folder / "manifest.json"
    if not path.is_file():
        what = "has no manifest.json" if folder.is_dir() else "does not exist"
        raise InputError(
            f"{folder} {what}, so it is not a shard folder; "
            f"make one with: {door('data')} build --recipe stdlib --out {folder}"
        )
    try:
        manifest = json.loads(path.read_bytes())
        known = manifest["format"] == FORMAT and set(manifest["splits"]) == set(SPLITS)
    except (ValueError, KeyError, TypeError):
        known = False
    if not known:
        raise InputError(f"{path} is damaged or not of the format {FORMAT}; build the shards again")
    return manifest


def cuts(text: bytes, count: int, size: int, where: str) -> list[bytes]:
    """Cut `count` pieces of `size` bytes from `text`, spread evenly; pieces may overlap.

    `where` names the text in errors. Raises InputError if the text is too short for `count`
    different pieces.
    """
    if len(text) < size:
        raise InputError(
            f"{where} holds {len(text)} bytes, less than one prompt of {size}; "
            "take more text, or ask for shorter prompts"
        )
    if len(text) < size + count - 1:
        raise InputError(
            f"{where} holds {len(text)} bytes, too few for {count} different prompts of {size}; "
            "take more text, or ask for fewer prompts"
        )
    stride = (len(text) - size) // max(1, count - 1) if count > 1 else 0
    return [text[index * stride : index * stride + size] for index in range(count)]


class Split:
    """The documents of one split, memory-mapped.

    `lengths_N`: the size of each document in bytes. `sha256`: a hash of the shards' hashes, which
    identifies the content. Raises InputError if a file is missing, or if its size is not the one
    in the manifest.
    """

    def __init__(self, folder: Path, split: str) -> None:
        assert split in SPLITS
        self.folder, self.split = folder, split
        entry = read_manifest(folder)["splits"][split]
        self.documents: int = entry["documents"]
        self.bytes: int = entry["bytes"]
        self._maps: list[npt.NDArray[np.uint8]] = []
        self._offsets: list[npt.NDArray[np.int64]] = []
        self._names: list[Path] = []
        digest = hashlib.sha256()
        for shard in entry["shards"]:
            self._open(shard)
            digest.update(shard["sha256"]["bin"].encode() + shard["sha256"]["offsets.npy"].encode())
        self.sha256 = digest.hexdigest()
        self._first = np.cumsum([0] + [len(offsets) - 1 for offsets in self._offsets])
        lengths = [np.diff(offsets) for offsets in self._offsets]
        self.lengths_N: npt.NDArray[np.int64] = (
            np.concatenate(lengths) if lengths else np.zeros(0, dtype=np.int64)
        )

    def _open(self, shard: dict[str, Any]) -> None:
        path = self.folder / shard["files"]["bin"]
        try:
            size = path.stat().st_size
            offsets = np.load(self.folder / shard["files"]["offsets.npy"], allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise InputError(f"{path}: {error}; build the shards again") from error
        whole = size == shard["bytes"] and len(offsets) == shard["documents"] + 1
        if not whole or offsets[0] != 0 or offsets[-1] != size or np.any(np.diff(offsets) <= 0):
            raise InputError(
                f"{path} does not agree with the manifest ({size} bytes, "
                f"{shard['bytes']} expected); build the shards again"
            )
        self._maps.append(np.memmap(path, dtype=np.uint8, mode="r"))
        self._offsets.append(offsets)
        self._names.append(self.folder / shard["files"]["names.json"])

    def __len__(self) -> int:
        return self.documents

    def _locate(self, index: int) -> tuple[int, int]:
        assert 0 <= index < self.documents
        shard = int(np.searchsorted(self._first, index, side="right")) - 1
        return shard, index - int(self._first[shard])

    def document(self, index: int) -> npt.NDArray[np.uint8]:
        """The bytes of document `index`: uint8 (length,), a view of the memory map."""
        shard, local = self._locate(index)
        offsets = self._offsets[shard]
        return self._maps[shard][offsets[local] : offsets[local + 1]]

    def names(self) -> list[str]:
        """The documents' names, in order."""
        return [name for path in self._names for name in json.loads(path.read_bytes())]

    def __iter__(self) -> Iterator[npt.NDArray[np.uint8]]:
        return (self.document(index) for index in range(self.documents))

    def cuts(self, count: int, size: int) -> list[bytes]:
        """Cut `count` pieces of `size` bytes from the concatenated documents, spread evenly.

        Raises InputError if the documents are too short for `count` different pieces.
        """
        text = b"".join(document.tobytes() for document in self)
        return cuts(text, count, size, f"{self.folder} ({self.split})")
