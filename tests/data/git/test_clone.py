"""A clone as a source: each file of a commit once, byte for byte, and nothing of the clone runs."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from clones import blob, commit, git, tree_of
from hypothesis import given, settings
from hypothesis import strategies as st

from bytelm.shards import InputError
from data.git.clone import Clone, repository_name
from data.git.objects import find_commit

LIMIT = 1 << 20


def read(
    path: Path, revision: str = "HEAD", suffixes: tuple[str, ...] = (), limit: int = LIMIT
) -> tuple[dict[str, bytes], dict[str, int], int]:
    """The documents, the counts, and how many files were passed over."""
    clone = Clone(path, revision, suffixes, limit)
    found = list(clone.files())
    assert len({one.name for one in found}) == len(found)
    return {one.name: one.content for one in found}, dict(clone.rejected), clone.passed_over


@settings(max_examples=10, deadline=None)
@given(st.dictionaries(st.text("abc", min_size=1, max_size=5), st.binary(min_size=1), min_size=1))
def test_any_bytes_come_through(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]
) -> None:
    folder = tmp_path_factory.mktemp("any") / "repo"
    commit(folder, {f"in/{name}": content for name, content in files.items()})
    found, rejected, _ = read(folder)
    assert found == {f"repo/in/{name}": content for name, content in files.items()}
    assert rejected == {}


def test_each_entry_is_in_exactly_one_count(tmp_path: Path) -> None:
    folder = tmp_path / "repo"
    commit(folder, {"a.py": b"a = 1\n"})
    code, other = blob(folder, b"b = 1\n"), "12" * 20
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize 9\n" % (b"ab" * 32)
    tree = git(folder, "rev-parse", "HEAD^{tree}")
    entries = [
        ("100644", "blob", code, "a.py"),
        ("100755", "blob", code, "run.py"),
        ("100644", "blob", code, "näme.py"),
        ("100644", "blob", code, "new\nline\t.py"),
        ("100644", "blob", code, "\udcff\udcfe.py"),
        ("120000", "blob", blob(folder, b"/etc/passwd"), "link.py"),
        ("160000", "commit", other, "module.py"),
        ("100644", "blob", blob(folder, b""), "empty.py"),
        ("100644", "blob", blob(folder, b"x" * 2000), "large.py"),
        ("100644", "blob", blob(folder, pointer), "pointer.py"),
        ("100644", "blob", other, "missing.py"),
        ("100644", "blob", blob(folder, b"text"), "notes.txt"),
        ("040000", "tree", tree, "node_modules"),
        ("040000", "tree", tree, "folder.py"),
    ]
    made = tree_of(folder, entries)
    found, rejected, passed_over = read(folder, made, (".py",), 1000)
    names = ["a.py", "run.py", "näme.py", "new\nline\t.py", "\udcff\udcfe.py"]
    assert found == {
        **{f"repo/{name}": b"b = 1\n" for name in names}, "repo/folder.py/a.py": b"a = 1\n"
    }  # fmt: skip
    assert rejected == {
        "link": 1, "submodule": 1, "empty": 1, "too large": 1, "LFS pointer": 1,
        "missing or damaged object": 1, "installed copy": 1,
    }  # fmt: skip
    assert passed_over == 1
    assert len(found) + sum(rejected.values()) + passed_over == len(entries)


def test_text_about_pointers_is_no_pointer(tmp_path: Path) -> None:
    texts = {
        "a.md": b"version https://git-lfs.github.com/spec/v1\nis its first line\n",
        "b.md": b"see version https://git-lfs.github.com/spec/v1\noid sha256:\n",
        "c.md": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n" + b"x" * 1000,
    }
    commit(tmp_path / "repo", dict(texts))
    assert read(tmp_path / "repo")[0] == {f"repo/{name}": text for name, text in texts.items()}


def test_revisions_name_commits(tmp_path: Path) -> None:
    folder = tmp_path / "repo"
    first = commit(folder, {"a.py": b"one"})
    second = commit(folder, {"a.py": b"two"}, "two")
    git(folder, "tag", "-a", "v1", "-m", "tag", first)
    # What lies in the folder does not matter.
    (folder / "a.py").write_bytes(b"changed")
    for revision, sha, content in [
        ("HEAD", second, b"two"), ("main", second, b"two"), ("v1", first, b"one"),
        ("HEAD~1", first, b"one"), (first[:9], first, b"one"), (second, second, b"two"),
    ]:  # fmt: skip
        assert find_commit(folder, revision).sha == sha
        assert read(folder, revision)[0] == {"repo/a.py": content}


def test_kinds_of_clones(tmp_path: Path) -> None:
    folder = tmp_path / "repo"
    sha = commit(folder, {"a.py": b"one", "in/b.py": b"two"})
    git(tmp_path, "clone", "-q", "--bare", "repo", "bare.git")
    git(tmp_path, "clone", "-q", "--shared", "repo", "shared")
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{folder}", "shallow")
    git(folder, "worktree", "add", "-q", "-b", "other", str(tmp_path / "tree"))
    git(folder, "gc", "-q")
    for name in ("bare.git", "shared", "shallow", "tree", "repo/.git"):
        found, _, _ = read(tmp_path / name)
        repository = repository_name(tmp_path / name)
        assert repository == name.removesuffix(".git").removesuffix("/")
        assert found == {f"{repository}/a.py": b"one", f"{repository}/in/b.py": b"two"}
        assert find_commit(tmp_path / name, "HEAD").sha == sha


def test_hashes_of_256_bits(tmp_path: Path) -> None:
    folder = tmp_path / "repo"
    folder.mkdir()
    git(folder, "init", "-q", "--object-format=sha256")
    sha = commit(folder, {"a.py": b"one"})
    assert len(sha) == 64
    assert read(folder)[0] == {"repo/a.py": b"one"}


def test_a_clone_of_another_user_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "repo"
    commit(folder, {"a.py": b"one"})
    if os.getuid() == 0:
        for path in (folder, folder / ".git"):
            os.chown(path, 12345, 12345)
    assert read(folder)[0] == {"repo/a.py": b"one"}


def test_nothing_of_the_clone_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hooks, filters, monitors, helpers of remotes and replaced objects are all left alone."""
    folder, ran = tmp_path / "repo", tmp_path / "ran"
    script = tmp_path / "script"
    script.write_text(f"#!/bin/sh\necho \"$0 $*\" >> '{ran}'\n")
    script.chmod(0o755)
    commit(folder, {"a.py": b"one\n", ".gitattributes": b"* filter=bad diff=bad text eol=crlf\n"})
    missing = "12" * 20
    made = tree_of(folder, [
        ("100644", "blob", blob(folder, b"one\n"), "a.py"), ("100644", "blob", missing, "gone.py"),
    ])  # fmt: skip
    git(folder, "update-ref", "HEAD", made)
    git(folder, "replace", blob(folder, b"one\n"), blob(folder, b"replaced\n"))
    for hook in ("post-checkout", "reference-transaction", "fsmonitor-watchman", "pre-auto-gc"):
        (folder / ".git" / "hooks").mkdir(exist_ok=True)
        shutil.copy(script, folder / ".git" / "hooks" / hook)
    for name, value in {
        "core.repositoryformatversion": "1", "extensions.partialClone": "origin",
        "core.fsmonitor": str(script), "core.sshCommand": str(script), "core.pager": str(script),
        "filter.bad.smudge": str(script), "filter.bad.process": str(script),
        "diff.bad.textconv": str(script), "core.askPass": str(script),
        "remote.origin.url": f"ext::{script}", "remote.origin.promisor": "true",
        "remote.origin.uploadpack": str(script), "protocol.allow": "always",
        "protocol.ext.allow": "always", "core.alternateRefsCommand": str(script),
        "core.gitProxy": str(script), "credential.helper": str(script), "alias.cat-file":
        f"!{script}", "core.worktree": "/nowhere/at/all", "core.autocrlf": "true",
    }.items():  # fmt: skip
        git(tmp_path, "config", "--file", str(folder / ".git" / "config"), name, value)
    # Git by itself would run what is named there.
    plain = {**os.environ, "GIT_WORK_TREE": str(tmp_path)}
    subprocess.run(["git", "cat-file", "-e", missing], cwd=folder, env=plain, capture_output=True)
    assert str(script) in ran.read_text()
    ran.unlink()
    # The user's own settings do not count either.
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", str(script))
    monkeypatch.setenv("GIT_CONFIG_PARAMETERS", "'protocol.allow'='always'")
    found, rejected, _ = read(folder)
    assert found == {"repo/a.py": b"one\n"}
    assert rejected == {"missing or damaged object": 1}
    # To find a commit that is not there, git would ask the remote.
    for revision in ("34" * 20, "34" * 20 + "~1"):
        with pytest.raises(InputError, match="has no such commit"):
            read(folder, revision)
    assert not ran.exists()
    assert not [path for path in (folder / ".git").iterdir() if path.name.startswith("index.")]


