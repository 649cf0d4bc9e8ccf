"""The source `git`: the files of a commit in a local clone."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from data.git.objects import DamagedObjectError, Entry, Objects, find_commit
from data.walk import MACHINERY, Found

_LINK, _SUBMODULE = b"120000", b"160000"
# A pointer of Git LFS has fewer than 1024 bytes: https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md
_POINTER_BYTES = 1024
_POINTER = re.compile(rb"version https?://[\w./-]+/spec/v\d+\r?\n(?:ext-[^\n]*\n)*oid sha256:")


class Clone:
    """The files of a commit whose names end in one of `suffixes`; all files if it is empty.

    Documents are named REPOSITORY/path, in the order of the tree. A repository's name is its
    folder's. `split` is that of all documents; "" for a hash of each one's name. After `files`,
    `rejected` counts by reason the files that were left out, and `passed_over` those of other
    endings. Raises InputError if git, the repository or the commit is missing.
    """

    def __init__(
        self, path: Path, revision: str, suffixes: tuple[str, ...], max_file_bytes: int
    ) -> None:
        self.suffixes, self.max_file_bytes = suffixes, max_file_bytes
        self.split = ""
        self.commit = find_commit(path, revision)
        self.repository = repository_name(path)
        self.rejected: Counter[str] = Counter()
        self.rejected_bytes: Counter[str] = Counter()
        self.passed_over = 0

    def files(self) -> Iterator[Found]:
        """The documents. Of their texts one is in memory at a time."""
        with Objects(self.commit) as objects:
            for entry in objects.entries():
                # Not by the locale: the same commit has the same names everywhere.
                name = entry.name.decode("utf-8", "surrogateescape")
                reason = self._reason(entry, name)
                if reason is not None:
                    self._reject(reason)
                elif self.suffixes and not name.endswith(self.suffixes):
                    self.passed_over += 1
                else:
                    yield from self._document(objects, entry, name)

    def _reason(self, entry: Entry, name: str) -> str | None:
        if entry.mode == _LINK:
            return "link"
        if entry.mode == _SUBMODULE:
            return "submodule"
        if entry.kind != b"blob":
            return "not a file"
        return "installed copy" if MACHINERY & set(name.split("/")[:-1]) else None

    def _document(self, objects: Objects, entry: Entry, name: str) -> Iterator[Found]:
        try:
            size = objects.size(entry.sha)
            if size > self.max_file_bytes:
                self._reject("too large", size)
                return
            content = objects.content(entry.sha)
        except DamagedObjectError:
            self._reject("missing or damaged object")
            return
        if not content:
            self._reject("empty")
        elif size < _POINTER_BYTES and _POINTER.match(content):
            self._reject("LFS pointer", size)
        else:
            yield Found(f"{self.repository}/{name}", content, self.split)

    def _reject(self, reason: str, size: int = 0) -> None:
        self.rejected[reason] += 1
        self.rejected_bytes[reason] += size


def repository_name(path: Path) -> str:
    """The name of a repository: its folder's, without `.git`."""
    folder = path.resolve()
    if folder.name == ".git":
        folder = folder.parent
    return folder.name.removesuffix(".git") or "repository"
