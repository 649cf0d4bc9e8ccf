"""The comparison of runs of different n."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import eval_command

from bytelm.toolkit import load_checkpoint
from eval.study.sweep import SweepRow, acceptance, sweep_table


@given(st.lists(st.integers(0, 50), min_size=1, max_size=8))
def test_acceptance_gives_back_the_bytes_a_forward(blocks: list[int]) -> None:
    """Bytes a forward are 1 + a2 + a2 a3 + ..., of which each is a share of what came before."""
    shares = acceptance(blocks)
    assert len(shares) == len(blocks) - 1
    assert all(0 <= share <= 1 for share in shares)
    if sum(blocks):
        expected, product = 1.0, 1.0
        for share in shares:
            product *= share
            expected += product
        found = sum((j + 1) * count for j, count in enumerate(blocks)) / sum(blocks)
        assert expected == pytest.approx(found)


@pytest.mark.slow
def test_one_model_beside_itself(
    run_folder: Path, shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = ["--prompts", "3", "--prompt-bytes", "40", "--max-bytes", "30"]
    runs = ["--runs", str(run_folder), str(run_folder), "--data", str(shards)]
    status, figures, _ = eval_command(capsys, "sweep", *runs, *small)
    assert status == 0
    one, other = figures["rows"]
    assert one == other
    n = load_checkpoint(run_folder).config.prediction_heads
    assert one["n"] == n
    assert len(one["acceptance"]) == n - 1
    assert set(one["true_text"]) == set(one["greedy"]) == {"2", "4", "8"}
    assert 1 <= one["sampled"][str(n)]["bytes_per_forward"] <= n
    table = sweep_table([SweepRow.model_validate(row) for row in figures["rows"]])
    assert len(table) == 1 + len(figures["rows"])
    assert f"{one['heads_bpb'][0]:.3f}" in table[1]
