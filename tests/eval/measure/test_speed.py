"""The speed table, with its proof that the text is the same."""

import json
from pathlib import Path
from typing import Any

import pytest
from support import eval_command

from bytelm.toolkit import DecodeOptions, generate, load_checkpoint
from eval.measure.speed import SpeedOptions, measure_speed
from eval.measure.text import suite_prompts
from eval.suites.problems import load_suite
from eval.suites.stops import stops_of


@pytest.mark.medium
def test_the_speed_table(
    run_folder: Path, shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "speed.json"
    sizes = ["--prompts", "6", "--prompt-bytes", "80", "--max-bytes", "40", "--rounds", "2"]
    status, figures, err = eval_command(
        capsys, "speed", "--checkpoint", str(run_folder), "--data", str(shards),
        "--out", str(out), "--batches", "4", "1", *sizes,
    )  # fmt: skip
    assert status == 0
    rows = json.loads(out.read_text())["rows"]
    assert rows == figures["rows"]
    assert [(row["batch"], row["k"]) for row in rows] == [
        (batch, k) for batch in (4, 1) for k in (1, 2, 4, 8)
    ]
    for row in rows:
        assert row["identical"] is True
        assert row["prompts"] == min(6, 4 * row["batch"])
        assert len(row["accepted_lengths"]) == row["k"]
        steps = sum(row["accepted_lengths"])
        total = sum(n * count for n, count in enumerate(row["accepted_lengths"], 1))
        assert total / steps == pytest.approx(row["bytes_per_forward"], rel=0.05)
        assert row["speedup_range"][0] <= row["speedup"] <= row["speedup_range"][1]
        if row["k"] == 1:
            assert (row["bytes_per_forward"], row["speedup"]) == (1.0, 1.0)
    assert "identical" in err


def test_sampled_speed_on_the_text_of_a_file(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text").write_bytes(b"Prose, and no shards. " * 20)
    sizes = ["--prompts", "3", "--prompt-bytes", "80", "--max-bytes", "40", "--rounds", "1"]
    base = ["speed", "--checkpoint", str(run_folder), "--batches", "2", "--heads", "1", "8", *sizes]
    text = ["--text", str(tmp_path / "text"), "--temperature", "0.8"]
    status, figures, _ = eval_command(capsys, *base, *text)
    assert status == 0
    assert figures["temperature"] == 0.8
    assert [row["k"] for row in figures["rows"]] == [1, 8]
    # The rule of the argmax draws the same bytes at every k.
    assert all(row["identical"] for row in figures["rows"])


def test_the_engine_that_is_asked_for_is_measured(
    monkeypatch: pytest.MonkeyPatch, run_folder: Path, shards: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    asked: set[tuple[str, float]] = set()

    def spy(model: Any, prompts: list[bytes], options: DecodeOptions) -> list[Any]:
        asked.add((options.engine, options.sampling.temperature))
        return generate(model, prompts, options)

    monkeypatch.setattr("eval.measure.speed.generate", spy)
    sizes = ["--prompts", "2", "--prompt-bytes", "20", "--max-bytes", "8", "--rounds", "1"]
    base = ["speed", "--checkpoint", str(run_folder), "--data", str(shards), *sizes]
    more = ["--heads", "2", "--batches", "1", "--engine", "eager", "--temperature", "0.7"]
    _, figures, _ = eval_command(capsys, *base, *more)
    # (The warm-up is greedy.)
    assert asked == {("eager", 0.0), ("eager", 0.7)}
    assert (figures["engine"], figures["temperature"]) == ("eager", 0.7)


def test_speed_on_the_prompts_of_a_suite(
    run_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of any lengths, and with the stops that end a solution."""
    sizes = ["--prompts", "7", "--max-bytes", "40", "--rounds", "1", "--heads", "8"]
    base = ["speed", "--checkpoint", str(run_folder), "--batches", "4", "2"]
    status, figures, _ = eval_command(capsys, *base, "--suite", "exercises", *sizes)
    assert status == 0
    assert [(row["prompts"], row["identical"]) for row in figures["rows"]] == [(7, True)] * 4
    prompts, stops = suite_prompts("exercises", 7)
    assert stops_of(load_suite("exercises").problems[0], "paper") == stops
    assert len(set(prompts)) == 7
    model = load_checkpoint(run_folder).model
    found = generate(model, prompts, DecodeOptions(40, stops=stops))
    ended = sum(one.finish_reason != "length" for one in found) / 7
    assert [row["ended"] for row in figures["rows"]] == [ended] * 4


@pytest.mark.parametrize("option", ["--prompts", "--rounds"])
def test_counts_below_one(
    run_folder: Path, shards: Path, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    base = ["speed", "--checkpoint", str(run_folder), "--data", str(shards)]
    status, _, err = eval_command(capsys, *base, option, "0")
    assert status == 2
    assert "at least 1" in err


def test_speed_without_a_command_line(run_folder: Path) -> None:
    model = load_checkpoint(run_folder).model
    prompts = [b"import os\n", b"def f(x):\n"]
    options = SpeedOptions(heads=(2,), batches=(2,), max_bytes=12, rounds=1, engine="eager")
    result = measure_speed(model, prompts, options)
    assert [(row.k, row.batch, row.prompts) for row in result.rows] == [(1, 2, 2), (2, 2, 2)]
    assert all(row.identical for row in result.rows)
    assert (result.dtype, result.rounds, result.checkpoint) == ("float32", 1, None)
