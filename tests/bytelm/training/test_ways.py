"""Ways of running a training: accumulated, recomputed, watched; and options of what it is."""

import gzip
import json
import statistics
from pathlib import Path
from typing import Any

import pytest
from support import bytelm_command, one_line, read_rows, small_config
from training import rows_of
from training import train as train_words

from bytelm.base.errors import InputError
from bytelm.shards import ShardWriter
from bytelm.training.learner import Execution, Learner
from bytelm.training.options import TrainOptions

SHORT = ("--bytes", "15360")


def train(shards: Path, run: Path, *more: str) -> int:
    return bytelm_command(*train_words(shards, run, *SHORT, *more))


def losses(run: Path) -> list[list[float]]:
    return [row["heads_bpb"] for row in rows_of(run)]


def worst(one: list[list[float]], other: list[list[float]]) -> float:
    assert len(one) == len(other) >= 30
    return max(abs(a - b) for x, y in zip(one, other, strict=True)
               for a, b in zip(x, y, strict=True))  # fmt: skip


@pytest.fixture(scope="module")
def plain(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> list[list[float]]:
    run = tmp_path_factory.mktemp("plain") / "run"
    assert train(shards, run) == 0
    return losses(run)


@pytest.mark.slow
@pytest.mark.parametrize("how", [("--micro-batch", "1"), ("--micro-batch", "2"), ("--recompute",)])
def test_micro_batches_and_recomputing_change_nothing(
    how: tuple[str, ...], plain: list[list[float]], shards: Path, tmp_path: Path
) -> None:
    """Labels are counted over the batch, not by micro batch, so only rounding differs."""
    assert train(shards, tmp_path / "run", *how) == 0
    assert worst(losses(tmp_path / "run"), plain) < 1e-4


@pytest.mark.slow
def test_late_heads_are_computed_only_while_rates_fall(
    plain: list[list[float]], shards: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    assert train(shards, run, "--train.head-schedule", "late", "--train.decay", "0.5") == 0
    rows = rows_of(run)
    at = len(rows) // 2
    assert {len(row["heads_bpb"]) for row in rows} == {8}
    assert all(row["heads_bpb"][1:] == [None] * 7 for row in rows[:at])
    assert all(None not in row["heads_bpb"] for row in rows[at:])
    # The first step of both runs begins from the same weights.
    assert rows[0]["bpb"] == pytest.approx(plain[0][0])
    clock = read_rows(run / "metrics.jsonl")
    ratios = [row["flops_per_s"] / row["bytes_per_s"] for row in clock]
    assert ratios[0] < 0.8 * ratios[-1]


@pytest.mark.slow
def test_documents_kept_apart_learn_something_else(tmp_path: Path) -> None:
    """Documents shorter than a block."""
    with ShardWriter(tmp_path / "short") as writer:
        for index in range(400):
            split = "held_out" if index % 10 == 0 else "train"
            writer.add(split, f"{index}", f"x{index} = {index} * {index}\n".encode() * 3)
        writer.finish({})
    found = []
    for masks in ("no-document-masks", "document-masks"):
        run = tmp_path / masks
        assert train(tmp_path / "short", run, f"--train.{masks}") == 0
        found.append(losses(run))
    assert 1e-3 < worst(found[0], found[1]) < 2
    assert all(sum(row[0] for row in rows[-5:]) / 5 < 5 for rows in found)


@pytest.mark.slow
def test_a_cosine_ends_at_its_floor(shards: Path, tmp_path: Path) -> None:
    cosine = ("--train.lr-schedule", "cosine", "--train.floor", "0.03")
    assert train(shards, tmp_path / "run", *cosine, "--train.warmup", "0.2") == 0
    scales = [row["lr_scale"] for row in rows_of(tmp_path / "run")]
    assert scales.index(max(scales)) == pytest.approx(0.2 * len(scales), abs=1)
    assert 0.03 <= scales[-1] < 0.05


@pytest.mark.slow
def test_a_run_of_before_an_option_had_its_default(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert train(shards, run) == 0
    config = json.loads((run / "config.json").read_text())
    del config["train"]["spike"]
    (run / "config.json").write_text(json.dumps(config))
    more = ("--resume", "--bytes", "20000")
    assert train(shards, run, *more, "--train.spike", "3.0") == 2
    assert "was begun with train.spike = 20.0, not 3.0" in capsys.readouterr().err
    assert train(shards, run, *more) == 0


@pytest.mark.medium
def test_the_summary_tells_what_was_used(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bytelm.training.session.matmul_flops_per_s", lambda *_: 1e9)
    assert train(shards, tmp_path / "run") == 0
    summary = json.loads((tmp_path / "run/summary.json").read_text())
    rows = read_rows(tmp_path / "run" / "metrics.jsonl")
    flops_per_s = statistics.median(row["bytes_per_s"] for row in rows) * summary["flops_per_byte"]
    assert summary["matmul_flops_per_s"] == 1e9
    assert summary["mfu"] == pytest.approx(flops_per_s / 1e9, abs=1e-4)
    assert summary["peak_bytes"] > 50e6
    assert summary["skipped"] == 0
    assert summary["ranks"] == 1


@pytest.mark.slow
def test_a_profile_opens_in_the_usual_viewers(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert train(shards, run, "--profile") == 0
    assert "profile of 3 steps" in capsys.readouterr().err
    with gzip.open(run / "profile/trace-rank0.json.gz") as file:
        events: list[dict[str, Any]] = json.load(file)["traceEvents"]
    assert any("mm" in str(event.get("name")) for event in events)
    assert "Self CPU" in (run / "profile/table-rank0.txt").read_text()


@pytest.mark.slow
def test_scalars_for_tensorboard(shards: Path, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = tmp_path / "run"
    assert train(shards, run, "--tensorboard") == 0
    events = EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    found = [event.value for event in events.Scalars("train/bpb")]
    assert found == pytest.approx([row[0] for row in losses(run)], rel=1e-5)
    assert "heads_bpb/head_8" in events.Tags()["scalars"]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--micro-batch", "3"], "--micro-batch 3 does not divide the 4 blocks"),
        (["--train.lr-schedule", "steps"], "must be one of stable, cosine, not 'steps'"),
        (["--train.document-masks", "1"], "'1' is a word too many"),
        (["--model.prediction-heads", "33"], "--model.prediction-heads must be 1 to 32, not 33"),
        (["--equal-parameters", "--model.ngram-rows", "20"], "more parameters than"),
    ],
)
def test_wrong_options_are_one_line(
    more: list[str], words: str, shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(shards, tmp_path / "run", *more) == 2
    assert words in one_line(capsys.readouterr().err)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_equal_parameters_are_those_of_one_head(shards: Path, tmp_path: Path) -> None:
    totals = []
    for heads in (1, 8):
        run = tmp_path / f"n{heads}"
        count = ("--model.prediction-heads", str(heads), "--bytes", "2000")
        assert train(shards, run, *count, "--equal-parameters") == 0
        totals.append(json.loads((run / "summary.json").read_text())["parameters"]["total"])
    assert totals[1] == pytest.approx(totals[0], rel=0.001)


def test_a_model_or_a_batch_that_no_memory_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    config, execution = small_config(), Execution(compiled=False)
    weights_bytes = 8 * config.least_parameters
    monkeypatch.setattr("bytelm.base.device.memory_bytes", lambda device: 2 * weights_bytes)
    Learner(config, TrainOptions(block=16, batch=1), execution)
    with pytest.raises(InputError, match=r"100000 blocks of 64 at once.* take a smaller model"):
        Learner(config, TrainOptions(block=64, batch=100_000), execution)
    monkeypatch.setattr("bytelm.base.device.memory_bytes", lambda device: weights_bytes - 1)
    with pytest.raises(InputError, match=r"training \d+ parameters"):
        Learner(config, TrainOptions(block=16, batch=1), execution)
