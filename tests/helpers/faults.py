"""Every command at toy size, and what can go wrong around it: streams, places, signals.

A run is a process that is forked from a server with torch imported, so it takes a part of a second.
"""

import json
import multiprocessing
import os
import signal
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any, Literal

from support import ROOT, TRAIN

Result = Literal["file", "folder", "stdout"]
Stream = Literal["captured", "closed", "full", "gone"]
Words = list[str]


@dataclass(frozen=True)
class Toy:
    """What the commands work on: shards, a trained run, and files of prompts and samples.

    `graded`: samples with verdicts.
    """

    shards: Path
    run: Path
    prompts: Path
    problems: Path
    samples: Path
    graded: Path


@dataclass(frozen=True)
class Command:
    """A command at toy size. `words`: its arguments, given the toy and its `--out`.

    `result`: what it writes. `keeps`: whether a stopped command goes on where it ended. `beside`:
    what else it may leave beside its result, as a pattern.
    """

    program: str
    words: Callable[[Toy, str], Words]
    result: Result = "file"
    keeps: bool = False
    beside: tuple[str, ...] = ()


STUDY = [
    "--widths", "32", "--layers", "1", "--heads", "1", "--seeds", "1", "--points", "2",
    "--block", "64", "--batch", "8", "--dtype", "float32", "--no-compile", "--jobs", "1",
    "--bytes", "3000",
]  # fmt: skip
SMALL = ["--prompts", "2", "--prompt-bytes", "20", "--max-bytes", "16"]
COMMANDS: dict[str, Command] = {
    "train": Command(
        "bytelm",
        lambda toy, out: ["--data", str(toy.shards), "--run", out, "--resume", *TRAIN],
        "folder",
        keeps=True,
        beside=(".cache",),
    ),
    "plan": Command("bytelm", lambda toy, out: ["--gpus", "1"], "stdout"),
    "generate": Command(
        "bytelm",
        lambda toy, out: ["--checkpoint", str(toy.run), "--prompts", str(toy.prompts),
                          "--max-bytes", "150", "--batch", "1", "--gate", "0", "--out", out],
        keeps=True,
    ),
    "generate to stdout": Command(
        "bytelm",
        lambda toy, out: ["--checkpoint", str(toy.run), "--prompt-file", str(toy.prompts),
                          "--max-bytes", "60"],
        "stdout",
    ),
    "export": Command(
        "bytelm",
        lambda toy, out: ["--checkpoint", str(toy.run), "--format", "bytelm", "--out", out],
        "folder",
    ),
    "build": Command(
        "data",
        lambda toy, out: ["--path", str(ROOT / "bytelm" / "base"), "--out", out],
        "folder",
    ),
    "suite": Command("data", lambda toy, out: ["--each", "2", "--out", out]),
    "functions": Command(
        "data",
        lambda toy, out: ["--path", str(Path(sysconfig.get_path("stdlib")) / "importlib"),
                          "--out", out],
        beside=("*.manifest.json",),
    ),
    "prompts": Command("data", lambda toy, out: ["--data", str(toy.shards), "--out", out]),
    "complete": Command(
        "eval",
        lambda toy, out: ["--checkpoint", str(toy.run), "--problems", str(toy.problems),
                          "--max-bytes", "90", "--batch", "1", "--heads", "1", "--stops", "none",
                          "--out", out],
        keeps=True,
        beside=("*.complete.json",),
    ),
    "grade": Command(
        "eval",
        lambda toy, out: ["--problems", str(toy.problems), "--samples", str(toy.samples),
                          "--results", "verdicts", "--out", out],
        keeps=True,
        beside=("verdicts",),
    ),
    "table1": Command(
        "eval",
        lambda toy, out: ["--results", str(toy.graded), "--resamples", "50", "--out", out],
        beside=("*.png",),
    ),
    "bits": Command(
        "eval", lambda toy, out: [str(toy.shards), "--checkpoint", str(toy.run), "--out", out]
    ),
    "bits of solutions": Command(
        "eval",
        lambda toy, out: ["--problems", str(toy.problems), "--checkpoint", str(toy.run),
                          "--out", out],
    ),
    "speed": Command(
        "eval",
        lambda toy, out: ["--checkpoint", str(toy.run), "--data", str(toy.shards), *SMALL,
                          "--rounds", "1", "--batches", "1", "--out", out],
    ),
    "step": Command(
        "eval",
        lambda toy, out: ["--preset", "paper-1m", "--widths", "1", "--positions", "64",
                          "--batches", "1", "--rounds", "1", "--out", out],
    ),
    "divergence": Command(
        "eval",
        lambda toy, out: ["--checkpoint", str(toy.run), "--prompts", str(toy.prompts),
                          "--max-bytes", "8", "--heads", "2", "--batches", "1", "--out", out],
    ),
    "training-time": Command(
        "eval",
        lambda toy, out: ["--model.width", "32", "--model.hidden", "48", "--model.ngram-rows", "64",
                          "--model.layers", "2", "--no-compile", "--dtype", "float32",
                          "--kinds", "unembed", "--heads", "1", "--steps", "1", "--batch", "1",
                          "--block", "16", "--out", out],
        beside=("*.png",),
    ),
    "bench": Command(
        "eval",
        lambda toy, out: ["--checkpoint", str(toy.run), "--s2-checkpoint", str(toy.run / "none"),
                          "--data", str(toy.shards), *SMALL, "--rounds", "1", "--batches", "1",
                          "--no-peers", "--out", out],
        beside=("*.png",),
    ),
    "peers": Command(
        "eval",
        lambda toy, out: ["--checkpoint", str(toy.run), "--data", str(toy.shards), *SMALL,
                          "--rounds", "1", "--dtypes", "float32",
                          "--peers", "bytelm", "bytelm-plain", "--out", out],
    ),
    "report": Command("eval", lambda toy, out: ["--run", str(toy.run)], "stdout"),
    "readme": Command(
        "eval",
        lambda toy, out: ["--pages", str(ROOT / "docs" / "results.md"),
                          "--results", str(ROOT / "results")],
        "stdout",
    ),
    "sweep": Command(
        "eval",
        lambda toy, out: ["--runs", str(toy.run), "--data", str(toy.shards), *SMALL,
                          "--out", out],
    ),
    "induction": Command(
        "eval",
        lambda toy, out: ["--out", out, *STUDY, "--names", "20", "--stories", "3"],
        "folder",
        keeps=True,
    ),
    "arithmetic": Command(
        "eval",
        lambda toy, out: ["--out", out, *STUDY, "--operations", "2", "--operations-tested", "3",
                          "--problems", "6"],
        "folder",
        keeps=True,
    ),
}  # fmt: skip
# These train models, so each of their runs takes many seconds.
STUDIES = ("induction", "arithmetic")


