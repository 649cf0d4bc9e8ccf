"""A run folder is claimed before it is looked at, and its config.json is checked."""

import contextlib
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support import TRAIN, bytelm_command, one_line
from training import newest, start, train

from bytelm.files.claims import claimed
from bytelm.training import run_folder as module


def test_a_second_run_changes_nothing_in_the_folder_of_the_first(
    few_shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first has no checkpoint yet. Its config.json used to be replaced before the refusal."""
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.json").write_text('{"mine": 1}')
    (run / "metrics.jsonl").write_text('{"step": 1}\n')
    (run / ".metrics.jsonl.aside").write_text("half")
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    with claimed(run):
        for more in ((), ("--resume",), ("--train.seed", "5")):
            assert bytelm_command(*train(few_shards, run, "--bytes", "2048", *more)) == 2
            said = one_line(capsys.readouterr().err)
            assert f"another process is writing to {run}" in said
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before


def test_what_the_first_run_left_meanwhile_is_seen(
    run_folder: Path,
    shards: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It ends while the second one starts: that one used to train anew in its folder."""
    run = tmp_path / "run"

    @contextlib.contextmanager
    def ended_before(folder: Path) -> Iterator[None]:
        shutil.copytree(run_folder, run)
        with claimed(folder):
            yield

    monkeypatch.setattr(module, "claimed", ended_before)
    assert bytelm_command(*train(shards, run)) == 2
    assert "already holds a run" in one_line(capsys.readouterr().err)
    assert (run / "metrics.jsonl").read_bytes() == (run_folder / "metrics.jsonl").read_bytes()


@pytest.mark.slow
def test_under_torchrun_the_first_rank_claims(few_shards: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    with claimed(run):
        second = start(few_shards, run, "--bytes", "2048", ranks=2)
        assert second.end() != 0
        assert f"another process is writing to {run}" in second.said
        # Torchrun adds a traceback of its own.
        said = [line for line in second.said.splitlines() if line.startswith("error")]
        assert len(said) == 1
    assert not run.exists()
    both = start(few_shards, run, "--bytes", "2048", ranks=2)
    assert both.end() == 0, both.said


Change = Callable[[dict[str, Any]], object]


def setting(key: str, value: object) -> Change:
    return lambda values: {**values, key: value}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda _: [1], "a JSON object is needed"),
        (lambda _: None, "a JSON object is needed"),
        (lambda _: "text", "a JSON object is needed"),
        (setting("model", 5), "'model' is not"),
        (setting("train", None), "'train' is not"),
        (setting("data", [1]), "'data' is not"),
        (setting("start", "x"), "'start' is not"),
        (setting("dtype", "float8"), "'dtype' is not"),
        (setting("dtype", ["float32"]), "'dtype' is not"),
    ],
)
def test_a_config_of_the_wrong_form_is_damaged(
    run_folder: Path,
    shards: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    change: Change,
    words: str,
) -> None:
    run = shutil.copytree(run_folder, tmp_path / "run")
    path = run / "config.json"
    path.write_text(json.dumps(change(json.loads(path.read_bytes()))))
    assert (
        bytelm_command("train", "--data", str(shards), "--run", str(run), *TRAIN, "--resume") == 2
    )
    said = one_line(capsys.readouterr().err)
    assert said.startswith(f"error: {path} is damaged: {words}")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (setting("elapsed_s", None), "'elapsed_s'"),
        (setting("elapsed_s", -1), "'elapsed_s'"),
        (setting("elapsed_s", True), "'elapsed_s'"),
        (setting("optimizer_numbers", []), "'optimizer_numbers'"),
        (setting("guard", 5), "'guard'"),
        (setting("guard", {"norms": ["x"]}), "'guard.norms[0]'"),
        (setting("pending", [1]), "'pending'"),
        (setting("pending", {"step": "x"}), "'pending.step'"),
        (lambda _: {}, "'elapsed_s' is missing"),
    ],
)
def test_progress_of_the_wrong_form_is_damaged(
    run_folder: Path,
    shards: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    change: Change,
    words: str,
) -> None:
    run = shutil.copytree(run_folder, tmp_path / "run")
    path = newest(run) / "checkpoint.json"
    about = json.loads(path.read_bytes())
    path.write_text(json.dumps({**about, "progress": change(about["progress"])}))
    assert (
        bytelm_command("train", "--data", str(shards), "--run", str(run), *TRAIN, "--resume") == 2
    )
    said = one_line(capsys.readouterr().err)
    assert said.startswith(f"error: {path} is damaged: in 'progress', {words}")


@pytest.mark.medium
@pytest.mark.parametrize("content", [b"[1]", b'{"steps": 20, "run": 5}'])
def test_a_damaged_summary_is_said_and_made_again(
    run_folder: Path,
    shards: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    content: bytes,
) -> None:
    run = shutil.copytree(run_folder, tmp_path / "run")
    before = json.loads((run / "summary.json").read_bytes())
    (run / "summary.json").write_bytes(content)
    assert (
        bytelm_command("train", "--data", str(shards), "--run", str(run), *TRAIN, "--resume") == 0
    )
    assert f"{run / 'summary.json'} is damaged: " in capsys.readouterr().err
    after = json.loads((run / "summary.json").read_bytes())
    assert after["held_out_bpb"] == before["held_out_bpb"]


def test_a_checkpoint_of_a_newer_format_is_refused_and_stays(
    run_folder: Path, shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It used to be renamed to damaged-..., and training went on from an older one, status 0."""
    run = shutil.copytree(run_folder, tmp_path / "run")
    newer = shutil.copytree(newest(run), run / "checkpoints" / "step-000000999")
    about = json.loads((newer / "checkpoint.json").read_bytes())
    # Its keys may be others too.
    newer_about = {"format": "bytelm-checkpoint-2", "weights": about["files"]}
    (newer / "checkpoint.json").write_text(json.dumps(newer_about))
    before = sorted(path for path in run.rglob("*"))
    assert (
        bytelm_command("train", "--data", str(shards), "--run", str(run), *TRAIN, "--resume") == 2
    )
    said = one_line(capsys.readouterr().err)
    assert "step-000000999" in said
    assert "'bytelm-checkpoint-2', and this version of bytelm reads 'bytelm-checkpoint-1'" in said
    assert sorted(path for path in run.rglob("*")) == before
