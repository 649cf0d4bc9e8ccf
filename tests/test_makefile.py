"""The front door: help, and the pages' commands, run at toy size."""

import json
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from pages import DOCS, MANY_GPUS, PYTHON, README, Block, blocks
from support import ROOT

CONTRIBUTING = ROOT / "CONTRIBUTING.md"

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def make(
    *arguments: str, folder: Path = ROOT, **variables: str
) -> "subprocess.CompletedProcess[str]":
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(
        ["make", *arguments],
        cwd=folder,
        env={**environment, **variables},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


def targets() -> list[str]:
    return re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_make_alone_explains_every_target() -> None:
    done = make()
    assert done.returncode == 0
    for target in targets():
        assert f"make {target} " in done.stdout


def test_every_target_stands_on_a_page() -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in (README, *DOCS, CONTRIBUTING))
    for target in targets():
        assert re.search(rf"\bmake {target}(?![\w-])", text), target


def test_a_python_that_will_not_do_is_named(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\n[ "$1" = -V ] && echo Python 3.9.1 && exit 0\nexit 1\n')
    python.chmod(0o755)
    project = checkout(tmp_path / "project", install=False)
    done = make("setup", folder=project, PYTHON=str(python))
    assert done.returncode == 2
    assert "Python 3.9.1 will not do: Python 3.11 to 3.13 is needed" in done.stderr
    assert not (project / ".venv").exists()


def test_what_is_completed_and_scored_is_the_shipped_model_where_none_is_named() -> None:
    for target in ("generate", "eval"):
        assert "--checkpoint" not in make("--dry-run", target, "PROMPT=x.py").stdout
        named = make("--dry-run", target, "PROMPT=x.py", "CHECKPOINT=runs/mine/")
        set_before = make("--dry-run", target, "PROMPT=x.py", CHECKPOINT="runs/mine/")
        assert named.stdout == set_before.stdout
        assert "--checkpoint runs/mine/ " in named.stdout
    assert "runs/eval/mine" in named.stdout


def test_a_file_to_complete_must_be_named() -> None:
    done = make("generate")
    assert done.returncode == 2
    assert done.stderr.startswith("error: which file is to be completed? make generate PROMPT=")


@pytest.mark.parametrize(
    "name",
    ["RUN", "CORPUS", "LIBRARY", "CHECKPOINT", "SAMPLES", "DRAFTS", "BENCH_CHECKPOINT", "BENCH_OUT",
     "SWEEP", "SWEEP_OUT", "PRESET", "RECIPE", "SUITE", "PROMPT", "EVAL"],
)  # fmt: skip
@pytest.mark.parametrize("value", ["runs/my run", "runs/my\trun", "run "])
def test_a_path_with_white_space_is_refused(name: str, value: str) -> None:
    """It used to be split into two targets."""
    for done in (
        make("--dry-run", "run", f"{name}={value}"),
        make("help", folder=ROOT, **{name: value}),
    ):
        assert done.returncode == 2
        [line] = done.stderr.splitlines()
        assert f"{name}={value} holds white space" in line
        assert done.stdout == ""


def test_options_may_hold_white_space() -> None:
    options = {
        "TRAIN": "--bytes 5",
        "EXERCISES_MB": "1",
        "DATA": "--wheels runs/wheels",
        "COMPLETE": "--max-bytes 32",
        "SWEEP_HEADS": "1 2",
        "SPEED": "--rounds 1",
    }
    assert make("help", folder=ROOT, **options).returncode == 0


def test_data_can_be_of_any_recipe() -> None:
    done = make("--dry-run", "data", "RECIPE=packages", "DATA=--wheels runs/wheels")
    [line] = [text for text in done.stdout.splitlines() if "--out data/shards/packages" in text]
    assert "--wheels runs/wheels" in line
    done = make("--dry-run", "data", "RECIPE=runs/mine.toml")
    assert "--out data/shards/mine " in done.stdout.replace("\\\n", "")


def checkout(folder: Path, install: bool = True) -> Path:
    """The project's files in a folder of their own, with this interpreter as its .venv."""
    rooms = ("bytelm", "data", "eval")
    ignored = shutil.ignore_patterns("__pycache__", "shards")
    for room in rooms:
        (folder / room).parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(ROOT / room, folder / room, ignore=ignored)
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, folder)
    (folder / "weights").symlink_to(ROOT / "weights")
    if install:
        binaries = folder / ".venv" / "bin"
        binaries.mkdir(parents=True)
        for name in ("python", "bytelm-functional-correctness"):
            program = Path(sys.executable).with_name(name)
            (binaries / name).write_text(f'#!/bin/sh\nexec {program} "$@"\n')
            (binaries / name).chmod(0o755)
        (folder / ".venv" / ".installed").touch()
    return folder


