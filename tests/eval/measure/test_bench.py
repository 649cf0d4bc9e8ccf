"""The decoder's benchmarks: sealed figures and plots."""

import json
from pathlib import Path

import pytest
from fake_llama_bench import fake_llama_bench
from support import (
    ROOT,
    eval_command,
    one_line,
    random_model,
    save_model,
    saved_llama,
    small_config,
)

from bytelm.toolkit import load_checkpoint
from eval.measure.bench_tables import BenchResult, bench_table
from eval.measure.peers.decoders import NATIVE
from eval.measure.peers.rows import PeerRow
from eval.measure.peers.table import peers_lines
from eval.measure.plots import plot_peers
from eval.report.tables import bench


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
    assert [row["prompts"] for row in sealed["ends"]] == [4] * 8
    assert all(row["ended"] is not None for row in sealed["ends"])
    assert {"machine", "versions", "command", "checkpoint"} <= set(sealed)
    assert sealed["checkpoint"]["sha256"] == load_checkpoint(run_folder).sha256
    for name in ("speed", "batches"):
        assert (tmp_path / f"bench-{name}.png").read_bytes()[:4] == b"\x89PNG"
    assert "the sure ones" in err
    assert "solutions of a suite" in err


@pytest.mark.slow
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
    engines = {"bytelm", "bytelm-plain", "llama.cpp", "transformers"}
    native = {NATIVE} & set(sealed["peer_versions"])
    assert {row["engine"] for row in sealed["peers"]} == engines | native
    assert all(row["identical"] for row in sealed["table_s3"])
    assert len(bench_table(BenchResult.model_validate(sealed))) > 10


def test_the_table_says_which_build_of_llama_cpp_a_figure_is_of() -> None:
    """In files from before there was a native build, too."""
    sealed = json.loads((ROOT / "results" / "bench.json").read_text())
    rows = [PeerRow.model_validate(row) for row in sealed["peers"] if row["engine"] != NATIVE]
    old = [row.model_copy(update={"ratios": {}, "reading_bytes_per_s": None}) for row in rows]
    assert "llama.cpp = 1" in peers_lines(old)[0]
    assert NATIVE not in "\n".join(peers_lines(old))
    figures = {
        **sealed,
        "peers": [],
        "peer_versions": {"xllamacpp": "1", NATIVE: "build 2 (x), CPU"},
    }
    text = bench(figures)
    assert "llama.cpp: the wheel xllamacpp 1" in text
    assert "llama.cpp-native: build 2 (x), CPU" in text


@pytest.mark.parametrize(
    ("more", "word"),
    [
        (["--no-peers"], "is one of the peers: leave out --no-peers"),
        (["--device", "cuda"], "it needs --device cpu"),
        ([], "is not there"),
    ],
)
def test_a_native_build_that_cannot_be_measured_is_refused_at_once(
    run_folder: Path, shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    more: list[str], word: str, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    # On a machine with a GPU.
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    out = tmp_path / "bench.json"
    status, figures, err = eval_command(
        capsys, "bench", "--checkpoint", str(run_folder), "--data", str(shards), "--out", str(out),
        "--llama-bench", str(tmp_path / "nothing"), *more,
    )  # fmt: skip
    assert (status, figures) == (2, {})
    assert word in one_line(err)
    assert not out.exists()


@pytest.mark.medium
@pytest.mark.peers("xllamacpp", "gguf", "transformers")
def test_a_native_build_in_the_tables_and_plots(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, checkpoint = tmp_path / "bench.json", saved_llama(tmp_path / "llama", context=2560)
    program = fake_llama_bench(tmp_path)
    status, _, err = eval_command(
        capsys, "bench", "--checkpoint", str(checkpoint), "--data", str(shards), "--out", str(out),
        "--batches", "1", "--prompts", "2", "--prompt-bytes", "20", "--max-bytes", "8",
        "--rounds", "1", "--s2-checkpoint", str(tmp_path / "none"), "--llama-bench", str(program),
    )  # fmt: skip
    assert status == 0, err
    sealed = json.loads(out.read_text())
    rows = [row["engine"] for row in sealed["peers"] if row["dtype"] == "bfloat16"]
    assert rows == ["bytelm", "bytelm-plain", "llama.cpp", NATIVE, "transformers"]
    assert sealed["peer_versions"][NATIVE].startswith("build 4711")
    assert all(NATIVE in row["ratios"] for row in sealed["peers"])
    assert "llama.cpp-native = 1" in err
    assert (tmp_path / "bench-peers.png").read_bytes()[:4] == b"\x89PNG"
    figure = plot_peers(BenchResult.model_validate(sealed), tmp_path / "again.png")
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert {"llama.cpp, the wheel", "llama.cpp, native"} <= set(names)