@dataclass(frozen=True)
class Ended:
    """How a run ended. Its status is as a shell gives it."""

    status: int
    out: bytes
    err: str
    seconds: float

    @property
    def messages(self) -> list[str]:
        """The lines on stderr without those of progress bars and of the work itself."""
        lines = [line.rpartition("\r")[2] for line in self.err.splitlines()]
        return [line for line in lines if line.startswith(("error", "stopped", "Traceback"))]


@dataclass(frozen=True)
class Around:
    """What is around a run: its streams, and the signal that it gets after some seconds."""

    stdin: Stream = "captured"
    stdout: Stream = "captured"
    stderr: Stream = "captured"
    signal: int = 0
    after_s: float = 0.0
    environment: dict[str, str] = field(default_factory=dict)


def _server() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "bytelm.training.session", "eval.measure.bench"])
    return context


def run(command: Command, name: str, words: Words, folder: Path, around: Around) -> Ended:
    """Run a command in `folder`."""
    started = time.monotonic()
    arguments = [name.partition(" ")[0], *words]
    logs = folder.with_name(f"{folder.name}.logs")
    logs.mkdir(exist_ok=True)
    for kind in ("in", "out", "err"):
        (logs / kind).write_bytes(b"")
    process = _server().Process(
        target=_child, args=(command.program, arguments, str(folder), str(logs), around)
    )
    process.start()
    process.join(120)
    assert process.exitcode is not None, f"{name} hangs"
    status = process.exitcode if process.exitcode >= 0 else 128 - process.exitcode
    out, err = (logs / kind for kind in ("out", "err"))
    return Ended(
        status, out.read_bytes(), err.read_text("utf-8", "replace"), time.monotonic() - started
    )


