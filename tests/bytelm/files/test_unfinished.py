"""Folders that are being written: a killed process leaves nothing that stays for ever."""

import errno
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support import wait_until

from bytelm.files import unfinished
from bytelm.files.atomic import new_folder

WRITER = """
import sys, time
from pathlib import Path
from bytelm.files.atomic import new_folder
with new_folder(Path(sys.argv[1])) as aside:
    (aside / "part").write_bytes(b"1" * 1000)
    time.sleep(600)
"""


def begun(target: Path) -> "subprocess.Popen[bytes]":
    """A process that writes `target` and never ends."""
    before = set(target.parent.glob(".*.unfinished/part"))
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(target)])
    wait_until(lambda: set(target.parent.glob(".*.unfinished/part")) != before)
    return process


def test_what_a_killed_process_left_is_removed_by_the_next_one(tmp_path: Path) -> None:
    process = begun(tmp_path / "out")
    process.send_signal(signal.SIGKILL)
    process.wait()
    [left] = tmp_path.iterdir()
    assert left.name.endswith(".unfinished")
    with new_folder(tmp_path / "out") as aside:
        (aside / "whole").write_bytes(b"2")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_what_a_living_process_writes_stays(tmp_path: Path) -> None:
    process = begun(tmp_path / "out")
    try:
        [theirs] = tmp_path.iterdir()
        with new_folder(tmp_path / "out") as aside:
            assert aside != theirs
        assert (theirs / "part").stat().st_size == 1000
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    "name",
    [".out.0123abcd", ".out.0123abcd.unfinished.txt", "out.unfinished", ".out.mine.unfinished",
     ".other.0123abcd.unfinished", ".out.0123abcd.unfinished"],
)  # fmt: skip
def test_other_names_and_what_is_no_folder_stay(tmp_path: Path, name: str) -> None:
    if name == ".out.0123abcd.unfinished":
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "elsewhere" / "mine").write_bytes(b"1")
        (tmp_path / name).symlink_to("elsewhere")
    else:
        (tmp_path / name).mkdir()
    before = sorted(tmp_path.rglob("*"))
    unfinished.remove_abandoned(tmp_path / "out")
    assert sorted(tmp_path.rglob("*")) == before


def test_without_locks_it_is_written_and_nothing_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".out.0123abcd.unfinished").mkdir()

    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    with new_folder(tmp_path / "out") as aside:
        assert not aside.name.endswith(".unfinished")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".out.0123abcd.unfinished", "out"]


def test_an_error_leaves_nothing(tmp_path: Path) -> None:
    def work() -> None:
        with new_folder(tmp_path / "out") as aside:
            (aside / "part").write_bytes(b"1")
            raise KeyError

    with pytest.raises(KeyError):
        work()
    assert list(tmp_path.iterdir()) == []
