"""Prompts from shards, files and JSON lines, and how much a text repeats."""

from dataclasses import replace
from pathlib import Path

import pytest
from support import eval_command

from bytelm.toolkit import InputError, read_prompts
from eval.measure.text import distinct_windows, suite_prompts
from eval.suites.problems import load_suite
from eval.suites.stops import OWN


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ([], "give one of --data, --text and --suite"),
        (["--text", "x", "--data", "y"], "give one of --data, --text and --suite"),
        (["--suite", "micro", "--data", "y"], "give one of --data, --text and --suite"),
        (["--suite", "nothing"], "nothing"),
        (["--text", "nowhere"], "--text nowhere: No such file"),
    ],
)
def test_prompts_come_from_one_place(
    run_folder: Path, capsys: pytest.CaptureFixture[str], more: list[str], words: str
) -> None:
    status, _, err = eval_command(capsys, "speed", "--checkpoint", str(run_folder), *more)
    assert status == 2
    assert words in err


def test_a_suite_whose_problems_have_stops_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    suite = replace(load_suite("micro"), stops=OWN)
    monkeypatch.setattr("eval.measure.text.load_suite", lambda name: suite)
    with pytest.raises(InputError, match="suite='micro': each of its problems has stops"):
        suite_prompts("micro", 3)


def test_distinct_windows() -> None:
    assert distinct_windows([b"ab" * 100]) == pytest.approx(2 / 169)
    assert distinct_windows([bytes(range(200))]) == 1.0
    assert distinct_windows([b"short"]) == 1.0


@pytest.mark.parametrize("content", ["", "{}", "not json", '{"prompt": 3}'])
def test_prompts_that_cannot_be_read(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    path = tmp_path / "broken.jsonl"
    path.write_text(content)
    status, _, err = eval_command(
        capsys, "divergence", "--checkpoint", str(run_folder), "--prompts", str(path)
    )
    assert status == 2
    assert "broken.jsonl" in err


def test_prompts_of_both_kinds(tmp_path: Path) -> None:
    path = tmp_path / "prompts.jsonl"
    path.write_text('{"prompt": "é"}\n\n{"prompt_base64": "/wA="}\n')
    assert read_prompts(path, ids=False).texts == ["é".encode(), b"\xff\x00"]
