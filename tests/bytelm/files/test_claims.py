"""A claim of a folder: one process at a time, and no trace of a claim that wrote nothing."""

import os
from pathlib import Path

import pytest

from bytelm.base.errors import InputError
from bytelm.files import claims as module
from bytelm.files.claims import claimed


def test_one_at_a_time(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with claimed(run), pytest.raises(InputError, match=f"another process is writing to {run}"):
        claimed(run).__enter__()
    with claimed(run):
        (run / "config.json").touch()
    with claimed(run):
        assert (run / "config.json").exists()


@pytest.mark.parametrize("error", [None, KeyboardInterrupt])
def test_folders_that_stay_empty_go(tmp_path: Path, error: type[BaseException] | None) -> None:
    def claim() -> None:
        with claimed(tmp_path / "new" / "run"):
            assert (tmp_path / "new" / "run").is_dir()
            if error:
                raise error

    if error:
        with pytest.raises(error):
            claim()
    else:
        claim()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_was_there_stays(tmp_path: Path) -> None:
    with claimed(tmp_path / "run"):
        (tmp_path / "run" / "file").touch()
    (tmp_path / "run" / "file").unlink()
    with claimed(tmp_path / "run"):
        pass
    assert (tmp_path / "run").is_dir()


@pytest.mark.parametrize("name", ["file", "file/run", "file/a/b"])
def test_a_file_in_the_way_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match=f"^{tmp_path / 'file'} is a file, not a folder"):
        claimed(tmp_path / name).__enter__()
    assert (tmp_path / "file").read_text() == "x"


@pytest.mark.parametrize("moment", ["before it is opened", "before it is locked"])
def test_a_folder_that_another_claim_removes_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """Else the lock would be that of a folder that is gone, and two would write."""
    run = tmp_path / "run"
    name, where = ("open", os) if moment == "before it is opened" else ("_lock", module)
    original = getattr(where, name)
    calls: list[object] = []

    def removed(*arguments: object) -> object:
        if not calls:
            run.rmdir()
        calls.append(arguments)
        return original(*arguments)

    monkeypatch.setattr(where, name, removed)
    with claimed(run):
        monkeypatch.undo()
        with pytest.raises(InputError, match="another process"):
            claimed(run).__enter__()
    assert len(calls) == 2
