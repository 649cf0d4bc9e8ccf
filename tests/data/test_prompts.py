"""Prompts cut from shards, as generate reads them."""

import json
from pathlib import Path

import pytest
from support import data_command

from bytelm.decode.prompts import read_prompts
from bytelm.shards import Split


def test_prompts_are_cuts_of_the_split(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "prompts.jsonl"
    arguments = ["--data", str(shards), "--out", str(out), "--count", "9", "--bytes", "70"]
    assert data_command("prompts", *arguments, "--split", "train") == 0
    assert json.loads(capsys.readouterr().out)["prompts"] == 9
    found = read_prompts(out)
    assert found.ids == list(range(9))
    assert found.texts == Split(shards, "train").cuts(9, 70)


def test_bytes_that_are_no_utf8_come_through(
    monkeypatch: pytest.MonkeyPatch, shards: Path, tmp_path: Path
) -> None:
    pieces = [b"\xff\x00a", "naïve".encode(), "ï".encode()[:1]]
    monkeypatch.setattr(Split, "cuts", lambda *_: pieces)
    out = tmp_path / "prompts.jsonl"
    assert data_command("prompts", "--data", str(shards), "--out", str(out)) == 0
    assert read_prompts(out).texts == pieces


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--count", "0"], "--count must be at least 1"),
        (["--bytes", "99999999"], "less than one prompt"),
        (["--bytes", "1" + "0" * 17], "less than one prompt"),
        (["--count", "1000000", "--bytes", "9"], "too few for"),
        (["--count", "1" + "0" * 30], "--count must be at most"),
    ],
)
def test_prompts_that_cannot_be(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], words: str
) -> None:
    out = tmp_path / "p.jsonl"
    assert data_command("prompts", "--data", str(shards), "--out", str(out), *more) == 2
    assert words in capsys.readouterr().err
    assert not out.exists()


def test_prompts_that_do_not_fit_into_memory(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    size = Split(shards, "train").bytes // 2
    out, count = tmp_path / "p.jsonl", size
    arguments = ["--data", str(shards), "--out", str(out), "--split", "train"]
    assert data_command("prompts", *arguments, "--count", str(count), "--bytes", str(size)) == 2
    assert "make more than 1073741824 bytes" in capsys.readouterr().err
    assert not out.exists()
