"""The train command: what it writes, resuming, stopping, and what it refuses."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from safetensors import SafetensorError
from safetensors.torch import save_file
from support import bytelm_command, one_line, python
from torch import Tensor
from training import rows_of, train

from bytelm.checkpoint import list_checkpoints


def test_what_a_run_leaves(run_folder: Path) -> None:
    rows = rows_of(run_folder)
    assert [row["step"] for row in rows] == list(range(1, len(rows) + 1))
    assert rows[-1]["bytes"] >= 40_000 > rows[-2]["bytes"]
    assert rows[0]["bpb"] == pytest.approx(8.04, abs=0.3)
    assert sum(row["bpb"] for row in rows[-10:]) / 10 < 4
    config = json.loads((run_folder / "config.json").read_text())
    heads = config["model"]["prediction_heads"]
    assert all(len(row["heads_bpb"]) == heads and row["loss"] == row["bpb"] for row in rows)
    [looked] = [row for row in rows if "held_out_bpb" in row]
    assert looked["step"] == 40
    assert len(looked["held_out_bpb"]) == heads
    assert looked["forecast"][str(heads)] >= looked["forecast"]["1"] == 1.0
    summary = json.loads((run_folder / "summary.json").read_text())
    assert summary["steps"] == len(rows)
    assert summary["held_out_bpb"][0] < 5
    assert summary["checkpoint"] == f"checkpoints/step-{len(rows):09d}"
    assert config["model"]["width"] == 64
    assert config["machine"]["cores"] >= 1


@pytest.mark.medium
def test_a_second_run_does_not_train_again(
    run_folder: Path, shards: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (run_folder / "metrics.jsonl").read_bytes()
    assert bytelm_command(*train(shards, run_folder, "--resume")) == 0
    said = capsys.readouterr()
    assert "trained already" in said.err
    assert json.loads(said.out)["trained_now"] is False
    assert (run_folder / "metrics.jsonl").read_bytes() == before


@pytest.mark.medium
def test_a_lost_summary_is_made_again(
    run_folder: Path, shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    shutil.copytree(run_folder, run)
    before = json.loads((run / "summary.json").read_text())
    (run / "summary.json").unlink()
    assert bytelm_command(*train(shards, run, "--resume")) == 0
    after = json.loads((run / "summary.json").read_text())
    for key in ("steps", "bytes", "held_out_bpb", "checkpoint_sha256"):
        assert after[key] == before[key]


@pytest.mark.medium
def test_a_run_that_was_stopped_after_its_last_step_is_scored(
    run_folder: Path, shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    shutil.copytree(run_folder, run)
    whole = json.loads((run / "summary.json").read_text())
    stopped = {**whole, "ended": "SIGTERM", "held_out_bpb": None, "forecast": None}
    (run / "summary.json").write_text(json.dumps(stopped))
    for _ in range(2):
        assert bytelm_command(*train(shards, run, "--resume")) == 0
        printed = json.loads(capsys.readouterr().out)
        stored = json.loads((run / "summary.json").read_text())
        for key in ("ended", "steps", "held_out_bpb", "forecast"):
            assert printed[key] == stored[key] == whole[key]


def test_a_run_folder_is_not_overwritten(
    run_folder: Path, shards: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bytelm_command(*train(shards, run_folder)) == 2
    assert "go on with --resume" in capsys.readouterr().err


def test_resuming_with_other_options_is_refused(
    run_folder: Path, shards: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = train(shards, run_folder, "--resume", "--train.matrix-lr", "0.5")
    assert bytelm_command(*arguments) == 2
    assert "train.matrix_lr = 0.006, not 0.5" in capsys.readouterr().err


@pytest.mark.slow
def test_a_damaged_newest_checkpoint_is_set_aside(
    run_folder: Path, shards: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(run_folder, run)
    [newest] = list_checkpoints(run / "checkpoints")
    bad = newest.with_name("step-000000999")
    shutil.copytree(newest, bad)
    (bad / "model.safetensors").write_bytes(b"cut")
    done = python("-m", "bytelm", *train(shards, run, "--resume", "--bytes", "40960"))
    assert done.returncode == 0, done.stderr
    assert "passing over a checkpoint" in done.stderr
    assert (run / "checkpoints" / "damaged-step-000000999").is_dir()


@pytest.mark.slow
def test_divergence_saves_nothing_and_says_so(shards: Path, tmp_path: Path) -> None:
    arguments = train(shards, tmp_path / "run", "--train.embedding-lr", "1e38")
    # Learning rates of their range do not overflow within seconds.
    code = (
        "import sys; from bytelm.base.options import Range; Range.__contains__ = lambda *_: True; "
        "from bytelm.__main__ import COMMANDS; from bytelm.commands.cli import main; "
        "sys.exit(main('bytelm', '', COMMANDS, sys.argv[1:]))"
    )
    done = python("-c", code, *arguments, "--train.table-lr", "1e38")
    assert done.returncode == 2
    assert "diverged" in done.stderr
    assert "Traceback" not in done.stderr
    assert list_checkpoints(tmp_path / "run" / "checkpoints") == []


@pytest.mark.medium
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--data", "nowhere"], "does not exist, so it is not a shard folder"),
        (["--preset", "huge"], "there is no preset"),
        (["--minutes", "0"], "--minutes must be above 0"),
        (["--bytes", "-5"], "--bytes must be above 0"),
        (["--model.width", "9"], "--model.attention-heads must divide --model.width"),
        (["--device", "cuda"], "no CUDA device"),
        (["--train.block", "2000", "--data", "SMALL"], "too little for one block"),
    ],
)
def test_wrong_input_is_one_line_and_leaves_nothing(
    shards: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    words: str,
) -> None:
    from bytelm.shards import ShardWriter

    with ShardWriter(tmp_path / "small") as writer:
        writer.add("train", "a", b"x" * 50)
        writer.add("held_out", "b", b"x" * 50)
        writer.finish({})
    arguments = [str(tmp_path / "small") if part == "SMALL" else part for part in arguments]
    run = tmp_path / "run"
    base = ["train", "--data", str(shards), "--run", str(run), "--bytes", "1000", "--no-compile"]
    assert bytelm_command(*base, *arguments) == 2
    assert words in one_line(capsys.readouterr().err)
    assert not run.exists()


@pytest.mark.medium
def test_weights_that_are_not_finite_are_not_saved(
    shards: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from bytelm.training.optim.optimizer import Optimizers

    step, calls = Optimizers.step, []

    def spoil(self: Optimizers, scale: float, norm: float) -> None:
        step(self, scale, norm)
        calls.append(scale)
        if len(calls) == 9:
            self.clipped[0].data[0, 0] = float("nan")

    monkeypatch.setattr(Optimizers, "step", spoil)
    run = tmp_path / "run"
    assert bytelm_command(*train(shards, run, "--save-steps", "3")) == 2
    assert "step 9: layers.0" in capsys.readouterr().err
    kept = [path.name for path in list_checkpoints(run / "checkpoints")]
    assert kept == ["step-000000006", "step-000000003"]


@pytest.mark.medium
def test_too_little_space_is_said_before_training(
    run_folder: Path,
    shards: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=1_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    assert bytelm_command(*train(shards, tmp_path / "new" / "run")) == 1
    said = one_line(capsys.readouterr().err)
    # Two that are kept, and one that is written beside them.
    [checkpoint] = list_checkpoints(run_folder / "checkpoints")
    needed = 3e-6 * sum(path.stat().st_size for path in checkpoint.glob("*.safetensors"))
    assert f"no space for checkpoints: they need {needed:.0f} MB, 1 MB are free" in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.medium
def test_a_full_disk_is_one_line(
    shards: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import bytelm.checkpoint

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "model.safetensors")

    monkeypatch.setattr(bytelm.checkpoint, "save_file", full)
    run = tmp_path / "run"
    assert bytelm_command(*train(shards, run, "--bytes", "2000")) == 1
    assert "error: model.safetensors: No space left on device" in capsys.readouterr().err
    assert list((run / "checkpoints").iterdir()) == []


@pytest.mark.medium
def test_a_disk_that_fills_up_keeps_the_last_checkpoint(
    shards: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import bytelm.checkpoint

    saved: set[str] = set()

    def fills_up(tensors: dict[str, Tensor], path: Path, *more: Any) -> None:
        """There is room for one file of each name, and for the next one's weights."""
        if path.name == "optimizer.safetensors" and path.name in saved:
            raise SafetensorError("I/O error: No space left on device (os error 28)")
        saved.add(path.name)
        save_file(tensors, path, *more)

    monkeypatch.setattr(bytelm.checkpoint, "save_file", fills_up)
    run = tmp_path / "run"
    assert bytelm_command(*train(shards, run, "--save-steps", "5")) == 1
    said = capsys.readouterr().err
    assert "could not write optimizer.safetensors: I/O error: No space left" in said
    assert "the last whole checkpoint is" in said
    assert [path.name for path in (run / "checkpoints").iterdir()] == ["step-000000005"]
    monkeypatch.setattr(bytelm.checkpoint, "save_file", save_file)
    assert bytelm_command(*train(shards, run, "--resume", "--bytes", "8000")) == 0
    assert [row["step"] for row in rows_of(run)] == list(range(1, 17))
