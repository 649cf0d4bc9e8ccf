"""Files are replaced whole, links are followed, devices are written into, the umask is kept."""

import json
import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import python

from bytelm.base.errors import InputError
from bytelm.files import atomic
from bytelm.files.atomic import append_line, new_folder, own_descriptor, write_bytes


@pytest.fixture(params=[0o022, 0o077, 0o007])
def mask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_new_files_and_folders_have_the_mode_of_the_umask(tmp_path: Path, mask: int) -> None:
    write_bytes(tmp_path / "file", b"1")
    with new_folder(tmp_path / "folder") as aside:
        (aside / "inner").write_bytes(b"2")
    assert mode(tmp_path / "file") == 0o666 & ~mask
    assert mode(tmp_path / "folder") == 0o777 & ~mask


def test_a_file_that_is_replaced_passes_on_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(0o640)
    write_bytes(path, b"new")
    assert path.read_bytes() == b"new"
    assert mode(path) == 0o640


def test_a_link_stays_and_its_target_is_written(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    target, link, dangling = tmp_path / "there" / "t", tmp_path / "link", tmp_path / "dangling"
    target.write_bytes(b"old")
    link.symlink_to(target)
    dangling.symlink_to("there/missing")
    write_bytes(link, b"new")
    write_bytes(dangling, b"made")
    assert link.is_symlink()
    assert dangling.is_symlink()
    assert target.read_bytes() == b"new"
    assert (tmp_path / "there" / "missing").read_bytes() == b"made"
    assert sorted(path.name for path in (tmp_path / "there").iterdir()) == ["missing", "t"]


def test_a_link_to_a_folder_stays_and_its_target_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    (tmp_path / "link").symlink_to("target")
    with new_folder(tmp_path / "link") as aside:
        (aside / "new").write_bytes(b"1")
    assert (tmp_path / "link").is_symlink()
    assert [path.name for path in (tmp_path / "target").iterdir()] == ["new"]


def test_a_pipe_is_written_into(tmp_path: Path) -> None:
    fifo, received = tmp_path / "fifo", []
    os.mkfifo(fifo)
    reader = threading.Thread(target=lambda: received.append(fifo.read_bytes()))
    reader.start()
    write_bytes(fifo, b"x" * 200_000)
    reader.join()
    assert received == [b"x" * 200_000]
    assert stat.S_ISFIFO(fifo.stat().st_mode)


def test_a_device_stays_a_device(tmp_path: Path) -> None:
    (tmp_path / "null").symlink_to("/dev/null")
    for path in (Path("/dev/null"), tmp_path / "null"):
        write_bytes(path, b"x")
        assert stat.S_ISCHR(path.stat().st_mode)
    with pytest.raises(OSError, match="No space left"):
        write_bytes(Path("/dev/full"), b"x")


def test_stdout_by_name_is_written_where_it_stands(tmp_path: Path) -> None:
    out = tmp_path / "out"
    code = (
        "import os; from pathlib import Path; from bytelm.files.atomic import write_bytes\n"
        "os.write(1, b'first ')\n"
        "write_bytes(Path('/dev/stdout'), b'second ')\n"
        "write_bytes(Path('/dev/fd/1'), b'third ')\n"
        "os.write(1, b'last')"
    )
    with out.open("wb") as file:
        done = python("-c", code, capture_output=False, stdout=file)
    assert done.returncode == 0
    assert out.read_bytes() == b"first second third last"


@pytest.mark.parametrize(
    ("path", "number"),
    [
        ("/dev/stdin", 0),
        ("/dev/fd/63", 63),
        ("/proc/self/fd/5", 5),
        ("/proc/PID/fd/2", 2),
        ("/dev/full", None),
        ("out.json", None),
    ],
)
def test_names_of_own_descriptors(path: str, number: int | None) -> None:
    assert own_descriptor(Path(path.replace("PID", str(os.getpid())))) == number


def test_a_file_in_a_folder_that_takes_no_new_files_is_written_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mounted"
    path.write_bytes(b"old, and longer")

    def refuse(*_: object) -> int:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("os.open", refuse)
    write_bytes(path, b"new")
    assert path.read_bytes() == b"new"
    with pytest.raises(OSError, match="Read-only"):
        write_bytes(tmp_path / "another", b"new")


def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fail(_: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic, "sync", fail)
    with pytest.raises(OSError, match="No space left") as caught:
        write_bytes(path, b"new")
    assert caught.value.filename == str(path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_longest_name_is_written(tmp_path: Path) -> None:
    path = tmp_path / ("ä" * 127)
    write_bytes(path, b"1")
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_with_anything_else_is_not_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "ours").write_bytes(b"1")
    (folder / "notes.txt").write_bytes(b"mine")
    with pytest.raises(InputError, match="also holds notes"):  # noqa: SIM117
        with new_folder(folder, ("ours",)):
            pytest.fail("the work began")
    assert (folder / "notes.txt").read_bytes() == b"mine"
    (folder / "notes.txt").unlink()

    def work() -> None:
        with new_folder(folder, ("ours",)) as aside:
            (folder / "late").write_bytes(b"came while the block ran")
            (aside / "made").write_bytes(b"by the work")

    with pytest.raises(InputError, match="also holds late") as caught:
        work()
    assert (folder / "late").read_bytes() == b"came while the block ran"
    [kept] = tmp_path.glob(".folder.*")
    assert (kept / "made").read_bytes() == b"by the work"
    assert str(kept) in str(caught.value)


def test_a_mount_point_is_refused_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.path.ismount", lambda _: True)
    with pytest.raises(InputError, match="mount point"), new_folder(tmp_path):
        pytest.fail("the work began")


def test_a_line_is_appended_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "rows"
    with path.open("ab", buffering=0) as file:
        append_line(file, {"row": 1}, path)
        append_line(file, {"row": 2}, path)
    assert [json.loads(line) for line in path.read_text().splitlines()] == [{"row": 1}, {"row": 2}]
    full = Path("/dev/full")
    with full.open("ab", buffering=0) as file, pytest.raises(OSError, match="No space") as caught:
        append_line(file, {"row": 1}, path)
    assert caught.value.filename == str(path)
