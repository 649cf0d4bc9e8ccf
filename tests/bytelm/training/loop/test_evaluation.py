"""Held-out bits during training: of text, and of gaps in it for a run with infilling."""

from pathlib import Path

import pytest
from support import bytelm_command, read_rows
from training import train

from bytelm.checkpoint import load_checkpoint
from bytelm.continuations import gaps_in, score_continuations
from bytelm.shards import Split
from bytelm.training.batches.held_out import PIECE, held_out_sample
from bytelm.training.summary import read_summary


@pytest.mark.medium
def test_a_run_with_infilling_has_the_bits_of_gaps(few_shards: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = ["--bytes", "4000", "--eval-steps", "1", "--train.infilling", "0.5"]
    assert bytelm_command(*train(few_shards, run, *words)) == 0
    rows = read_rows(run / "metrics.jsonl")
    assert all(len(row["infilling_bpb"]) == len(row["held_out_bpb"]) for row in rows)
    summary = read_summary(run, rows[-1]["step"])
    assert summary is not None
    assert summary.infilling_bpb is not None
    assert f"{summary.infilling_bpb[0]:.3f} in gaps" in summary.line()
    model = load_checkpoint(run).model
    sample = held_out_sample(Split(few_shards, "held_out"), 1 << 20)
    gaps = gaps_in(sample, min(PIECE, model.config.context // 2))
    by_hand = score_continuations(model, gaps).heads_bpb()
    assert summary.infilling_bpb == pytest.approx(by_hand, rel=1e-4)


@pytest.mark.medium
def test_a_run_without_infilling_has_none(few_shards: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert bytelm_command(*train(few_shards, run, "--bytes", "4000", "--eval-steps", "1")) == 0
    rows = read_rows(run / "metrics.jsonl")
    assert all("infilling_bpb" not in row for row in rows)
    summary = read_summary(run, rows[-1]["step"])
    assert summary is not None
    assert summary.infilling_bpb is None
    assert "in gaps" not in summary.line()