def _child(program: str, arguments: Words, folder: str, logs: str, around: Around) -> None:
    import importlib

    os.chdir(folder)
    os.environ.update(around.environment)
    tempfile.tempdir = None
    for number, name in enumerate(("in", "out", "err")):
        _place(number, getattr(around, f"std{name}"), f"{logs}/{name}")
    streams = zip(("stdin", "stdout", "stderr"), "rww", strict=True)
    for number, (stream, mode) in enumerate(streams):
        closed = getattr(around, stream) == "closed"
        new = None if closed else open(number, mode, closefd=False)  # noqa: SIM115
        setattr(sys, stream, new)
    import torch

    torch.set_num_threads(1)
    from bytelm.commands.cli import main

    commands: Any = importlib.import_module(f"{program}.__main__").COMMANDS
    sys.argv = [f"{program}/__main__.py", *arguments]
    if around.signal:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), around.signal))
        signal.setitimer(signal.ITIMER_REAL, max(around.after_s, 0.001))
    status = main(program, "", commands, arguments)
    # What comes after the command is this harness, which no signal shall end.
    signal.setitimer(signal.ITIMER_REAL, 0)
    sys.exit(status)


def _place(number: int, kind: Stream, log: str) -> None:
    """Make descriptor `number` what `kind` says."""
    if kind == "closed":
        os.close(number)
        return
    if kind == "gone":
        reading, writing = os.pipe()
        os.close(reading)
        source = writing
    elif kind == "full":
        source = os.open("/dev/full", os.O_RDWR)
    else:
        source = os.open(log, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(source, number)
    os.close(source)


def shape(path: Path) -> Any:
    """What a result holds, without figures that differ between two runs: times, and machines."""
    if path.is_dir():
        return sorted(entry.name for entry in path.iterdir())
    rows = [json.loads(line) for line in path.read_text().splitlines()] if _is_rows(path) else None
    return rows or sorted(json.loads(path.read_text()))


def _is_rows(path: Path) -> bool:
    first = path.read_text().partition("\n")[0]
    return first.startswith("{") and first.endswith("}")


# What happens, in the words of docs/faults.md: for each fault, the outcome of a command that writes
# a file, a folder, or stdout. tests/test_faults.py checks each of them.
OUTCOMES: dict[str, dict[Result, str]] = {
    "stderr is closed, full, or without a reader": {
        "file": "done", "folder": "done", "stdout": "done"
    },
    "stdin is closed": {"file": "done", "folder": "done", "stdout": "done"},
    "stdout is closed, full, or without a reader": {
        "file": "done, 1", "folder": "done, 1", "stdout": "ends, 1"
    },
    "SIGINT or SIGTERM": {
        "file": "stops, 130 or 143", "folder": "stops, 130 or 143", "stdout": "stops, 130 or 143"
    },
    "--out where nothing can be written": {"file": "refused", "folder": "refused"},
    "--out is of the other kind (file or folder)": {"file": "refused", "folder": "refused"},
    "--out holds other things": {"folder": "refused"},
    "--out is a link": {"file": "written through"},
    "--out is a device or a pipe": {"file": "written into"},
    "--out is full at the end": {"file": "kept elsewhere, 1"},
}  # fmt: skip


def table() -> list[str]:
    """The table of docs/faults.md."""
    lines = ["| | writes a file | writes a folder | prints |", "|---|---|---|---|"]
    for fault, by_result in OUTCOMES.items():
        cells = (by_result.get(result, "") for result in ("file", "folder", "stdout"))
        lines.append(f"| {fault} | {' | '.join(cells)} |")
    return lines


def names(result: Result) -> str:
    """The commands that have this kind of result, in words."""
    found = [name for name, command in COMMANDS.items() if command.result == result]
    return ", ".join(f"`{name}`" for name in found)
