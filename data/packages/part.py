"""A part: the documents of one package after the steps that look at a document by itself.

A part is a folder: it is complete or not there, so work that was stopped goes on with the next.

    texts        the documents' bytes, one after another
    digests      16 bytes of the SHA-256 of each
    signatures   256 values (uint16) of each document that has a signature
    about.json   names, sizes, which documents have a signature, and counts
"""

import hashlib
import json
import re
import secrets
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from bytelm.toolkit import InputError, write_json
from data.steps.near import PERMUTATIONS, Signatures_ND, signature

DIGEST_BYTES = 16


# The last may be found half written, under a temporary name.
_OURS = re.compile(r"(?:texts|digests|signatures|about\.json|\.about\.json\..*)\Z")


def check_parts(folder: Path) -> None:
    """Raise InputError if `folder` holds anything but parts, finished or not: it would be lost."""
    for path in folder.iterdir():
        ours = path.is_dir() and not path.is_symlink()
        if not ours or any(not _OURS.match(inner.name) for inner in path.iterdir()):
            raise InputError(
                f"{path} is in the way: packages are kept in {folder} while shards are built; "
                "move it, or choose another --out"
            )


class PartWriter:
    """Writes a part, in place of one that is there. Use it as a context manager."""

    def __init__(self, folder: Path, signed: bool) -> None:
        self.folder, self.signed = folder, signed
        # A name of its own: a process that was left behind may still write to another.
        self._aside = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.unfinished")
        self._names: list[str] = []
        self._sizes: list[int] = []
        self._signed: list[int] = []

    def __enter__(self) -> "PartWriter":
        self._aside.mkdir(parents=True)
        with ExitStack() as files:
            self._texts, self._digests, self._signatures = (
                files.enter_context((self._aside / name).open("wb"))
                for name in ("texts", "digests", "signatures")
            )
            self._files = files.pop_all()
        return self

    def add(self, name: str, content: bytes) -> None:
        """Append a document."""
        self._texts.write(content)
        self._digests.write(hashlib.sha256(content).digest()[:DIGEST_BYTES])
        found = signature(content) if self.signed else None
        if found is not None:
            self._signatures.write(found.tobytes())
        self._names.append(name)
        self._sizes.append(len(content))
        self._signed.append(int(found is not None))

    def finish(self, about: dict[str, Any]) -> None:
        """Complete the part. `about`: what else is to be kept, as JSON."""
        self._files.close()
        listed = {"names": self._names, "sizes": self._sizes, "signed": self._signed}
        write_json(self._aside / "about.json", {**about, **listed})
        shutil.rmtree(self.folder, ignore_errors=True)
        self._aside.rename(self.folder)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._files.close()
        shutil.rmtree(self._aside, ignore_errors=True)


class Part:
    """A part that was written. `about` is what `finish` was given."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.about: dict[str, Any] = json.loads((folder / "about.json").read_bytes())
        names, sizes, signed = (self.about.pop(key) for key in ("names", "sizes", "signed"))
        self.names: list[str] = names
        self.sizes: list[int] = sizes
        self.signed_N = np.asarray(signed, dtype=bool)

    def __len__(self) -> int:
        return len(self.names)

    def is_whole(self) -> bool:
        """Whether the files are as long as `about.json` says."""
        lengths = {
            "texts": sum(self.sizes),
            "digests": DIGEST_BYTES * len(self),
            "signatures": 2 * PERMUTATIONS * int(self.signed_N.sum()),
        }
        return all((self.folder / name).stat().st_size == size for name, size in lengths.items())

    def counted(self, key: str) -> Counter[str]:
        """One of the part's counts."""
        return Counter(self.about.get(key, {}))

    def digests(self) -> bytes:
        """DIGEST_BYTES of each document."""
        return (self.folder / "digests").read_bytes()

    def signatures(self) -> Signatures_ND:
        """The signatures of the documents that have one."""
        return np.fromfile(self.folder / "signatures", np.uint16).reshape(-1, PERMUTATIONS)

    def documents(self) -> Iterator[tuple[str, bytes]]:
        """Names and texts, in order."""
        with (self.folder / "texts").open("rb") as file:
            for name, size in zip(self.names, self.sizes, strict=True):
                yield name, file.read(size)
