"""Checkpoints: whole or not there; damage is named and passed over; nothing can run code."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from support import random_model, small_config

from bytelm import checkpoint as module
from bytelm.base.errors import InputError
from bytelm.checkpoint import (
    DamagedError,
    check_checkpoint,
    find_checkpoint,
    list_checkpoints,
    load_checkpoint,
    newest_whole,
    prune_checkpoints,
    save_checkpoint,
    save_weights,
)
from bytelm.files.atomic import sha256_of


def save(run: Path, step: int, seed: int = 0) -> Path:
    model = random_model(small_config(), seed)
    return save_checkpoint(
        run / "checkpoints", step, model.config, model.state_dict(), {}, {"bytes": step}
    )


def test_what_is_saved_comes_back_bit_for_bit(tmp_path: Path) -> None:
    save(tmp_path, 7)
    loaded = load_checkpoint(tmp_path)
    model = random_model(small_config())
    assert loaded.config == model.config
    assert loaded.progress == {"bytes": 7}
    ids = torch.randint(0, 256, (1, 60))
    assert torch.equal(loaded.model(ids).z_BTD, model(ids).z_BTD)
    for (name, old), new in zip(
        model.state_dict().items(), loaded.model.state_dict().values(), strict=True
    ):
        assert torch.equal(old, new), name


def test_infilling_is_kept_and_0_is_not_written(tmp_path: Path) -> None:
    assert "infilling" not in json.loads((save(tmp_path, 1) / "checkpoint.json").read_bytes())
    assert load_checkpoint(tmp_path).infilling == 0
    model = random_model(small_config())
    save_checkpoint(tmp_path / "one", 1, model.config, model.state_dict(), {}, {}, 0.5)
    loaded = load_checkpoint(tmp_path / "one")
    assert loaded.infilling == 0.5
    save_weights(tmp_path / "other", loaded)
    assert load_checkpoint(tmp_path / "other").infilling == 0.5


def test_a_run_folder_means_its_newest_checkpoint(tmp_path: Path) -> None:
    for step in (3, 20, 100):
        newest = save(tmp_path, step)
    assert find_checkpoint(tmp_path) == find_checkpoint(tmp_path / "checkpoints") == newest
    assert find_checkpoint(newest) == newest
    prune_checkpoints(tmp_path / "checkpoints", 2)
    steps = [path.name for path in list_checkpoints(tmp_path / "checkpoints")]
    assert steps == ["step-000000100", "step-000000020"]


@pytest.mark.parametrize(
    "damage", ["cut weights", "flipped byte", "no weights", "cut json", "no optimizer"]
)
def test_a_damaged_one_is_named_and_the_one_before_taken(
    tmp_path: Path, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = save(tmp_path, 1), save(tmp_path, 2)
    weights = bad / "model.safetensors"
    content = weights.read_bytes()
    if damage == "cut weights":
        weights.write_bytes(content[:-100])
    elif damage == "flipped byte":
        weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    elif damage == "no weights":
        weights.unlink()
    elif damage == "cut json":
        (bad / "checkpoint.json").write_text("{")
    else:
        (bad / "optimizer.safetensors").unlink()
    assert find_checkpoint(tmp_path) == good
    assert "passing over a checkpoint" in capsys.readouterr().err
    assert newest_whole(tmp_path / "checkpoints") == (good, check_checkpoint(good))
    assert "passing over a checkpoint" in capsys.readouterr().err
    with pytest.raises(DamagedError, match=r"damaged|missing"):
        load_checkpoint(bad)
    shutil.rmtree(good)
    with pytest.raises(InputError, match="none of them whole"):
        load_checkpoint(tmp_path)
    with pytest.raises(InputError, match="none of them whole"):
        newest_whole(tmp_path / "checkpoints")
    assert newest_whole(tmp_path / "elsewhere") is None


def test_ranks_share_the_work_of_checking(tmp_path: Path) -> None:
    folder = save(tmp_path, 1)
    for name in ("model.safetensors", "optimizer.safetensors"):
        file = folder / name
        content = file.read_bytes()
        file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        found = []
        for rank in range(2):
            try:
                check_checkpoint(folder, rank, 2)
            except DamagedError:
                found.append(rank)
        assert len(found) == 1, "every file is read, and by one rank"
        file.write_bytes(content)


def test_folders_that_are_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="train one with"):
        load_checkpoint(tmp_path)
    with pytest.raises(InputError, match="does not exist"):
        load_checkpoint(tmp_path / "nowhere")
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match=r"does not exist|not a"):
        load_checkpoint(tmp_path / "file")


def reseal(folder: Path) -> None:
    """Make checkpoint.json agree with files that were changed on purpose."""
    path = folder / "checkpoint.json"
    about = json.loads(path.read_bytes())
    for name in about["files"]:
        file = folder / name
        about["files"][name] = {"bytes": file.stat().st_size, "sha256": sha256_of(file)}
    path.write_text(json.dumps(about))


def test_weights_of_another_shape_or_not_finite(tmp_path: Path) -> None:
    folder = save(tmp_path, 1)
    state = random_model(small_config()).state_dict()
    save_file({**state, "embedding.weight": torch.zeros(3, 3)}, folder / "model.safetensors")
    reseal(folder)
    with pytest.raises(DamagedError, match=r"embedding.weight has shape \(3, 3\)"):
        load_checkpoint(folder)
    state["embedding.weight"][5, 5] = float("nan")
    save_file(state, folder / "model.safetensors")
    reseal(folder)
    with pytest.raises(DamagedError, match="not finite"):
        load_checkpoint(folder)


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = save(tmp_path, 1)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "write_json", full)
    with pytest.raises(OSError, match="No space"):
        save(tmp_path, 2)
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == [good.name]


def test_a_damaged_configuration(tmp_path: Path) -> None:
    folder = save(tmp_path, 1)
    path = folder / "checkpoint.json"
    about = json.loads(path.read_bytes())
    for change, words in (
        ({"width": 33}, r"model\.attention_heads must divide model\.width"),
        ({"width": "x"}, r"model\.width must be a whole number"),
        ({"depth": 3}, r"there is no option model\.depth"),
    ):
        path.write_text(json.dumps({**about, "model": {**about["model"], **change}}))
        with pytest.raises(InputError, match=words):
            load_checkpoint(folder)