def test_damaged_objects_are_counted(tmp_path: Path) -> None:
    folder = tmp_path / "repo"
    sha = commit(folder, {f"{n}.py": b"x = %d\n" % n for n in range(9)})
    for name, damage in {"2.py": b"", "4.py": b"not zlib", "6.py": None}.items():
        found = git(folder, "rev-parse", f"HEAD:{name}")
        path = folder / ".git" / "objects" / found[:2] / found[2:]
        path.chmod(0o600)
        if damage is None:
            # Another object in its place: whole, with a hash that is not its own.
            other = git(folder, "rev-parse", "HEAD:8.py")
            shutil.copy(folder / ".git" / "objects" / other[:2] / other[2:], path)
        else:
            path.write_bytes(damage)
    found_texts, rejected, _ = read(folder, sha)
    assert found_texts == {f"repo/{n}.py": b"x = %d\n" % n for n in (0, 1, 3, 5, 7, 8)}
    assert rejected == {"missing or damaged object": 3}


def test_a_tree_that_is_missing_is_an_error(tmp_path: Path) -> None:
    folder = tmp_path / "repo"
    commit(folder, {"in/a.py": b"one"})
    tree = git(folder, "rev-parse", "HEAD:in")
    (folder / ".git" / "objects" / tree[:2] / tree[2:]).unlink()
    with pytest.raises(InputError, match="cannot read the whole tree"):
        read(folder)


