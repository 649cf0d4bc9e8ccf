"""The shard format: documents as raw bytes, with offsets and a manifest, read by memory mapping.

A shard folder contains, for each split and shard number,

    train-00000.bin           uint8, the documents one after another, nothing between them
    train-00000.offsets.npy   int64, documents + 1: document i is bin[offsets[i]:offsets[i + 1]]
    train-00000.names.json    the documents' names, a list of strings

and `manifest.json`, which lists these files with their sizes and SHA-256 hashes. The builder may
add entries of its own, such as the sources. The folder is written under a temporary name and then
renamed: it is complete, or it does not exist.

Documents may be in stages, for training to read one stage after the other: the manifest then has
the number of documents in each.
"""

import contextlib
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from bytelm.base.errors import InputError, door, some
from bytelm.files.atomic import new_folder, sha256_of, write_json

__all__ = [
    "FORMAT",
    "SPLITS",
    "InputError",
    "ShardWriter",
    "Split",
    "holds_shards",
    "read_manifest",
]

FORMAT = "bytelm-shards-1"
SPLITS = ("train", "held_out")
BUILD_AGAIN = "build the shards again"


class ShardWriter:
    """Writes one shard folder. Use it as a context manager, and call `finish` last.

    >>> with ShardWriter(Path("shards")) as writer:
    ...     writer.add("train", "a.py", b"x = 1")
    ...     writer.finish({"recipe": "mine"})

    A new shard begins when one has `shard_bytes` bytes. On success the folder replaces shards that
    were at `folder` before. If the block ends by an exception or without `finish`, nothing is
    written and what was at `folder` stays.

    Beginning and ending the block raises InputError if `folder` holds anything but shards, and the
    end if `finish` was not called.
    """

    def __init__(self, folder: Path, shard_bytes: int = 256 << 20) -> None:
        self.folder = folder
        self.shard_bytes = shard_bytes
        self._finished = False
        self._open: dict[str, tuple[BinaryIO, list[int], list[str]]] = {}
        self._shards: dict[str, list[dict[str, Any]]] = {split: [] for split in SPLITS}
        self._stages: dict[str, list[int]] = {split: [0] for split in SPLITS}

    def __enter__(self) -> "ShardWriter":
        # Looked at before the work, and again when the folder is replaced.
        self._context = new_folder(self.folder, may_hold=replaceable(self.folder))
        self._aside = self._context.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._close_files()
            if kind is None and not self._finished:
                raise InputError(
                    f"the shards for {self.folder} were not finished: call `finish` last"
                )
        except (OSError, InputError) as failure:
            if kind is None:
                self._context.__exit__(type(failure), failure, failure.__traceback__)
                raise
        self._context.__exit__(kind, error, trace)

    def _close_files(self) -> None:
        """Close files that are still open. Raises OSError if their ends cannot be written."""
        with contextlib.ExitStack() as files:
            for file, _, _ in self._open.values():
                files.callback(file.close)

    def begin_stage(self, split: str) -> None:
        """Let the documents that `split` gets from now on be a stage of their own."""
        if self._stages[split][-1]:
            self._stages[split].append(0)

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
        self._stages[split][-1] += 1
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
            stages = [count for count in self._stages[split] if count]
            manifest["splits"][split] = {
                "documents": sum(shard["documents"] for shard in shards),
                "bytes": sum(shard["bytes"] for shard in shards),
                **({"stages": stages} if len(stages) > 1 else {}),
                "shards": shards,
            }
        write_json(self._aside / "manifest.json", manifest)
        self._finished = True
        return manifest


def _files_of(manifest: Any) -> dict[str, str] | None:
    """The shards' files that a manifest lists, and the SHA-256 of each; None if it is not ours."""
    try:
        if manifest["format"] != FORMAT:
            return None
        shards = [shard for split in SPLITS for shard in manifest["splits"][split]["shards"]]
        return {
            str(name): str(shard["sha256"][ending])
            for shard in shards
            for ending, name in shard["files"].items()
        }
    except (KeyError, TypeError, AttributeError):
        return None


