"""Clones for tests, made by git alone."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

_ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    **{f"GIT_{who}_{what}": value
       for who in ("AUTHOR", "COMMITTER")
       for what, value in {"NAME": "n", "EMAIL": "e@x.org", "DATE": "2020-01-01T00:00Z"}.items()},
}  # fmt: skip


def git(folder: Path, *words: str, given: bytes = b"") -> str:
    """Run git in a folder, and return what it writes."""
    done = subprocess.run(
        ["git", *words], cwd=folder, env=_ENVIRONMENT, input=given, capture_output=True, check=True
    )
    return os.fsdecode(done.stdout).strip()


def commit(folder: Path, files: Mapping[str, bytes], message: str = "one") -> str:
    """Write files into the clone at `folder`, which is made, and commit them. Returns the hash."""
    if not (folder / ".git").exists():
        folder.mkdir(parents=True, exist_ok=True)
        git(folder, "init", "-q", "-b", "main")
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    git(folder, "add", "-A", "-f")
    git(folder, "commit", "-q", "--allow-empty", "-m", message)
    return git(folder, "rev-parse", "HEAD")


def tree_of(folder: Path, entries: list[tuple[str, str, str, str]]) -> str:
    """A commit of (mode, kind, hash, name) entries, as nobody's `git add` would make them."""
    lines = b"".join(
        f"{mode} {kind} {sha}\t".encode() + os.fsencode(name) + b"\0"
        for mode, kind, sha, name in entries
    )
    tree = git(folder, "mktree", "-z", "--missing", given=lines)
    return git(folder, "commit-tree", "-m", "made", tree)


def blob(folder: Path, content: bytes) -> str:
    """The hash of a content, which is stored."""
    return git(folder, "hash-object", "-w", "--stdin", given=content)