TOY = {
    "MINUTES": "1",
    "TRAIN": "--bytes 12000 --no-compile --train.block 512 --train.batch 2"
    " --model.ngram-rows 512 --model.width 32 --model.layers 1",
    "EXERCISES_MB": "1",
    "COMPLETE": "--max-bytes 32",
    "SPEED": "--prompts 2 --prompt-bytes 64 --max-bytes 32 --rounds 1",
    "OMP_NUM_THREADS": "1",
    # Half a minute for a model of this size; compiling has tests of its own.
    "TORCH_COMPILE_DISABLE": "1",
}
# These install, or run the tests themselves.
LEFT_OUT = re.compile(r"^make (test|test-slow|test-peers|check|setup|sanitize)\n", re.MULTILINE)


def run_block(block: Block, project: Path) -> None:
    """A page's block in a shell, or its Python in an interpreter; it must succeed."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}
    path = f"{project / '.venv' / 'bin'}:{environment['PATH']}"
    text = LEFT_OUT.sub("", block.text)
    command = ["bash", "-euo", "pipefail", "-c", text] if block.language == "sh" else [
        sys.executable, "-c", text
    ]  # fmt: skip
    done = subprocess.run(
        command, cwd=project, capture_output=True, text=True, timeout=250,
        env={**environment, **TOY, "PATH": path, "PYTHONPATH": str(project)}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{block.text}\n{done.stdout}\n{done.stderr}"


def run_blocks(page: list[Block], project: Path) -> None:
    """A page's blocks in order, without those that tests cannot run."""
    for block in page:
        if block.not_run is None:
            run_block(block, project)


def check_made(project: Path) -> None:
    """What `make run` is to leave, whole; and that a second one has nothing to do."""
    report = json.loads((project / "runs" / "tiny" / "report.json").read_text())
    config = json.loads((project / "runs" / "tiny" / "config.json").read_text())
    assert len(report["held_out_bpb"]) == config["model"]["prediction_heads"]
    assert set(report["compressors"]) == {"gzip", "zstd", "xz", "brotli"}
    assert all(row["identical"] for row in report["speed"])
    assert {row["k"] for row in report["speed"]} == {1, 2, 4, 8}
    assert report["humaneval"]["n"] == 164
    assert report["micro"]["n"] == 20
    assert report["missing"] == []
    summary = (project / "runs" / "tiny" / "summary.json").read_bytes()
    again = make("run", folder=project, **TOY)
    assert again.returncode == 0
    assert '"trained_now": false' in again.stdout
    assert "eval complete" not in again.stdout
    assert (project / "runs" / "tiny" / "summary.json").read_bytes() == summary


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_the_commands_of_the_pages_run(tmp_path: Path) -> None:
    """In one checkout, small in every dimension.

    README's `make run` comes first: the model that it trains is what the pages use. The rest runs
    two pages at a time, each in its own order.
    """
    project = checkout(tmp_path / "project")
    pages = [page for page in DOCS if page not in (MANY_GPUS, PYTHON)]
    first, *rest = blocks(README, "sh")
    assert first.text.startswith("make run\n")
    run_block(first, project)
    check_made(project)
    todo = [[*rest, *blocks(README, "python")]]
    todo += [[*blocks(page, "sh"), *blocks(page, "python")] for page in pages]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(partial(run_blocks, project=project), todo))
