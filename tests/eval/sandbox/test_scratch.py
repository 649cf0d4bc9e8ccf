"""A program's folder on disk: measured while it runs, and gone afterwards, whatever is in it."""

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from eval.sandbox import scratch as scratch_module
from eval.sandbox.scratch import Scratch, remove


def nested(folder: Path, depth: int) -> None:
    """Folders so deep that no path leads to the last one."""
    here = os.open(folder, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=here)
        inner = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    with open(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=here), "w") as file:  # noqa: PTH123
        file.write("x")
    os.close(here)


def locked(folder: Path) -> None:
    """Folders and files without permissions, in each other."""
    inner = folder / "a" / "b" / "c"
    inner.mkdir(parents=True)
    for path in (inner / "file", folder / "file"):
        path.write_text("x")
        path.chmod(0)
    for path in (inner, inner.parent, folder / "a", folder):
        path.chmod(0)


def odd(folder: Path) -> None:
    """Names and kinds of all sorts."""
    for name in ("-rf", " ", "a\nb", "\u20ac", "x" * 255, ".hidden", "*"):
        (folder / name).mkdir()
        (folder / name / name).write_text("x")
    (folder / os.fsdecode(b"\xff\xfe")).write_text("x")
    os.mkfifo(folder / "fifo")
    (folder / "loop").symlink_to("loop")
    (folder / "self").symlink_to(folder)
    (folder / "gone").symlink_to("/no/such/file")
    os.link(folder / "-rf" / "-rf", folder / "link")


def wide(folder: Path) -> None:
    for number in range(2000):
        (folder / f"file{number}").touch()
    for number in range(200):
        (folder / f"folder{number}" / "a" / "a").mkdir(parents=True)


def clashing(folder: Path) -> None:
    """Names as the removal itself gives them: a program may guess the warden's number."""
    for number in range(5):
        (folder / f".{os.getpid()}-{number}" / f".{os.getpid()}-{number}" / "x").mkdir(parents=True)
        (folder / "a" / f"b{number}" / "c").mkdir(parents=True)
    (folder / f".{os.getpid()}-5").touch()


@pytest.mark.parametrize(
    "fill",
    [lambda folder: None, lambda folder: nested(folder, 1500), locked, odd, wide, clashing],
    ids=["empty", "deep", "locked", "odd", "wide", "clashing"],
)
def test_whatever_is_in_it_is_removed(tmp_path: Path, fill: Callable[[Path], None]) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    fill(folder)
    if stat.S_IMODE(folder.stat().st_mode) == 0:
        folder.chmod(0o700)  # as the warden's own folder is, which a program cannot change
    remove(str(folder))
    assert list(tmp_path.iterdir()) == []


def test_nothing_outside_is_touched(tmp_path: Path) -> None:
    outside, folder = tmp_path / "outside", tmp_path / "folder"
    (outside / "inner").mkdir(parents=True)
    (outside / "inner" / "canary").write_text("untouched")
    (outside / "inner" / "canary").chmod(0o400)
    outside.chmod(0o500)
    (folder / "deep" / "deeper").mkdir(parents=True)
    for place in (folder, folder / "deep", folder / "deep" / "deeper"):
        (place / "to-folder").symlink_to(outside)
        (place / "to-file").symlink_to(outside / "inner" / "canary")
        (place / "up").symlink_to("../..")
    before = [(p.stat().st_mode, p.stat().st_mtime_ns) for p in (outside, *outside.rglob("*"))]
    remove(str(folder))
    assert not folder.exists()
    after = [(p.stat().st_mode, p.stat().st_mtime_ns) for p in (outside, *outside.rglob("*"))]
    assert after == before
    assert (outside / "inner" / "canary").read_text() == "untouched"
    outside.chmod(0o700)


def test_a_link_in_the_folders_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "canary").touch()
    (tmp_path / "link").symlink_to("outside")
    with pytest.raises(OSError, match=r"Not a directory|Too many levels"):
        remove(str(tmp_path / "link"))
    assert (tmp_path / "outside" / "canary").exists()


def job(size: int = 1 << 20, files: int = 50) -> dict[str, Any]:
    return {"limits": {"scratch_bytes": size, "scratch_files": files}}


@pytest.fixture
def _always_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratch_module, "_LOOK_S", 0.0)


def test_a_scratch_is_a_new_folder_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with Scratch(job(), True) as one, Scratch(job(), True) as other:
        assert one.path != other.path
        assert Path(one.path).parent == tmp_path
        assert stat.S_IMODE(Path(one.path).stat().st_mode) == 0o700
        (Path(one.path) / "file").touch()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ZeroDivisionError), Scratch(job(), True):
        _ = 1 / 0
    assert list(tmp_path.iterdir()) == []
    with Scratch(job(), False) as none:
        assert none.path == ""
        assert not none.is_full()
        assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("_always_looks")
def test_a_scratch_is_full_of_bytes() -> None:
    with Scratch(job(), True) as scratch:
        assert not scratch.is_full()
        folder = Path(scratch.path)
        (folder / "a" / "b").mkdir(parents=True)
        (folder / "a" / "one").write_bytes(bytes(500_000))
        assert not scratch.is_full()
        (folder / "a" / "b" / "two").write_bytes(bytes(600_000))
        assert scratch.is_full()
        (folder / "a" / "b" / "two").unlink()
        assert not scratch.is_full()
        with (folder / "hole").open("wb") as file:
            file.truncate(1 << 30)  # it takes no place
        assert not scratch.is_full()


@pytest.mark.usefixtures("_always_looks")
def test_a_scratch_is_full_of_files() -> None:
    with Scratch(job(), True) as scratch:
        folder = Path(scratch.path)
        for number in range(25):
            (folder / f"file{number}").touch()
            (folder / f"link{number}").symlink_to("/")
        assert not scratch.is_full()
        (folder / "one more").mkdir()
        assert scratch.is_full()


@pytest.mark.usefixtures("_always_looks")
def test_a_scratch_is_full_of_folders_in_each_other() -> None:
    for depth, full in ((150, False), (400, True)):
        with Scratch(job(files=10_000), True) as scratch:
            nested(Path(scratch.path), depth)
            assert scratch.is_full() is full


@pytest.mark.usefixtures("_always_looks")
def test_links_are_not_measured() -> None:
    with Scratch(job(size=4096, files=5), True) as scratch:
        (Path(scratch.path) / "all").symlink_to("/usr")
        (Path(scratch.path) / "self").symlink_to(".")
        assert not scratch.is_full()


def test_a_scratch_is_looked_at_now_and_then() -> None:
    with Scratch(job(files=1), True) as scratch:
        assert not scratch.is_full()
        for number in range(3):
            (Path(scratch.path) / f"file{number}").touch()
        assert not scratch.is_full()
        scratch._looked = 0.0
        assert scratch.is_full()
