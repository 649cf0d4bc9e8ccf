"""The script `bytelm`: the commands of all rooms, whatever lies in the current folder."""

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from support import ROOT, one_line, random_model, save_model, small_config

import bytelm.commands.console
from bytelm.base.sealing import command_line
from eval.study.trainings import child_environment

# What the script does that pip makes of [project.scripts].
SCRIPT = (
    "import sys; sys.argv[0] = '/usr/bin/bytelm'; from bytelm.commands.console import run; run()"
)
LOCAL = ("eval.py", "data.py", "torch.py", "json.py", "numpy.py", "bytelm.py", "tqdm.py")


def script(folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    # As a script's, the first path is not the current folder.
    return subprocess.run(
        [sys.executable, "-P", "-c", SCRIPT, *words],
        cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder whose files have the names of modules."""
    for name in LOCAL:
        (tmp_path / name).write_text(f"raise SystemExit('{name} was run')\n")
    return tmp_path


def test_pip_makes_the_script() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["scripts"] == {
        "bytelm": "bytelm.commands.console:run",
        "bytelm-functional-correctness": "bytelm.commands.console:functional_correctness",
        "bytelm-evalplus": "bytelm.commands.console:evalplus",
    }
    assert callable(bytelm.commands.console.run)


@pytest.mark.medium
@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("--help", "usage: bytelm [-h]"),
        ("train --help", "usage: bytelm train [-h]"),
        ("data --help", "usage: bytelm data [-h]"),
        ("data build --help", "usage: bytelm data build [-h]"),
        ("eval --help", "usage: bytelm eval [-h]"),
        ("eval grade --help", "usage: bytelm eval grade [-h]"),
    ],
)
def test_help_is_that_of_this_door(folder: Path, words: str, says: str) -> None:
    done = script(folder, *words.split())
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(says)
    assert "python -m" not in done.stdout


@pytest.mark.medium
@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("", "name a command: train, plan, generate, export, data, eval"),
        ("evla", "there is no command 'evla'; did you mean eval?; known: train, "),
        ("eval", "name a command: complete, grade, "),
        ("data biuld", "there is no command 'biuld'; did you mean build?"),
        ("eval grade", "--samples must be given; see bytelm eval grade --help"),
        ("data build", "--out must be given; see bytelm data build --help"),
        ("train", "--data and --run must be given; see bytelm train --help"),
        ("data prompts --data none --out x", "make one with: bytelm data build --recipe stdlib"),
        ("generate --checkpoint . --prompt-file eval.py", "train one with `bytelm train`"),
    ],
)
def test_errors_are_those_of_this_door(folder: Path, words: str, says: str) -> None:
    done = script(folder, *words.split())
    assert (done.returncode, done.stdout) == (2, "")
    line = one_line(done.stderr)
    assert line.startswith("error: ")
    assert says in line


@pytest.mark.medium
def test_commands_run_among_files_with_the_names_of_modules(folder: Path) -> None:
    source = folder / "source"
    source.mkdir()
    for name in ("a", "b"):
        code = f"def {name}(x):\n    return x + {ord(name)}\n" * 4
        (source / f"{name}.py").write_text(code)
    made = script(folder, "data", "build", "--path", "source", "--out", "shards")
    assert (made.returncode, json.loads(made.stdout)["documents"]) == (0, 2), made.stderr
    save_model(folder / "model", random_model(small_config()))
    out = ["--out", "bits.json", "--no-compressors"]
    bits = script(folder, "eval", "bits", "shards", "--checkpoint", "model", *out)
    assert bits.returncode == 0, bits.stderr
    sealed: dict[str, Any] = json.loads((folder / "bits.json").read_text())
    assert sealed["command"] == (
        "bytelm eval bits shards --checkpoint model --out bits.json --no-compressors"
    )


@pytest.mark.slow
def test_trainings_of_a_study_run_no_file_of_the_current_folder(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "bytelm", "train", "--data", "x", "--run", "y"],
        cwd=folder, env=child_environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "was run" not in done.stderr
    assert "x does not exist" in done.stderr


def test_a_child_runs_this_bytelm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["", "/elsewhere", ""]))
    assert child_environment()["PYTHONPATH"] == os.pathsep.join([str(ROOT), "/elsewhere"])


@pytest.mark.parametrize(
    ("program", "ranks", "expected"),
    [
        ("/venv/bin/bytelm", 1, "bytelm train --run y"),
        ("/venv/bin/bytelm", 2, "torchrun --nproc-per-node 2 --no-python bytelm train --run y"),
        ("/src/bytelm/__main__.py", 1, "python -m bytelm train --run y"),
        ("/src/bytelm/__main__.py", 2, "torchrun --nproc-per-node 2 -m bytelm train --run y"),
    ],
)
def test_seals_name_the_door(
    monkeypatch: pytest.MonkeyPatch, program: str, ranks: int, expected: str
) -> None:
    monkeypatch.setattr("sys.argv", [program, "train", "--run", "y"])
    if ranks > 1:
        for name, value in {"RANK": 0, "WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 2}.items():
            monkeypatch.setenv(name, str(value))
    assert command_line() == expected
