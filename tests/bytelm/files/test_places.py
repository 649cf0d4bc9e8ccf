"""Places of results are looked at before the work, and a result without a place is kept."""

import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pytest
from support import one_line

from bytelm.base.errors import InputError
from bytelm.commands.cli import main
from bytelm.files.places import Out, check_place, write_json_result, write_result


@dataclass
class Work:
    """Work."""

    out: Annotated[Path, Out()] | None = None
    """The result."""

    def run(self) -> dict[str, Any]:
        Path("ran").touch()
        assert self.out is not None
        write_json_result(self.out, {"x": 1})
        return {"x": 1}


def test_a_wrong_place_is_refused_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main("work", "", {"work": Work}, ["work", "--out", str(tmp_path)]) == 2
    said = one_line(capsys.readouterr().err)
    assert said.startswith(f"error: --out {tmp_path} is a folder; give a file")
    assert not Path("ran").exists()
    assert main("work", "", {"work": Work}, ["work", "--out", "new/x.json"]) == 0
    assert Path("new/x.json").read_text() == '{\n  "x": 1\n}\n'


def test_what_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "to_folder").symlink_to(tmp_path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        wrong = ["file/x", "loop", "to_folder", "socket", "y" * 300, "/proc/none/x", "/sys/x"]
        for name in wrong:
            with pytest.raises(InputError, match="out "):
                check_place(tmp_path / name)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "file", "loop", "socket", "to_folder",
    ]  # fmt: skip


def test_what_can_be_written_is_accepted_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "dangling").symlink_to("missing")
    os.mkfifo(tmp_path / "fifo")
    names = ["file", "link", "dangling", "fifo", "a/b/c", "/dev/null", "/dev/full", "/dev/stdout"]
    for name in names:
        check_place(tmp_path / name)
    assert (tmp_path / "file").read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "dangling", "fifo", "file", "link",
    ]  # fmt: skip


def test_a_file_in_a_folder_that_takes_no_new_files_is_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()

    def refuse(**_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    check_place(tmp_path / "file")
    with pytest.raises(InputError, match="Read-only file system"):
        check_place(tmp_path / "another")


def test_a_result_whose_place_fails_at_the_end_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "out.json").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left") as caught:
        write_result(tmp_path / "out.json", b"the result")
    [kept] = tmp_path.glob("bytelm-*")
    assert kept.read_bytes() == b"the result"
    assert str(caught.value.strerror).endswith(f"the result is in {kept}")
    assert caught.value.filename == str(tmp_path / "out.json")
