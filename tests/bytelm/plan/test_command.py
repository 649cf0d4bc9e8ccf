"""The plan command: its figures agree with each other, its table, and its words for wrong input."""

import json
from typing import Any

import pytest
import torch
from support import bytelm_command, one_line, python

from bytelm.config import load_preset, model_config
from bytelm.model.model import Model


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = bytelm_command("plan", *arguments)
    said = capsys.readouterr()
    return status, said.out, said.err


def plan(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    status, out, _ = run(capsys, *arguments)
    assert status == 0
    figures: dict[str, Any] = json.loads(out.splitlines()[-1])
    return figures


def test_the_papers_model(capsys: pytest.CaptureFixture[str]) -> None:
    figures = plan(capsys, "--gpus", "8", "64", "256", "--batch", "6")
    with torch.device("meta"):
        model = Model(model_config(load_preset("paper-7b")["model"], "paper-7b"))
    assert figures["params"] == sum(p.numel() for p in model.parameters())
    assert figures["flops_per_byte"] == model.flops_per_byte(4096, training=True)
    assert (figures["bytes"], figures["steps"]) == (25_000 * 12 * 2**20, 25_000)
    assert figures["flops"] == figures["flops_per_byte"] * figures["bytes"]
    by_gpus = {entry["gpus"]: entry for entry in figures["plans"]}
    assert [entry["micro_batches"] for entry in figures["plans"]] == [32, 4, 1]
    for gpus, entry in by_gpus.items():
        assert entry["micro_batches"] * gpus * 6 * 8192 == 12 * 2**20
        # 40 % of 989 TFLOPs.
        gpu_s = figures["flops"] / 395.6e12
        assert entry["days"] * gpus * 86400 == pytest.approx(gpu_s)
        memory = entry["memory_bytes"]
        assert entry["fits"] == (memory["total"] <= 80e9)
        assert entry["fits_recomputed"] == (memory["total_recomputed"] <= 80e9)
        assert entry["traffic_s_per_step"] == entry["traffic_bytes_per_step"] / 50e9
    # What is sharded shrinks with the GPUs; what is whole, and what a micro batch takes, does not.
    one, many = by_gpus[8]["memory_bytes"], by_gpus[64]["memory_bytes"]
    matrices = sum(p.numel() for layer in model.trunk() for p in layer.parameters() if p.dim() == 2)
    whole = 4 * (figures["params"] - matrices)
    assert one["weights"] - whole == pytest.approx(8 * (many["weights"] - whole), rel=0.001)
    assert one["activations"] == many["activations"]


def test_what_is_assumed_is_used(capsys: pytest.CaptureFixture[str]) -> None:
    base = ["--preset", "paper-1m", "--gpus", "4"]
    first = plan(capsys, *base)
    more = ["--mfu", "0.2", "--peak-tflops", "494.5", "--bandwidth-gb-s", "25"]
    second = plan(capsys, *base, *more, "--memory-gb", "0.001", "--bytes", "12582912")
    one, two = first["plans"][0], second["plans"][0]
    assert two["step_s"] == pytest.approx(4 * one["step_s"])
    assert two["traffic_s_per_step"] == pytest.approx(2 * one["traffic_s_per_step"])
    assert (one["fits"], two["fits"], two["fits_recomputed"]) == (True, False, False)
    assert second["steps"] == 1
    assert two["days"] == pytest.approx(two["step_s"] / 86400)


def test_options_of_the_preset_can_be_changed(capsys: pytest.CaptureFixture[str]) -> None:
    base = ["--preset", "tiny", "--gpus", "2"]
    figures = plan(capsys, *base, "--model.width", "64", "--batch", "4")
    assert figures["plans"][0]["rows"] == 4
    assert figures["parameters"]["embedding"] == 264 * 64
    figures = plan(capsys, *base, "--batch", "2", "--block", "256")
    assert (figures["plans"][0]["rows"], figures["plans"][0]["block"]) == (2, 256)
    assert figures["flops_per_byte"] < plan(capsys, *base)["flops_per_byte"]


def test_the_table_says_what_the_figures_say(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, "--preset", "tiny", "--gpus", "1", "16")
    figures = json.loads(one_line(out))
    assert status == 0
    lines = {line.rsplit("  ", 1)[0].strip(): line.split() for line in err.splitlines()}
    assert f"{figures['params']:,} parameters" in err
    total = figures["plans"][1]["memory_bytes"]["total"]
    [row] = [words for what, words in lines.items() if what.startswith("sum ")]
    assert row[-1] == f"{total / 1e9:.2f}"
    assert "n-gram tables stand whole on every GPU" in err


def test_a_table_for_a_page_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, "--preset", "paper-1m", "--gpus", "8", "16", "--markdown")
    assert (status, err) == (0, "")
    rows = [line for line in out.splitlines() if line.startswith("|")]
    assert rows[0] == "| GPUs | 8 | 16 |"
    assert {line.count("|") for line in rows} == {4}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--gpus", "0"], "--gpus must be at least 1, not 0"),
        (["--gpus", "8", "--mfu", "0"], "--mfu must be above 0 and at most 1, not 0.0"),
        (["--gpus", "8", "--mfu", "1.5"], "--mfu must be above 0 and at most 1, not 1.5"),
        (["--gpus", "8", "--mfu", "nan"], "--mfu must be above 0 and at most 1, not nan"),
        (["--gpus", "8", "--memory-gb", "-1"], "--memory-gb must be above 0, not -1.0"),
        (
            ["--gpus", "8", "--bandwidth-gb-s", "inf"],
            "--bandwidth-gb-s must be a finite number, above 0",
        ),
        (["--gpus", "8", "--batch", "0"], "--batch must be at least 1"),
        (["--gpus", "8", "--bytes", "0"], "--bytes must be at least 1"),
        (["--gpus", "8", "--block", "9000"], "--block 9000 exceeds the model's context of 8192"),
        (["--gpus", "8", "--preset", "none"], "there is no preset 'none'"),
        (["--gpus", "256"], "256 GPUs x 8 rows x 8192 bytes; --batch 6 would do"),
        (["--gpus", "7"], "choose other --gpus, --block or --global-batch-bytes"),
        (["--gpus", "8", "--global-batch-bytes", "5"], "is no whole number of micro batches"),
    ],
)
def test_wrong_input_is_one_line(
    capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    status, out, err = run(capsys, *arguments)
    assert (status, out) == (2, "")
    assert words in one_line(err)


@pytest.mark.medium
def test_the_command_needs_no_gpu_and_little_memory() -> None:
    """Twenty-six gigabytes of weights, planned in far less."""
    code = (
        "import resource, sys; from bytelm.__main__ import COMMANDS;"
        "from bytelm.commands.cli import main;"
        "status = main('bytelm', '', COMMANDS, ['plan', '--gpus', '8']);"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss); sys.exit(status)"
    )
    done = python("-c", code)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.splitlines()[-1]) < 3_000_000
