"""The objects of a clone, read by git itself, so that nothing that the clone holds can run.

A clone's configuration can name programs: hooks, filters, textconv, file monitors, helpers that
fetch what is missing. So git reads it once, to find the commit, with every transport forbidden. The
objects are read with an empty repository of our own around them, which has no configuration, no
attributes, no hooks and no remotes. Nothing is checked out, fetched or written.
"""

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from bytelm.toolkit import InputError, option

# Finding a commit takes milliseconds. A pipe in the place of a file would take forever.
_MOST_S = 600
_PIECE = 1 << 16
# Hooks and monitors that a clone's configuration names; neither is asked for what we do.
_QUIET = ("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null")


@dataclass(frozen=True)
class Commit:
    """A commit of a clone: its full hash, the format of hashes, and the folder of the objects."""

    sha: str
    hash_format: str
    objects: Path


@dataclass(frozen=True)
class Entry:
    """An entry of a commit's tree, as `git ls-tree` writes it."""

    mode: bytes
    kind: bytes
    sha: bytes
    name: bytes


class DamagedObjectError(Exception):
    """The bytes of an object cannot be had."""


def find_commit(path: Path, revision: str) -> Commit:
    """The commit that a revision names in the clone at `path`: a folder with .git, or a bare one.

    Folders above are not searched. Raises InputError if git is missing, if `path` is no repository,
    and if it has no such commit.
    """
    where = f"{option('git')} {path}"
    if not path.is_dir():
        what = "is not a folder" if path.exists() else "does not exist"
        raise InputError(f"{where} {what}; give a clone of a git repository")
    inside = path / ".git"
    folder = (inside if os.path.lexists(inside) else path).resolve()
    with tempfile.TemporaryDirectory(prefix="bytelm-git-") as aside:
        clone = _environment(folder)
        # Where its own working tree is does not matter, and may be nowhere.
        clone["GIT_WORK_TREE"] = aside
        objects, why = _answer(clone, aside, "rev-parse", "--git-path", "objects")
        hash_format, _ = _answer(clone, aside, "rev-parse", "--show-object-format")
        if objects is None or hash_format is None:
            raise InputError(f"{where} is no git repository that can be read ({why})")
        found = None
        if revision and not revision.startswith("-") and "\0" not in revision:
            found, _ = _answer(clone, aside, "rev-parse", "--verify", "--quiet", revision)
        # A range or an exclusion is no commit.
        if found is not None and re.fullmatch("[0-9a-f]+", found):
            store = Path(aside, objects).resolve()
            apart = _apart(Path(aside), store, hash_format)
            asked = f"{found}^{{commit}}"
            sha, _ = _answer(apart, aside, "rev-parse", "--verify", "--quiet", asked)
            if sha is not None:
                return Commit(sha, hash_format, store)
    raise InputError(
        f"{option('commit')} {revision!r}: {path} has no such commit; name a commit, a branch or a "
        "tag that git log shows there"
    )


def _program() -> str:
    found = shutil.which("git")
    if found is None:
        raise InputError(f"{option('git')} needs the program git, which is not installed")
    return os.path.abspath(found)  # noqa: PTH100