def replaceable(folder: Path) -> frozenset[str]:
    """The names in `folder` that new shards may replace: its manifest, and what that lists.

    None if there is no folder. Raises InputError if anything else lies in it.
    """
    if not folder.exists():
        return frozenset()
    if not folder.is_dir():
        raise InputError(f"{folder} is a file; give a new folder")
    try:
        listed = _files_of(json.loads((folder / "manifest.json").read_bytes()))
    except (OSError, ValueError, RecursionError):
        listed = None
    names = frozenset() if listed is None else frozenset({"manifest.json", *listed})
    others = sorted(
        path.name for path in folder.iterdir() if path.name not in names or path.is_dir()
    )
    if others:
        raise InputError(
            f"{folder} holds files that are not shards ({some(others)}); "
            "they are not replaced: move them, or choose a new folder"
        )
    return names


def holds_shards(folder: Path, manifest: dict[str, Any]) -> bool:
    """Whether `folder` holds the shards of this manifest, with every file undamaged."""
    try:
        same = json.loads((folder / "manifest.json").read_bytes()) == manifest
        files = _files_of(manifest) or {}
        return same and all(sha256_of(folder / name) == files[name] for name in files)
    except (OSError, ValueError, RecursionError):
        return False


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read the manifest of a shard folder.

    Raises InputError if it is missing, damaged, or of the format of another version.
    """
    path = folder / "manifest.json"
    if not path.is_file():
        what = "has no manifest.json" if folder.is_dir() else "does not exist"
        raise InputError(
            f"{folder} {what}, so it is not a shard folder; "
            f"make one with: {door('data')} build --recipe stdlib --out {folder}"
        )
    # Imported here: of the commands for data, most need no pydantic.
    from bytelm.forms import DamagedError, ManifestFile, read_form

    manifest = read_form(path, ManifestFile, FORMAT, BUILD_AGAIN)
    for split, entry in manifest["splits"].items():
        for key in ("documents", "bytes"):
            if entry[key] != sum(shard[key] for shard in entry["shards"]):
                raise DamagedError(
                    f"{path} is damaged: 'splits.{split}.{key}' is not the sum over its shards; "
                    f"{BUILD_AGAIN}"
                )
        stages = entry.get("stages")
        if stages is not None and sum(stages) != entry["documents"]:
            raise DamagedError(
                f"{path} is damaged: 'splits.{split}.stages' is not {entry['documents']} documents "
                f"in all; {BUILD_AGAIN}"
            )
    return manifest


def cuts(text: bytes, count: int, size: int, where: str) -> list[bytes]:
    """Cut `count` pieces of `size` bytes from `text`, spread evenly; pieces may overlap.

    `where` names the text in errors. Raises InputError if the text is too short for `count`
    different pieces.
    """
    return [text[start : start + size] for start in _places(len(text), count, size, where)]


def _places(length: int, count: int, size: int, where: str) -> list[int]:
    """Where the pieces begin in a text of `length` bytes; see `cuts`."""
    if length < size:
        raise InputError(
            f"{where} holds {length} bytes, less than one prompt of {size}; "
            "take more text, or ask for shorter prompts"
        )
    if length < size + count - 1:
        raise InputError(
            f"{where} holds {length} bytes, too few for {count} different prompts of {size}; "
            "take more text, or ask for fewer prompts"
        )
    stride = (length - size) // max(1, count - 1) if count > 1 else 0
    return [index * stride for index in range(count)]


def _read_offsets(path: Path, shard: dict[str, Any]) -> npt.NDArray[np.int64]:
    """The offsets of a shard, checked against its entry in the manifest."""
    try:
        with path.open("rb") as file:
            offsets = np.lib.format.read_array(file, allow_pickle=False)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; {BUILD_AGAIN}") from error
    # What numpy raises for a damaged header is of many kinds; one asks for too much memory.
    except Exception as error:
        why = str(error).splitlines()[0] if str(error) else "not an array"
        raise InputError(f"{path} is damaged: {why}; {BUILD_AGAIN}") from error
    count, size = shard["documents"] + 1, shard["bytes"]
    if offsets.dtype != np.int64 or offsets.shape != (count,):
        why = f"{offsets.dtype} of shape {offsets.shape}, int64 of shape {(count,)} expected"
    elif offsets[0] != 0 or offsets[-1] != size or np.any(offsets[1:] <= offsets[:-1]):
        why = f"its values do not rise from 0 to {size}, the bytes of the shard"
    else:
        return offsets
    raise InputError(f"{path} is damaged: {why}; {BUILD_AGAIN}")


def _read_names(path: Path, count: int) -> list[str]:
    """The names of a shard's documents, which must be `count` texts."""
    try:
        names = json.loads(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; {BUILD_AGAIN}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is damaged: not JSON ({error}); {BUILD_AGAIN}") from error
    if isinstance(names, list) and len(names) == count and all(isinstance(n, str) for n in names):
        return names
    raise InputError(f"{path} is damaged: a list of {count} texts is needed; {BUILD_AGAIN}")


class Split:
    """The documents of one split, memory-mapped.

    `lengths_N`: the size of each document in bytes. `stages`: how many documents each stage has.
    `sha256`: a hash of the shards' hashes, which identifies the content. Raises InputError if a
    file is missing or is not what the manifest says.
    """

    def __init__(self, folder: Path, split: str) -> None:
        assert split in SPLITS
        self.folder, self.split = folder, split
        entry = read_manifest(folder)["splits"][split]
        self.documents: int = entry["documents"]
        self.bytes: int = entry["bytes"]
        self.stages: list[int] = entry.get("stages") or [self.documents]
        self._maps: list[npt.NDArray[np.uint8]] = []
        self._offsets: list[npt.NDArray[np.int64]] = []
        self._names: list[tuple[Path, int]] = []
        digest = hashlib.sha256()
        for shard in entry["shards"]:
            self._open(shard)
            digest.update(shard["sha256"]["bin"].encode() + shard["sha256"]["offsets.npy"].encode())
        if len(self.stages) > 1:
            digest.update(repr(self.stages).encode())
        self.sha256 = digest.hexdigest()
        self._first = np.cumsum([0] + [len(offsets) - 1 for offsets in self._offsets])
        lengths = [np.diff(offsets) for offsets in self._offsets]
        self.lengths_N: npt.NDArray[np.int64] = (
            np.concatenate(lengths) if lengths else np.zeros(0, dtype=np.int64)
        )

    def _open(self, shard: dict[str, Any]) -> None:
        path, size = self.folder / shard["files"]["bin"], shard["bytes"]
        try:
            found = path.stat().st_size
        except OSError as error:
            raise InputError(f"{path}: {error.strerror}; {BUILD_AGAIN}") from error
        if found != size:
            raise InputError(
                f"{path} is damaged: {found} bytes, {size} expected by the manifest; {BUILD_AGAIN}"
            )
        offsets = _read_offsets(self.folder / shard["files"]["offsets.npy"], shard)
        self._maps.append(np.memmap(path, dtype=np.uint8, mode="r"))
        self._offsets.append(offsets)
        self._names.append((self.folder / shard["files"]["names.json"], shard["documents"]))

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
        """The documents' names, in order. Raises InputError if a file of names is damaged."""
        return [name for path, count in self._names for name in _read_names(path, count)]

    def __iter__(self) -> Iterator[npt.NDArray[np.uint8]]:
        return (self.document(index) for index in range(self.documents))

    def cuts(self, count: int, size: int) -> list[bytes]:
        """Cut `count` pieces of `size` bytes from the concatenated documents, spread evenly.

        Raises InputError if the documents are too short for `count` different pieces.
        """
        length = sum(map(len, self._maps))
        places = _places(length, count, size, f"{self.folder} ({self.split})")
        return [self._piece(start, start + size) for start in places]

    def _piece(self, start: int, stop: int) -> bytes:
        """Bytes of the concatenated documents, of which no more is read."""
        pieces, first = [], 0
        for shard in self._maps:
            pieces.append(shard[max(start - first, 0) : max(stop - first, 0)].tobytes())
            first += len(shard)
        return b"".join(pieces)
