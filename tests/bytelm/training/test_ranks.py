"""Training on two ranks: the losses of one, checkpoints that change hands, and a rank that dies."""

import os
import signal
from pathlib import Path

import pytest
from training import newest, rows_of, start

from bytelm.checkpoint import load_checkpoint
from bytelm.decode.generate import generate
from bytelm.decode.options import DecodeOptions
from bytelm.export.command import Export

pytestmark = pytest.mark.slow
FIFTY = str(50 * 512)
# A constant learning rate, so that runs of different budgets compare.
KIND = ("--model.head-kind", "block", "--model.layers", "6",
        "--model.prediction-heads", "3", "--train.warmup", "0.0",
        "--train.decay", "0.0")  # fmt: skip


@pytest.fixture(scope="module")
def alone(few_shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fifty steps of one process."""
    run = tmp_path_factory.mktemp("alone") / "run"
    assert start(few_shards, run, *KIND, "--bytes", FIFTY).end() == 0
    return run


def worst(run: Path, other: Path) -> float:
    rows, others = rows_of(run), rows_of(other)
    assert [row["step"] for row in rows] == [row["step"] for row in others] == list(range(1, 51))
    return max(
        abs(a - b)
        for row, same in zip(rows, others, strict=True)
        for a, b in zip(row["heads_bpb"], same["heads_bpb"], strict=True)
    )


@pytest.mark.parametrize("order", [(2, 1), (1, 2)])
def test_a_run_that_changes_hands_has_the_losses_of_one_process(
    order: tuple[int, int], alone: Path, few_shards: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    first = start(few_shards, run, *KIND, "--bytes", str(25 * 512), ranks=order[0])
    assert first.end() == 0, first.said
    second = start(few_shards, run, *KIND, "--bytes", FIFTY, ranks=order[1])
    assert second.end() == 0, second.said
    assert second.figures()["ranks"] == order[1]
    assert worst(run, alone) < 1e-4


def test_two_ranks_have_the_losses_of_one(alone: Path, few_shards: Path, tmp_path: Path) -> None:
    both = start(few_shards, tmp_path / "run", *KIND, "--bytes", FIFTY, ranks=2)
    assert both.end() == 0, both.said
    assert worst(tmp_path / "run", alone) < 1e-4
    # What they wrote together any one process loads, decodes, and hands on in a single file.
    folder = newest(tmp_path / "run")
    assert len(list(folder.glob("shard-*.safetensors"))) == 2
    model = load_checkpoint(folder).model
    texts = [
        generate(m, [b"import "], DecodeOptions(20, 3, 1))[0].text
        for m in (model, load_checkpoint(alone).model)
    ]
    assert texts[0] == texts[1]
    Export(folder, "bytelm", tmp_path / "single").run()
    assert (tmp_path / "single" / "model.safetensors").exists()
    single = load_checkpoint(tmp_path / "single").model
    for name, weight in model.state_dict().items():
        assert weight.equal(single.state_dict()[name]), name


def test_a_rank_that_dies_ends_the_other_and_says_so(few_shards: Path, tmp_path: Path) -> None:
    running = start(few_shards, tmp_path / "run", *KIND, "--bytes", "4000000",
                    "--save-steps", "5", ranks=2)  # fmt: skip
    running.wait_for_rows(12)
    os.kill(running.ranks()[1], signal.SIGKILL)
    # Not after the half an hour that gloo waits for a rank.
    assert running.end() != 0
    assert "go on from the last checkpoint with --resume" in running.said
    # (torchrun prints a traceback of its own below.)
    assert "bytelm/training" not in running.said
    again = start(few_shards, tmp_path / "run", *KIND, "--bytes", str(20 * 512))
    assert again.end() == 0, again.said
    assert "resuming at step" in again.said or "trained already" in again.said
