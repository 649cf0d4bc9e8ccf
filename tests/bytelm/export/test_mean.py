"""The mean of checkpoints: of every weight, in float32, and of one model only."""

from pathlib import Path

import pytest
import torch
from support import bytelm_command, random_model, save_model, small_config

from bytelm.checkpoint import load_checkpoint
from bytelm.model.model import Model

MODELS: list[Model] = [random_model(small_config(layers=1), seed) for seed in range(3)]


@pytest.fixture
def folders(tmp_path: Path) -> list[str]:
    for number, model in enumerate(MODELS):
        save_model(tmp_path / str(number), model)
    return [str(tmp_path / str(number)) for number in range(3)]


def export(folders: list[str], out: Path, *words: str) -> int:
    first, *others = folders
    mean = ["--mean-with", *others] if others else []
    return bytelm_command(
        "export", "--checkpoint", first, "--format", "bytelm", "--out", str(out), *mean, *words
    )


@pytest.mark.parametrize("shares", [[], [0.5, 0.25, 0.25], [0.0, 1.0, 0.0]])
def test_every_weight_is_the_mean(folders: list[str], tmp_path: Path, shares: list[float]) -> None:
    words = ["--shares", *map(str, shares)] if shares else []
    assert export(folders, tmp_path / "mean", *words) == 0
    found = load_checkpoint(tmp_path / "mean").model.state_dict()
    states = [model.state_dict() for model in MODELS]
    for name, tensor in found.items():
        parts = [state[name].double() for state in states]
        whole = sum(share * part for share, part in zip(shares or [1 / 3] * 3, parts, strict=True))
        torch.testing.assert_close(tensor.double(), whole, rtol=1e-6, atol=1e-7)


def test_the_mean_is_rounded_once(folders: list[str], tmp_path: Path) -> None:
    assert export(folders, tmp_path / "whole") == 0
    assert export(folders, tmp_path / "half", "--dtype", "bfloat16") == 0
    whole, half = (load_checkpoint(tmp_path / name).model for name in ("whole", "half"))
    for name, tensor in half.state_dict().items():
        assert torch.equal(tensor, whole.state_dict()[name].bfloat16().float()), name


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--shares", "0.5", "0.5"], "--shares has 2 numbers for 3 checkpoints"),
        (["--shares", "0.5", "0.5", "0.5"], "--shares must add up to 1, not to 1.5"),
        (["--shares", "2", "-0.5", "-0.5"], "--shares must be 0 to 1, not 2"),
    ],
)
def test_wrong_shares_are_refused(
    folders: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    said: str,
) -> None:
    assert export(folders, tmp_path / "mean", *words) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "mean").exists()


def test_other_models_and_formats_are_refused(
    folders: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_model(tmp_path / "other", random_model(small_config(layers=1, rope_base=5000.0)))
    assert export([folders[0], str(tmp_path / "other")], tmp_path / "mean") == 2
    assert "is another model than" in (said := capsys.readouterr().err)
    assert "model.rope_base is 5000.0, not 10000.0" in said
    assert export(folders, tmp_path / "mean", "--format", "hf") == 2
    assert "--mean-with goes with --format bytelm" in capsys.readouterr().err
    assert export(folders[:1], tmp_path / "mean", "--shares", "1") == 2
    assert "--shares goes with --mean-with" in capsys.readouterr().err
