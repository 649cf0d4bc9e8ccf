"""`python -m eval training-time`: Table S5's rows, its table, plot and seal."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support import ROOT, eval_command, python

SMALL = [
    "--model.width", "64", "--model.hidden", "96", "--model.layers", "6",
    "--model.ngram-rows", "512", "--no-compile", "--dtype", "float32",
]  # fmt: skip


@pytest.mark.slow
def test_the_command_writes_rows_a_table_and_a_plot(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "results" / "training-time.json"
    kinds = ("unembed", "linear", "block", "causal", "anticausal")
    status, figures, err = eval_command(
        capsys, "training-time", "--preset", "tiny", *SMALL, "--heads", "1", "2", "4", "8",
        "--kinds", *kinds, "--steps", "2", "--batch", "2", "--block", "64", "--plain",
        "--out", str(out),
    )  # fmt: skip
    assert status == 0, err
    rows = {(row["kind"], row["n"], row["way"]): row for row in figures["rows"]}
    assert len(rows) == len(figures["rows"])
    # Of six layers, eight heads with layers take too many.
    assert set(rows) == {
        (kind, n, way)
        for kind in kinds
        for n in ((1, 2, 4, 8) if kind in ("unembed", "linear") else (1, 2, 4))
        for way in (("sequential", "plain") if n > 1 else ("sequential",))
    }
    assert rows["block", 4, "sequential"]["paper"] == "1.07-1.22"
    assert rows["block", 4, "plain"]["paper"] is None
    assert (figures["train"]["batch"], figures["train"]["block"]) == (2, 64)
    sealed = json.loads(out.read_text())
    assert sealed["rows"] == figures["rows"]
    assert {"machine", "versions", "command"} <= set(sealed)
    assert out.with_suffix(".png").read_bytes()[:4] == b"\x89PNG"
    assert "left out: block heads, n = 8" in err
    assert "1.02-1.07" in err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--heads", "2"], "must hold 1"),
        (["--kinds", "block", "--model.layers", "1"], "layers must exceed"),
        (["--kinds", "unheard"], "unheard"),
        (["--batch", "0"], "batch"),
        (["--device", "cuda:99"], "cuda"),
    ],
)
def test_wrong_input_leaves_one_line(arguments: list[str], says: str) -> None:
    done = python("-m", "eval", "training-time", *SMALL, "--steps", "1", *arguments)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_ctrl_c_leaves_at_once_and_writes_nothing(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    command = [sys.executable, "-m", "eval", "training-time", *SMALL, "--steps", "1000000"]
    process = subprocess.Popen(
        [*command, "--batch", "1", "--block", "16", "--out", str(out)],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    seen = ""
    while "measuring" not in seen:
        seen += (character := process.stderr.read(1))
        assert character, seen
    process.send_signal(signal.SIGINT)
    said, told = process.communicate(timeout=60)
    assert (process.returncode, said) == (130, "")
    assert told.rstrip().endswith("stopped")
    assert "Traceback" not in told
    assert not out.exists()