@pytest.mark.parametrize(
    "revision",
    ["none", "", "-h", "--all", "HEAD..HEAD", "^HEAD", "HEAD:a.py", "a\0b", "12" * 20, "@{9}"],
)
def test_what_is_no_commit(tmp_path: Path, revision: str) -> None:
    commit(tmp_path / "repo", {"a.py": b"one"})
    with pytest.raises(InputError, match="has no such commit") as error:
        find_commit(tmp_path / "repo", revision)
    assert "\n" not in str(error.value)
    assert "\0" not in str(error.value)


def test_what_is_no_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "repo"
    commit(folder, {"in/a.py": b"one"})
    (tmp_path / "empty").mkdir()
    (tmp_path / "half" / ".git").mkdir(parents=True)
    cases = {
        tmp_path / "nowhere": "does not exist",
        folder / "in" / "a.py": "is not a folder",
        tmp_path / "empty": "is no git repository",
        tmp_path / "half": "is no git repository",
        # A folder of a clone is not the clone.
        folder / "in": "is no git repository",
    }
    for path, words in cases.items():
        with pytest.raises(InputError, match=words) as error:
            find_commit(path, "HEAD")
        assert str(path) in str(error.value)
        assert "\n" not in str(error.value)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="git, which is not installed"):
        find_commit(folder, "HEAD")


def test_an_empty_repository_has_no_commit(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    with pytest.raises(InputError, match="has no such commit"):
        find_commit(tmp_path, "HEAD")
