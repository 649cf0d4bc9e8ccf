"""The decoder's benchmarks: sealed figures, plots, the audit and its verdict."""

import json
from pathlib import Path
from typing import Any

import pytest
from support import ROOT, random_model, small_config

from bytelm.checkpoint import save_checkpoint
from bytelm.toolkit import main
from eval.__main__ import COMMANDS
from eval.measure import divergence
from eval.measure.bench import bench_table


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any], str]:
    status = main("eval", "", COMMANDS, [*arguments])
    said = capsys.readouterr()
    return status, json.loads(said.out.splitlines()[-1]) if said.out else {}, said.err


def test_bench_seals_its_tables_and_draws_them(
    run_folder: Path, shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "bench.json"
    sizes = ["--prompts", "4", "--prompt-bytes", "40", "--max-bytes", "24", "--rounds", "1"]
    status, figures, err = run(
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
    assert len(sealed["checkpoint"]["sha256"]) == 64
    for name in ("speed", "batches"):
        assert (tmp_path / f"bench-{name}.png").read_bytes()[:4] == b"\x89PNG"
    assert "the sure ones" in err


@pytest.mark.parametrize("heads", [1, 4])
def test_a_model_of_fewer_heads_is_benched_as_far_as_it_goes(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], heads: int
) -> None:
    config = small_config(prediction_heads=heads, context=2560)
    folder = save_checkpoint(tmp_path, 1, config, random_model(config).state_dict(), {}, {})
    out = tmp_path / "bench.json"
    status, _, err = run(
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
    assert len(bench_table(sealed)) > 10


def prompts_file(folder: Path) -> Path:
    path = folder / "prompts.jsonl"
    path.write_text('{"prompt": "import os\\n"}\n{"prompt_base64": "ZGVmIA=="}\n')
    return path


@pytest.mark.parametrize("engine", ["native", "eager"])
def test_the_audit_finds_no_difference(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], engine: str
) -> None:
    status, figures, _ = run(
        capsys, "divergence", "--checkpoint", str(run_folder), "--prompts",
        str(prompts_file(tmp_path)), "--max-bytes", "40", "--dtype", "float32", "--engine", engine,
        "--heads", "8", "--batches", "1", "2",
    )  # fmt: skip
    assert status == 0
    assert figures["differences"] == 0
    assert figures["bytes_compared"] == sum(row["bytes"] for row in figures["rows"]) > 0


def test_the_audit_fails_on_a_difference_that_is_no_near_tie(
    run_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    honest = divergence.generate

    def wrong(model: Any, prompts: list[bytes], options: Any) -> list[Any]:
        found = honest(model, prompts, options)
        if options.heads > 1:
            text = found[1].text
            changed = bytes([(text[0] + 1) % 256]) + text[1:]
            found[1] = type(found[1])(changed, "length", 1, (len(text),))
        return found

    monkeypatch.setattr(divergence, "generate", wrong)
    status, figures, err = run(
        capsys, "divergence", "--checkpoint", str(run_folder), "--prompts",
        str(prompts_file(tmp_path)), "--max-bytes", "20", "--heads", "4", "--batches", "2",
    )  # fmt: skip
    assert status == 1
    assert figures["near_ties_only"] is False
    assert figures["rows"][0]["differences"][0]["prompt"] == 1
    assert "no near-tie" in err


@pytest.mark.parametrize("content", ["", "{}", "not json", '{"prompt": 3}'])
def test_prompts_that_cannot_be_read(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    path = tmp_path / "broken.jsonl"
    path.write_text(content)
    status, _, err = run(
        capsys, "divergence", "--checkpoint", str(run_folder), "--prompts", str(path)
    )
    assert status == 2
    assert "broken.jsonl" in err


@pytest.mark.parametrize("engine", ["native", "eager"])
def test_a_step_costs_time_and_predicts(capsys: pytest.CaptureFixture[str], engine: str) -> None:
    status, figures, _ = run(
        capsys, "step", "--preset", "paper-1m", "--widths", "1", "8", "--batches", "2",
        "--positions", "100", "--acceptance", "1", "4", "--rounds", "2", "--engine", engine,
    )  # fmt: skip
    assert status == 0
    one, eight = figures["rows"]
    assert one["predicted_speedup"] == 1
    assert eight["predicted_speedup"] == pytest.approx(4 * one["step_s"] / eight["step_s"])
    assert eight["compute_s"] > 7 * one["compute_s"]
    assert 0 < one["roofline_s"] == max(one["memory_s"], one["compute_s"])


@pytest.mark.parametrize(
    ("option", "words"),
    [
        (("--widths", "9"), "1 to 8"),
        (("--positions", "9000"), "--positions"),
        (("--rounds", "0"), "at least 1"),
        (("--acceptance", "1"), "--acceptance"),
    ],
)
def test_steps_that_cannot_be(
    capsys: pytest.CaptureFixture[str], option: tuple[str, ...], words: str
) -> None:
    status, _, err = run(capsys, "step", "--preset", "paper-1m", *option)
    assert status == 2
    assert words in err
