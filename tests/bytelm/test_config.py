"""Presets and their checks."""

import re
from pathlib import Path

import pytest

from bytelm.base.errors import InputError
from bytelm.config import PRESETS, load_preset, model_config, preset_names
from bytelm.training.options import TrainOptions, fit_together, read_preset, resolve, train_options

# Tables S13 and S14: width, layers, attention heads.
PAPER = {
    "paper-1m": (128, 5, 4),
    "paper-3m": (256, 4, 8),
    "paper-10m": (384, 6, 8),
    "paper-30m": (512, 10, 8),
    "paper-100m": (768, 14, 12),
    "paper-300m": (1024, 25, 16),
    "paper-1b": (1536, 36, 24),
    "paper-1.3b": (2048, 24, 16),
    "paper-3b": (2560, 36, 20),
    "paper-7b": (4096, 32, 32),
}


def test_the_papers_sizes_are_there() -> None:
    assert set(PAPER) <= set(preset_names())
    for name, sizes in PAPER.items():
        config = model_config(load_preset(name)["model"], name)
        assert (config.width, config.layers, config.attention_heads) == sizes
        assert config.prediction_heads == 8
        assert config.context == 8192


def test_tiny_holds_humaneval() -> None:
    config, options = read_preset("tiny")
    assert config.context >= 2560
    assert config.window > 0
    # Attention never looks further back in use than it did in training.
    assert options.block >= config.window


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_trains(name: str) -> None:
    read_preset(name)


@pytest.mark.parametrize(
    ("model", "train", "words"),
    [
        ({"width": "abc"}, {}, "model.width must be a whole number, not 'abc'"),
        ({"width": 0}, {}, "model.width must be at least 1, not 0"),
        ({"width": 2.5}, {}, "model.width must be a whole number, not 2.5"),
        ({"widht": 64}, {}, "there is no option model.widht; did you mean model.width?"),
        ({}, {"blok": 64}, "there is no option train.blok; did you mean train.block?"),
        ({}, {"block": 0}, "train.block must be at least 1, not 0"),
        ({}, {"block": 1e9}, "train.block must be a whole number, not 1000000000.0"),
        ({}, {"block": 5000}, "train.block 5000 exceeds the context: model.context is 2560"),
        ({}, {"matrix_lr": "x"}, "train.matrix_lr must be a number, not 'x'"),
        ({}, {"lr_schedule": 1}, "train.lr_schedule must be one of stable, cosine, not 1"),
        ({}, {"lr_schedule": "steps"}, "train.lr_schedule must be one of stable, cosine"),
        ({}, {"document_masks": 1}, "train.document_masks must be true or false, not 1"),
        ({}, {"beta1": 1.0}, "train.beta1 must be at least 0 and below 1, not 1.0"),
        ({}, {"decay": 1.5}, "train.decay must be 0 to 1, not 1.5"),
        ({}, {"patience": 0}, "train.patience must be at least 1, not 0"),
        ({}, {"seed": -1}, "train.seed must be 0 to 2^63 - 1, not -1"),
        ({"head_kind": "tree"}, {}, "model.head_kind must be one of unembed, linear"),
        ({"ngram_orders": [1]}, {}, "model.ngram_orders must be 2 to 16, not 1"),
        ({"ngram_rows": 0}, {}, "model.ngram_orders and model.ngram_rows go together"),
        ({"attention_heads": 3}, {}, "model.attention_heads must divide model.width"),
        ({"short_window": 600}, {}, "model.short_window must not exceed model.window"),
        ({"prediction_heads": 33}, {}, "model.prediction_heads must be 1 to 32, not 33"),
    ],
)
def test_changes_that_cannot_be(
    model: dict[str, object], train: dict[str, object], words: str
) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(words)}"):
        fit_together(*resolve("tiny", model, train))


def test_changes_are_applied() -> None:
    model = {"width": 256, "ngram_orders": [2]}
    config, options = resolve("tiny", model, {"matrix_lr": 0.5, "decay": 0.1})
    assert (config.width, config.ngram_orders, config.layers) == (256, (2,), 3)
    assert options.optimizer.matrix_lr == 0.5
    assert options.schedule.decay == 0.1
    assert options.block == 512


def test_options_survive_a_round_trip() -> None:
    options = TrainOptions(block=64, seed=3)
    assert train_options(options.to_dict()) == options


def test_presets_that_are_not(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no preset 'huge'; known: paper"):
        load_preset("huge")
    path = tmp_path / "mine.toml"
    cases = {"[model": "not valid TOML", "[train]": "no table", "[x]\n[model]": "unknown table"}
    for content, words in cases.items():
        path.write_text(content)
        with pytest.raises(InputError, match=words):
            load_preset(str(path))
    tiny = (PRESETS / "tiny.toml").read_text()
    cases = {
        "[model]\nwidth = 8\n": "the option model.layers is missing",
        tiny.replace("width", "widht"): "there is no option model.widht; did you mean model.width?",
        tiny.replace("width = 128", "width = 0"): "model.width must be at least 1, not 0",
        tiny.replace("batch = 4", "batch = -1"): "train.batch must be at least 1, not -1",
        tiny.replace("block = 512", "block = 5000"): "train.block 5000 exceeds the context",
    }
    for content, words in cases.items():
        path.write_text(content)
        with pytest.raises(InputError, match=f"^{re.escape(str(path))}: {re.escape(words)}"):
            read_preset(str(path))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("model = 5\n", r"model must be a table: \[model\]"),
        ("model = [1]\n", r"model must be a table: \[model\]"),
        ("[[model]]\nwidth = 8\n", r"model must be a table: \[model\]"),
        ('train = "x"\n[model]\n', r"train must be a table: \[train\]"),
        (f"x = {'[' * 100_000}", "not valid TOML"),
    ],
)
def test_presets_of_the_wrong_form(tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(content)
    with pytest.raises(InputError, match=f"^{re.escape(str(path))}: {words}"):
        read_preset(str(path))
