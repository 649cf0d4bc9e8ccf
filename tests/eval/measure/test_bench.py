"""The decoder's benchmarks: sealed figures and plots."""

import json
from pathlib import Path

import pytest
from support import ROOT, eval_command, random_model, save_model, small_config

from bytelm.toolkit import load_checkpoint
from eval.measure.bench_tables import BenchResult, bench_table


@pytest.mark.medium
def test_bench_seals_its_tables_and_draws_them(
    run_folder: Path, shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "bench.json"
    sizes = ["--prompts", "4", "--prompt-bytes", "40", "--max-bytes", "24", "--rounds", "1"]
    status, figures, err = eval_command(
        capsys, "bench", "--checkpoint", str(run_folder), "--data", str(shards), "--out", str(out),
        "--batches", "1", "2", "--no-peers", "--s2-checkpoint", str(run_folder), *sizes,
    )  # fmt: skip
    assert status == 0
    assert figures["identical"] is True
    sealed = json.loads(out.read_text())
    rows = [(row["batch"], row["k"], row["gate"]) for row in sealed["table_s3"]]
    assert rows == [
        *((batch, k, None) for batch in (16, 1) for k in (1, 2, 4, 8)),
        (16, 8, 0.0),
        (1, 8, 0.0),
    ]
    for row in sealed["table_s3"]:
        assert row["share"] == pytest.approx(row["speedup"] / row["bytes_per_forward"])
    assert {row["batch"] for row in sealed["figure_s10"]} == {1, 2}
    assert {"machine", "versions", "command", "checkpoint"} <= set(sealed)
    assert sealed["checkpoint"]["sha256"] == load_checkpoint(run_folder).sha256
    for name in ("speed", "batches"):
        assert (tmp_path / f"bench-{name}.png").read_bytes()[:4] == b"\x89PNG"
    assert "the sure ones" in err


@pytest.mark.medium
@pytest.mark.parametrize("heads", [1, 4])
def test_a_model_of_fewer_heads_is_benched_as_far_as_it_goes(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], heads: int
) -> None:
    model = random_model(small_config(prediction_heads=heads, context=2560))
    folder = save_model(tmp_path, model)
    out = tmp_path / "bench.json"
    status, _, err = eval_command(
        capsys, "bench", "--checkpoint", str(folder), "--data", str(shards), "--out", str(out),
        "--batches", "1", "--no-peers", "--prompts", "2", "--prompt-bytes", "20", "--max-bytes",
        "8", "--rounds", "1",
    )  # fmt: skip
    assert status == 0, err
    sealed = json.loads(out.read_text())
    assert max(row["k"] for row in sealed["table_s3"]) == heads
    assert {row["width"] for row in sealed["step"]["rows"]} == {1, 2, 4} - set(range(heads + 1, 5))


def test_the_sealed_bench_has_what_readers_need() -> None:
    sealed = json.loads((ROOT / "results" / "bench.json").read_text())
    assert {row["engine"] for row in sealed["peers"]} == {
        "bytelm", "bytelm-plain", "llama.cpp", "transformers"
    }  # fmt: skip
    assert all(row["identical"] for row in sealed["table_s3"])
    assert len(bench_table(BenchResult.model_validate(sealed))) > 10