def _environment(folder: Path) -> dict[str, str]:
    """The environment for git on the repository `folder`: nothing of the user's or the system's."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return kept | {
        "GIT_DIR": str(folder),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_ATTR_NOSYSTEM": "1",
        # A clone may lack objects and name a server, or a program, that has them.
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_ALLOW_PROTOCOL": "none",
        # The bytes are those that the commit names.
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
        "LC_ALL": "C",
    }


def _apart(aside: Path, objects: Path, hash_format: str) -> dict[str, str]:
    """The environment for git on `objects`, with an empty repository in the folder `aside`."""
    folder = aside / "repository"
    for name in ("refs", "objects"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "HEAD").write_text("ref: refs/heads/none\n")
    (folder / "config").write_text(
        "[core]\n\trepositoryformatversion = 1\n\tbare = true\n"
        + f"[extensions]\n\tobjectFormat = {hash_format}\n" * (hash_format != "sha1")
    )
    return _environment(folder) | {"GIT_OBJECT_DIRECTORY": str(objects)}


def _answer(environment: dict[str, str], folder: str, *words: str) -> tuple[str | None, str]:
    """What a git command writes, without its line's end; None and why where it fails."""
    try:
        done = subprocess.run(
            [_program(), *_QUIET, *words], check=False, cwd=folder, env=environment,
            stdin=subprocess.DEVNULL, capture_output=True, timeout=_MOST_S,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return None, f"git takes more than {_MOST_S} s"
    if done.returncode:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        return None, lines[-1] if lines else f"git ended with status {done.returncode}"
    return os.fsdecode(done.stdout).removesuffix("\n"), ""


class Objects:
    """The tree and the files of a commit. Use it as a context manager."""

    def __init__(self, commit: Commit) -> None:
        self.commit = commit

    def __enter__(self) -> "Objects":
        with ExitStack() as stack:
            aside = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bytelm-git-")))
            self._environment = _apart(aside, self.commit.objects, self.commit.hash_format)
            self._folder = aside
            self._sizes = stack.enter_context(_Batch(self, "--batch-check"))
            self._contents = stack.enter_context(_Batch(self, "--batch"))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def start(self, *words: str) -> "subprocess.Popen[bytes]":
        """Start a git command on the objects, with pipes."""
        return subprocess.Popen(
            [_program(), *words], cwd=self._folder, env=self._environment,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def entries(self) -> Iterator[Entry]:
        """All entries of the commit's tree but folders, in the tree's order.

        Raises InputError if a tree cannot be read, as in a clone that lacks some.
        """
        process = self.start("ls-tree", "-r", "-z", "--full-tree", self.commit.sha)
        assert process.stdout is not None
        with _ended(process):
            rest = b""
            while piece := process.stdout.read1(_PIECE):  # type: ignore[attr-defined]
                *lines, rest = (rest + piece).split(b"\0")
                for line in lines:
                    about, _, name = line.partition(b"\t")
                    mode, kind, sha = about.split(b" ")
                    yield Entry(mode, kind, sha, name)
            if process.wait() or rest:
                raise InputError(
                    f"git cannot read the whole tree of commit {self.commit.sha}: the clone is "
                    "damaged, or lacks a part; check it with git fsck"
                )

    def size(self, sha: bytes) -> int:
        """The bytes of a file. Raises DamagedObjectError if the clone lacks it."""
        return self._sizes.ask(sha)

    def content(self, sha: bytes) -> bytes:
        """The bytes of a file, which have the hash `sha`. Raises DamagedObjectError."""
        size = self._contents.ask(sha)
        content = self._contents.take(size)
        digest = hashlib.new(self.commit.hash_format, b"blob %d\0" % size, usedforsecurity=False)
        digest.update(content)
        if digest.hexdigest().encode() != sha:
            raise DamagedObjectError
        return content


class _ended:  # noqa: N801
    """A process that does not outlive the block."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()


class _Batch:
    """`git cat-file` that answers one question after the other. It is begun anew where it died."""

    def __init__(self, objects: Objects, way: str) -> None:
        self._objects, self._way = objects, way
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "_Batch":
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            with _ended(self._process):
                pass
        self._process = None

    def ask(self, sha: bytes) -> int:
        """Ask for a file. Returns its size. Raises DamagedObjectError if it cannot be read."""
        if self._process is None:
            self._process = self._objects.start("cat-file", self._way)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(sha + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._died() from None
        words = self._process.stdout.readline().split()
        if len(words) == 2 and words[1] == b"missing":
            raise DamagedObjectError
        if len(words) != 3 or words[1] != b"blob":
            # Its answer may have a content that nobody wants.
            raise self._died()
        return int(words[2])

    def take(self, size: int) -> bytes:
        """The content after an answer of `size` bytes."""
        assert self._process is not None
        assert self._process.stdout is not None
        content = self._process.stdout.read(size)
        if len(content) != size or self._process.stdout.read(1) != b"\n":
            raise self._died()
        return content

    def _died(self) -> DamagedObjectError:
        self.__exit__()
        return DamagedObjectError()
