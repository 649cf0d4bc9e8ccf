"""Presets and their checks."""

from pathlib import Path

import pytest

from bytelm.base.errors import InputError
from bytelm.config import load_preset, model_config, preset_names
from bytelm.train.options import TrainOptions, resolve, train_options

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
    assert set(preset_names()) == {"tiny", "plain-5m", "small", *PAPER}
    for name, sizes in PAPER.items():
        config = model_config(load_preset(name)["model"], name)
        assert (config.width, config.layers, config.attention_heads) == sizes
        assert config.prediction_heads == 8
        assert config.context == 8192


def test_tiny_holds_humaneval() -> None:
    config, options = resolve("tiny", ())
    assert config.context >= 2560
    assert config.window > 0
    # Attention never looks further back in use than it did in training.
    assert options.block >= config.window


@pytest.mark.parametrize("name", ["tiny", *PAPER])
def test_every_preset_trains(name: str) -> None:
    resolve(name, ())


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("model.width", "write it as"),
        ("width=3", "write it as"),
        ("other.width=3", "write it as"),
        ("model.width=abc", "not TOML"),
        ("model.width=0", "width must be at least 1"),
        ("model.width=2.5", "whole number"),
        ("model.widht=64", "unknown model option 'widht'"),
        ("train.blok=64", "unknown train option 'blok'"),
        ("train.block=0", "whole number above 0"),
        ("train.block=1e9", "whole number above 0"),
        ("train.block=5000", "exceeds the context"),
        ('train.matrix_lr="x"', "must be a number"),
        ('model.head_kind="tree"', "head_kind must be one of"),
        ("model.ngram_rows=0", "go together"),
        ("model.attention_heads=3", "must divide"),
    ],
)
def test_overrides_that_cannot_be(override: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        resolve("tiny", (override,))


def test_overrides_are_applied() -> None:
    config, options = resolve("tiny", ("model.width=256", "train.matrix_lr=0.5", "train.decay=0.1"))
    assert config.width == 256
    assert options.optimizer.matrix_lr == 0.5
    assert options.schedule.decay == 0.1


def test_options_survive_a_round_trip() -> None:
    options = TrainOptions(block=64, seed=3)
    assert train_options(options.to_dict(), "here") == options


def test_presets_that_are_not(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no preset 'huge'; known: paper"):
        load_preset("huge")
    path = tmp_path / "mine.toml"
    cases = {"[model": "not valid TOML", "[train]": "no table", "[x]\n[model]": "unknown table"}
    for content, words in cases.items():
        path.write_text(content)
        with pytest.raises(InputError, match=words):
            load_preset(str(path))
    path.write_text("[model]\nwidth = 8\n")
    with pytest.raises(InputError, match="'layers' is missing"):
        resolve(str(path), ())
