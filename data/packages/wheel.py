"""The sources in a wheel, read out of the zip file: nothing is unpacked, built or run."""

import email
import email.message
import hashlib
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from data.packages.fetch import Wheel
from data.steps.licences import Licence, of_package
from data.walk import Found

TESTS = frozenset({"test", "tests", "testing", "idle_test"})
VENDORED = frozenset({"vendor", "vendored", "_vendor", "_vendored", "third_party", "site-packages"})
_LICENCE_FILE = re.compile(r"(?:licen[cs]e|copying)", re.IGNORECASE)
# No licence or metadata is longer.
_MOST_ABOUT = 1 << 20
# What reading a damaged, encrypted or strangely packed file of a zip may raise.
DAMAGE = (
    zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, NotImplementedError,
    ValueError,
)  # fmt: skip


class Sources:
    """The .py files of a wheel, by name. Use it as a context manager.

    `licence` is the package's. After `files`, `rejected` counts by reason the files that were left
    out, and `passed_over` those of other endings. Raises one of DAMAGE if the zip is no wheel.
    """

    def __init__(self, wheel: Wheel, max_file_bytes: int, max_package_bytes: int | None) -> None:
        self.wheel, self.max_file_bytes = wheel, max_file_bytes
        self.most_bytes = max_package_bytes
        self.rejected: Counter[str] = Counter()
        self.rejected_bytes: Counter[str] = Counter()
        self.passed_over = 0
        self._zip = zipfile.ZipFile(wheel.path)
        try:
            self.licence = self._licence()
        except BaseException:
            self._zip.close()
            raise

    def __enter__(self) -> "Sources":
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()

    def _licence(self) -> Licence:
        inside = [one for one in self._zip.infolist() if ".dist-info/" in one.filename]
        described = [one for one in inside if one.filename.endswith(".dist-info/METADATA")]
        if not described:
            raise zipfile.BadZipFile("it has no METADATA")
        # Copies of other packages may have one too, in a deeper folder.
        metadata = min(described, key=lambda one: len(one.filename))
        root = metadata.filename.removesuffix("METADATA")
        texts = [
            self._read(one, _MOST_ABOUT).decode("utf-8", "replace")
            for one in sorted(inside, key=lambda one: one.filename)
            if one.filename.startswith(root) and _LICENCE_FILE.match(Path(one.filename).name)
        ]
        return of_package(email.message_from_bytes(self._read(metadata, _MOST_ABOUT)), texts)

    def _read(self, member: zipfile.ZipInfo, limit: int) -> bytes:
        """Up to `limit` bytes of a file, and one more if it has more, whatever its header says."""
        with self._zip.open(member) as file:
            return file.read(limit + 1)

    def files(self) -> Iterator[Found]:
        """The files, named PACKAGE/path."""
        for member in self._chosen():
            try:
                content = self._read(member, self.max_file_bytes)
            except DAMAGE:
                self._reject("damaged file")
                continue
            if not content:
                self._reject("empty")
            elif len(content) > self.max_file_bytes:
                self._reject("too large", max(len(content), member.file_size))
            else:
                yield Found(f"{self.wheel.package}/{member.filename}", content)

    def _chosen(self) -> list[zipfile.ZipInfo]:
        """The files to read, by name; others are counted."""
        members: dict[str, zipfile.ZipInfo] = {}
        for member in self._zip.infolist():
            if member.filename.endswith("/"):
                continue
            if not member.filename.endswith(".py"):
                self.passed_over += 1
            elif member.filename in members:
                self._reject("name that came before", member.file_size)
            elif (reason := _no_source(member.filename)) is not None:
                self._reject(reason, member.file_size)
            else:
                members[member.filename] = member
        return self._part([members[name] for name in sorted(members)])

    def _part(self, members: list[zipfile.ZipInfo]) -> list[zipfile.ZipInfo]:
        """So many of the files as a package may give, chosen by a hash of their names."""
        if self.most_bytes is None:
            return members
        taken, kept = 0, set()
        for member in sorted(members, key=lambda one: _digest(one.filename)):
            if taken + member.file_size <= self.most_bytes:
                taken += member.file_size
                kept.add(member.filename)
            else:
                self._reject("large package", member.file_size)
        return [member for member in members if member.filename in kept]

    def _reject(self, reason: str, size: int = 0) -> None:
        self.rejected[reason] += 1
        self.rejected_bytes[reason] += size


def _no_source(name: str) -> str | None:
    *folders, file = name.split("/")
    if TESTS & set(folders) or file.startswith("test_") or file == "conftest.py":
        return "test"
    return "vendored copy" if VENDORED & set(folders) else None


def _digest(name: str) -> bytes:
    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()
