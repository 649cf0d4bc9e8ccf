"""Bits per byte of any files, and the speed table with its proof of identity."""

import json
from pathlib import Path
from typing import Any

import pytest
from support import ROOT, torchrun

from bytelm.toolkit import DecodeOptions, Split, generate, load_checkpoint, main, score_documents
from eval.__main__ import COMMANDS
from eval.measure.speed import distinct_windows


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any], str]:
    status = main("eval", "", COMMANDS, [*arguments])
    said = capsys.readouterr()
    return status, json.loads(said.out.splitlines()[-1]) if said.out else {}, said.err


def test_bits_of_files_folders_and_shards(
    run_folder: Path, shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "folder" / "sub").mkdir(parents=True)
    one, two = tmp_path / "one.py", tmp_path / "folder" / "sub" / "two.bin"
    one.write_bytes(b"import os\n" * 20)
    two.write_bytes(bytes(range(256)))
    (tmp_path / "folder" / "empty").touch()
    arguments = ["--checkpoint", str(run_folder), "--out", str(tmp_path / "bits.json")]
    status, figures, _ = run(capsys, "bits", *arguments, str(one), str(tmp_path / "folder"))
    assert status == 0
    model = load_checkpoint(run_folder).model
    expected = score_documents(model, [one.read_bytes(), two.read_bytes()])
    assert figures["heads_bpb"] == pytest.approx(expected.heads_bpb())
    assert (figures["bytes"], figures["documents"]) == (456, 2)
    assert set(figures["compressors"]) == {"gzip", "zstd", "xz"}
    written = json.loads((tmp_path / "bits.json").read_text())
    assert [row["name"] for row in written["files"]] == [str(one), str(two)]
    assert written["files"][0]["heads_bpb"] == pytest.approx(expected.document_bpb(0))

    status, figures, _ = run(capsys, "bits", *arguments, "--no-compressors", str(shards))
    assert status == 0
    assert figures["bytes"] == Split(shards, "held_out").bytes
    assert "compressors" not in figures


@pytest.mark.slow
def test_bits_on_two_ranks(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same to the last bits of a float32, on which a guess at a tie may depend."""
    paths = [str(ROOT / "bytelm" / "model"), str(ROOT / "bytelm" / "config.py")]
    base = ["bits", "--checkpoint", str(run_folder), *paths]
    status, one, _ = run(capsys, *base, "--out", str(tmp_path / "one.json"))
    done = torchrun("-m", "eval", *base, "--out", str(tmp_path / "two.json"))
    assert (status, done.returncode) == (0, 0), done.stderr
    two = json.loads(done.stdout)
    assert two["heads_bpb"] == pytest.approx(one["heads_bpb"], rel=1e-6)
    for name in ("bytes", "documents", "forecast", "forecast_accepted", "compressors"):
        assert two[name] == one[name], name
    files = [
        json.loads((tmp_path / f"{name}.json").read_text())["files"] for name in ("one", "two")
    ]
    assert [row["name"] for row in files[0]] == [row["name"] for row in files[1]]
    for first, second in zip(*files, strict=True):
        assert second["heads_bpb"] == pytest.approx(first["heads_bpb"], rel=1e-5)


@pytest.mark.parametrize("path", ["nowhere", "empty", "folder"])
def test_nothing_to_score(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], path: str
) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "folder").mkdir()
    status, _, err = run(capsys, "bits", "--checkpoint", str(run_folder), str(tmp_path / path))
    assert status == 2
    assert len(err.strip().splitlines()) == 1


def test_the_speed_table(
    run_folder: Path, shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "speed.json"
    sizes = ["--prompts", "6", "--prompt-bytes", "80", "--max-bytes", "40", "--rounds", "2"]
    status, figures, err = run(
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
    status, figures, _ = run(capsys, *base, *text)
    assert status == 0
    assert figures["temperature"] == 0.8
    assert [row["k"] for row in figures["rows"]] == [1, 8]
    # The rule of the argmax draws the same bytes at every k.
    assert all(row["identical"] for row in figures["rows"])


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ([], "give either --data or --text"),
        (["--text", "x", "--data", "y"], "give either --data or --text"),
        (["--text", "nowhere"], "--text nowhere: No such file"),
    ],
)
def test_prompts_come_from_one_place(
    run_folder: Path, capsys: pytest.CaptureFixture[str], more: list[str], words: str
) -> None:
    status, _, err = run(capsys, "speed", "--checkpoint", str(run_folder), *more)
    assert status == 2
    assert words in err


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
    _, figures, _ = run(capsys, *base, *more)
    # (The warm-up is greedy.)
    assert asked == {("eager", 0.0), ("eager", 0.7)}
    assert (figures["engine"], figures["temperature"]) == ("eager", 0.7)


def test_distinct_windows() -> None:
    assert distinct_windows([b"ab" * 100]) == pytest.approx(2 / 169)
    assert distinct_windows([bytes(range(200))]) == 1.0
    assert distinct_windows([b"short"]) == 1.0


@pytest.mark.parametrize("option", ["--prompts", "--rounds"])
def test_counts_below_one(
    run_folder: Path, shards: Path, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    base = ["speed", "--checkpoint", str(run_folder), "--data", str(shards)]
    status, _, err = run(capsys, *base, option, "0")
    assert status == 2
    assert "at least 1" in err
