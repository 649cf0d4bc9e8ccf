"""Training with infilling: a model learns where a middle ends, and its checkpoint says so."""

import random
from pathlib import Path

import pytest
from support import bytelm_command
from training import assert_same, newest, rows_of, start, train

import bytelm
from bytelm.checkpoint import load_checkpoint, read_about
from bytelm.shards import ShardWriter


def letters(first: int, count: int) -> bytes:
    """So many letters of the alphabet, which begins again after z."""
    return bytes(97 + (first + at) % 26 for at in range(count))


@pytest.fixture(scope="module")
def alphabet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shards of pieces of the alphabet."""
    draw, folder = random.Random(0), tmp_path_factory.mktemp("alphabet") / "shards"
    with ShardWriter(folder) as writer:
        for number in range(400):
            split = "train" if number else "held_out"
            writer.add(split, str(number), letters(draw.randrange(26), draw.randrange(6, 20)))
        writer.finish({})
    return folder


@pytest.mark.medium
def test_a_model_learns_from_the_suffix_where_the_middle_ends(
    alphabet: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    words = ["--bytes", "150000", "--train.infilling", "0.9", "--model.context", "128"]
    words += ["--model.prediction-heads", "4", "--model.window", "0", "--model.ngram-rows", "64"]
    assert bytelm_command(*train(alphabet, run, *words)) == 0
    model = bytelm.load(run)
    assert model.infilling == 0.9
    right = 0
    for first in range(26):
        for count in range(9):
            prefix, suffix = letters(first, 4), letters(first + 4 + count, 5)
            middle = model.infill(prefix, suffix, max_bytes=32)
            assert middle == model.infill(prefix, suffix, max_bytes=32, heads=1)
            right += middle == letters(first + 4, count)
    # The prefix does not say how long the middle is.
    assert right > 26 * 9 / 2


@pytest.mark.medium
def test_the_rate_is_in_the_checkpoint_and_goes_on_from_it(
    run_folder: Path, shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain, first, second = (tmp_path / name for name in ("plain", "first", "second"))
    short = ["--bytes", "5000"]
    assert bytelm_command(*train(shards, plain, *short, "--train.infilling", "0")) == 0
    assert "infilling" not in read_about(newest(plain))
    assert bytelm_command(*train(shards, first, *short, "--train.infilling", "0.5")) == 0
    assert load_checkpoint(first).infilling == 0.5
    assert rows_of(first) != rows_of(plain)
    # What a model has learnt it keeps, above all where drafts alone are trained.
    more = ["--init", str(first), "--drafts-only"]
    assert bytelm_command(*train(shards, second, *short, *more)) == 0
    assert load_checkpoint(second).infilling == 0.5
    capsys.readouterr()
    words = train(shards, first, *short, "--train.infilling", "0.25", "--resume")
    assert bytelm_command(*words) == 2
    assert "was begun with train.infilling = 0.5, not 0.25" in capsys.readouterr().err


@pytest.mark.slow
def test_a_killed_run_goes_on_with_the_same_gaps(few_shards: Path, tmp_path: Path) -> None:
    words = ("--bytes", "20480", "--save-steps", "1", "--train.infilling", "0.7")
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    first = start(few_shards, whole, *words)
    assert first.end() == 0, first.said
    running = start(few_shards, killed, *words)
    running.wait_for_rows(15)
    running.kill()
    last = start(few_shards, killed, *words)
    assert last.end() == 0, last.said
    assert_same(killed, whole)
    assert "resuming at step" in last.said
