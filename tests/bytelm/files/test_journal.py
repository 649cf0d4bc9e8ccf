"""A journal keeps finished rows over stops and kills, and never mixes two works."""

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bytelm.base.errors import InputError
from bytelm.files import journal as module
from bytelm.files.journal import Journal

ABOUT = {"checkpoint": "a", "max_bytes": 3}


def test_rows_outlive_a_stop_and_go_when_the_work_is_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "o*.jsonl"
    with contextlib.suppress(KeyboardInterrupt), Journal(out, ABOUT) as journal:
        journal.append({"index": 0})
        journal.append({"index": 2})
        raise KeyboardInterrupt
    assert "2 finished rows are in" in capsys.readouterr().err
    with Journal(out, ABOUT) as journal:
        assert journal.rows == [{"index": 0}, {"index": 2}]
        journal.append({"index": 1})
        assert len(journal.path.read_text().splitlines()) == 4
        journal.finish()
    assert list(tmp_path.iterdir()) == []


def test_a_stop_before_the_first_row_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), Journal(tmp_path / "out", ABOUT):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


@pytest.mark.medium
@given(cut=st.integers(0, 200))
def test_a_cut_journal_gives_its_whole_rows(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    folder = tmp_path_factory.mktemp("journal")
    out = folder / "out"
    rows = [{"index": index, "text": "é" * index} for index in range(5)]
    with Journal(out, ABOUT) as journal:
        for row in rows:
            journal.append(row)
    content = journal.path.read_bytes()[:cut]
    journal.path.write_bytes(content)
    with Journal(out, ABOUT) as journal:
        found = list(journal.rows)
        assert found == rows[: max(0, content.count(b"\n") - 1)]
        journal.append({"index": 9})
    with Journal(out, ABOUT) as journal:
        assert journal.rows == [*found, {"index": 9}]


def test_other_work_begins_anew_and_the_rows_are_kept_aside(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    with Journal(out, ABOUT) as journal:
        journal.append({"index": 0})
    with Journal(out, {**ABOUT, "max_bytes": 4}) as journal:
        assert journal.rows == []
    assert "out.partial has another max_bytes, and is kept as" in capsys.readouterr().err
    assert (tmp_path / "out.old-partial").read_text().splitlines()[1] == '{"index": 0}'
    assert json.loads(journal.path.read_text())["work"]["max_bytes"] == 4


@pytest.mark.parametrize("content", [b"[1]\n", b"{\n", b'{"work": 1}\n', b"\xff\n", b"\n"])
def test_a_damaged_journal_is_kept_aside(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "out.partial").write_bytes(content)
    with Journal(tmp_path / "out", ABOUT) as journal:
        assert journal.rows == []
        journal.append({"index": 0})
    assert (tmp_path / "out.old-partial").read_bytes() == content
    with Journal(tmp_path / "out", ABOUT) as journal:
        assert journal.rows == [{"index": 0}]


def test_two_processes_do_not_write_one_journal(tmp_path: Path) -> None:
    with Journal(tmp_path / "out", ABOUT) as first:
        first.append({"index": 0})
        with pytest.raises(InputError, match="another process"), Journal(tmp_path / "out", ABOUT):
            pytest.fail("the second work began")
    assert first.path.read_text().splitlines()[1] == '{"index": 0}'


def test_a_full_disk_loses_the_journal_and_not_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with Journal(tmp_path / "out", ABOUT) as journal:
        journal.append({"index": 0})

        def fail(*_: object) -> None:
            raise OSError(28, "No space left on device", str(journal.path))

        monkeypatch.setattr(module, "append_line", fail)
        journal.append({"index": 1})
        journal.append({"index": 2})
    assert capsys.readouterr().err.count("No space left on device") == 1
    assert [row["index"] for row in journal.rows] == [0, 1, 2]


def test_a_device_has_no_journal(tmp_path: Path) -> None:
    for out in (Path("/dev/null"), None):
        with Journal(out, ABOUT) as journal:
            journal.append({"index": 0})
            journal.finish()
        assert journal.rows == [{"index": 0}]
