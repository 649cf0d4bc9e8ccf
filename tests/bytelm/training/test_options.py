"""The options of model and training on the command line: help lists them, errors name them."""

import dataclasses
import re
import shlex
from pathlib import Path
from typing import Any, get_args

import pytest
from support import bytelm_command, one_line, python

import eval.__main__
from bytelm.__main__ import COMMANDS
from bytelm.base.errors import InputError
from bytelm.base.options import range_of
from bytelm.commands.cli import main
from bytelm.config import ModelConfig
from bytelm.plan.command import Plan
from bytelm.training.options import PARTS, TrainOptions, read_preset
from bytelm.training.run_options import RunOptions
from bytelm.training.session import check_masks

NAMES = [f"model.{field.name}" for field in dataclasses.fields(ModelConfig)]
NAMES += [f"train.{name}" for name in TrainOptions().to_dict()]


def helped(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What help says, without the box's lines and the breaks in them."""
    assert bytelm_command(*words, "--help") == 0
    return " ".join(re.sub("[│─╭╮╰╯]", " ", capsys.readouterr().out).split())


@pytest.mark.parametrize("words", [(), ("--preset", "small"), ("--preset=paper-30m",)])
def test_help_lists_every_option_with_the_presets_value(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    text = helped(capsys, "train", *words)
    preset = words[-1].rpartition("=")[2] if words else "tiny"
    model, train = read_preset(preset)
    values = {
        **{f"model.{name}": value for name, value in model.to_dict().items()},
        **{f"train.{name}": value for name, value in train.to_dict().items()},
    }
    assert list(values) == NAMES
    for name, value in values.items():
        flag = f"--{name.replace('_', '-')}"
        shown = " ".join(map(str, value)) or "none" if isinstance(value, tuple) else value
        # From this option to its default there is no other default.
        pattern = rf"{re.escape(flag)}[ ,](?:(?!\(default).)+\(default of {preset}: "
        assert re.search(pattern + re.escape(f"{shown})"), text), (flag, shown)


def test_help_tells_the_ranges(capsys: pytest.CaptureFixture[str]) -> None:
    text = helped(capsys, "train")
    for words in (
        "D: the size of the residual stream. Range: at least 1, at most 2^20. "
        "(default of tiny: 128)",
        "--model.head-kind {unembed,linear,block,causal,anticausal}",
        "Range: 1 to 32. (default of tiny: 8)",
        "Range: at least 0 and below 1. (default of tiny: 0.95)",
        "Range: 0 to 2^63 - 1. (default of tiny: 0)",
    ):
        assert words in text


def test_every_number_has_a_range() -> None:
    for kind in (ModelConfig, TrainOptions, *PARTS.values(), RunOptions, Plan):
        for field in dataclasses.fields(kind):
            parts = (field.type, *get_args(field.type))
            if {int, float} & set(parts):
                assert range_of(field.type) is not None, f"{kind.__name__}.{field.name}"


def test_a_preset_of_ones_own_gives_the_defaults(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        "[model]\nwidth = 96\nlayers = 2\nattention_heads = 2\nkv_heads = 2\nhidden = 64\n"
        'context = 512\n[train]\nlr_schedule = "cosine"\n'
    )
    text = helped(capsys, "plan", "--preset", str(path))
    assert ": 96)" in text
    words = ["train", "--data", "x", "--run", str(tmp_path / "run"), "--preset", str(path)]
    assert bytelm_command(*words) == 2
    path.write_text(path.read_text().replace("hidden = 64", "hidden = 0"))
    assert bytelm_command(*words) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("error: x does not exist, so it is not a shard folder")
    assert second == f"error: {path}: model.hidden must be at least 1, not 0"


def complaint(program: str, commands: Any, words: str, capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that is said of wrong words."""
    assert main(program, "", commands, shlex.split(words)) == 2
    output = capsys.readouterr()
    assert output.out == ""
    line = one_line(output.err)
    assert line.startswith("error: ")
    return line


@pytest.mark.medium
@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--model.widht 3", "there is no option --model.widht; did you mean --model.width?"),
        ("--matrix-lr 3", "there is no option --matrix-lr; did you mean --train.matrix-lr?"),
        (
            "--model.width x",
            "--model.width must be a whole number, not 'x'; see python -m bytelm train --help",
        ),
        ("--model.width 9", "--model.attention-heads must divide --model.width"),
        ("--model.kv_heads 0", "--model.kv-heads must be at least 1, not 0"),
        ("--model.ngram-orders 2 x", "--model.ngram-orders must be whole numbers, not 'x'"),
        ("--model.ngram-orders", "--model.ngram-orders and --model.ngram-rows go together"),
        (
            "--model.head-kind tree",
            "must be one of unembed, linear, block, causal, anticausal, not 'tree'",
        ),
        ("--train.batch -1", "--train.batch must be at least 1, not -1"),
        ("--train.matrix-lr nan", "--train.matrix-lr must be a finite number, at least 0, not nan"),
        (
            "--train.lr-schedule steps",
            "--train.lr-schedule must be one of stable, cosine, not 'steps'",
        ),
        ("--train.block 5000", "--train.block 5000 exceeds the context: --model.context is 2560"),
        ("--minutes x", "--minutes must be a number, not 'x'"),
        ("--micro-batch", "--micro-batch needs a value"),
        ("--preset huge --model.widht 3", "there is no preset 'huge'"),
        ("5", "'5' is a word too many"),
        ("--set model.width=64", "--set model.width=64 is now --model.width 64"),
        ("--set=model.kv_heads=2", "--set model.kv_heads=2 is now --model.kv-heads 2"),
        (
            "--set 'model.ngram_orders=[2, 3]'",
            "--set model.ngram_orders=[2, 3] is now --model.ngram-orders 2 3",
        ),
        (
            "--set train.document_masks=true",
            "--set train.document_masks=true is now --train.document-masks",
        ),
        ("--set train.document_masks=false", "is now --train.no-document-masks"),
        ("--set 'train.lr_schedule=\"cosine\"'", "is now --train.lr-schedule cosine"),
        (
            "--set model.widht=3",
            "--set is gone, and there is no option --model.widht; did you mean --model.width?",
        ),
        ("--set", "--set NAME=VALUE is now --NAME VALUE"),
    ],
)
def test_wrong_options_of_training_are_one_line(
    words: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said in complaint("bytelm", COMMANDS, f"train --data x --run y {words}", capsys)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("train --data x", "--run must be given; see python -m bytelm train --help"),
        ("train", "--data and --run must be given"),
        ("trian", "there is no command 'trian'; did you mean train?; known: train, plan"),
        ("", "name a command: train, plan, generate, export"),
        ("plan --gpus 8 --set model.width=64", "--set model.width=64 is now --model.width 64"),
        ("generate --checkpoint x --hedas 2", "there is no option --hedas; did you mean --heads?"),
    ],
)
def test_wrong_words_are_one_line(
    words: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said in complaint("bytelm", COMMANDS, words, capsys)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("training-time --set model.layers=12", "is now --model.layers 12"),
        ("training-time --heads 1 x", "--heads must be whole numbers, not 'x'"),
        ("training-time --steps 0", "--steps must be at least 1, not 0"),
        ("induction --set train.decay=0.1", "--set train.decay=0.1 is now --train.decay 0.1"),
        ("induction --set model.width=32", "--model.width is set by --widths here"),
        ("arithmetic --train.seed 3", "--train.seed is set by --seed and --seeds here"),
    ],
)
def test_eval_says_the_same(words: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert said in complaint("eval", eval.__main__.COMMANDS, words, capsys)


@pytest.mark.medium
@pytest.mark.parametrize(
    "words",
    [
        ["train", "--help"],
        ["plan", "--help"],
        ["train", "--data", "x", "--run", "y", "--model.widht", "3"],
        ["train", "--data", "x", "--run", "y", "--train.batch", "-1"],
    ],
)
def test_help_and_wrong_options_are_quick(words: list[str]) -> None:
    """Torch takes seconds to import."""
    code = (
        "import sys; from bytelm.__main__ import COMMANDS; from bytelm.commands.cli import main\n"
        f"main('bytelm', '', COMMANDS, {words!r})\n"
        "sys.exit('torch' in sys.modules)"
    )
    done = python("-c", code)
    assert done.returncode == 0, done.stderr


def test_masks_that_would_fill_a_gpu_are_refused() -> None:
    check_masks(TrainOptions(document_masks=True, block=512), 4)
    check_masks(TrainOptions(document_masks=False, block=8192), 64)
    with pytest.raises(InputError, match=r"64 x 8192 x 8192 values, .* by micro_batch"):
        check_masks(TrainOptions(document_masks=True, block=8192), 64)
