"""SIGTERM and SIGINT at any moment: a whole checkpoint or none, a clear line, and no traceback."""

import contextlib
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support import bytelm_command
from training import Running, assert_same, newest, rows_of, start, train

from bytelm.checkpoint import check_checkpoint, list_checkpoints
from bytelm.files.claims import claimed
from bytelm.scoring import Score, score_documents
from bytelm.training.loop import evaluation
from bytelm.training.loop import trainer as trainer_module
from bytelm.training.run_options import RunOptions

BOTH = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])


def leave(running: Running, number: signal.Signals) -> None:
    """Ask a run to stop, and see that it does so well."""
    running.signal(number)
    assert running.end() == 128 + number, running.said
    for word in ("Traceback", "Exception ignored", "Error"):
        assert word not in running.said, running.said
    checkpoints = list_checkpoints(running.run / "checkpoints")
    for checkpoint in checkpoints:
        check_checkpoint(checkpoint)
    last = running.said.splitlines()[-1]
    if running.out.read_text():
        assert last == f"stopped by {number.name} and saved; go on with --resume"
        assert running.figures()["ended"] == number.name
        step = running.figures()["steps"]
        assert newest(running.run).name == f"step-{step:09d}"
        assert rows_of(running.run)[-1:] == [] or rows_of(running.run)[-1]["step"] == step
    else:
        assert last == "stopped"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("begun", "wait_s", "number"),
    [(False, 0.1, signal.SIGTERM), (True, 0.5, signal.SIGINT), (True, 5.0, signal.SIGTERM)],
)
def test_while_compiling(
    few_shards: Path, tmp_path: Path, begun: bool, wait_s: float, number: signal.Signals
) -> None:
    """With no machine code at hand, which lies beside the run folders."""
    running = start(few_shards, tmp_path / "run", "--compile", "--bytes", "400000")
    running.wait_for(", float32")
    code = tmp_path / ".cache" / "inductor"
    if begun:
        running.wait_until(lambda: any(code.glob("*")))
    time.sleep(wait_s)
    leave(running, number)
    assert "without compiled code" not in running.said


@pytest.mark.slow
def test_what_waits_to_be_compiled_is_left(
    few_shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A compiler that takes its time, as on a busy machine, and several pieces to compile."""
    script = tmp_path / "slow"
    log = tmp_path / "log"
    script.write_text(
        f'#!/bin/sh\ncase "$*" in *.main.cpp*) echo >> {log}; sleep 5;; esac\nexec g++ "$@"\n'
    )
    script.chmod(0o755)
    monkeypatch.setenv("CXX", str(script))
    running = start(few_shards, tmp_path / "run", "--compile", "--bytes", "400000")
    running.wait_until(log.exists)
    time.sleep(1)
    leave(running, signal.SIGTERM)


@pytest.mark.slow
@BOTH
def test_in_the_first_steps(few_shards: Path, tmp_path: Path, number: signal.Signals) -> None:
    running = start(few_shards, tmp_path / "run", "--bytes", "400000")
    running.wait_for_rows(1)
    leave(running, number)
    assert 1 <= running.figures()["steps"] < 400_000 // 512


@pytest.mark.slow
@BOTH
def test_while_saving_and_while_loading(
    few_shards: Path, tmp_path: Path, number: signal.Signals
) -> None:
    run = tmp_path / "run"
    options = ("--bytes", "400000", "--save-steps", "1")
    running = start(few_shards, run, *options)
    running.wait_for_rows(3)
    running.wait_until(lambda: any(run.glob("checkpoints/.step-*")))
    leave(running, number)
    assert len(list_checkpoints(run / "checkpoints")) == RunOptions().keep
    step = running.figures()["steps"]
    # From importing torch, which takes a second or more, to stepping.
    for wait_s in (0.5, 2.0) if number == signal.SIGTERM else (1.0, 4.0):
        running = start(few_shards, run, *options)
        # Before the command has its handlers, a signal is the system's to answer.
        running.wait_for_handlers()
        time.sleep(wait_s)
        leave(running, number)
        assert int(newest(run).name.removeprefix("step-")) >= step


@pytest.mark.slow
@pytest.mark.parametrize("when", ["at once", "midway"])
def test_while_held_out_text_is_scored(
    few_shards: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    when: str,
) -> None:
    """The row that was to hold the score is not written without it, but after resuming."""
    options = ("--eval-steps", "5", "--bytes", str(512 * 12))
    arguments = train(few_shards, tmp_path / "whole", *options)
    assert bytelm_command(*arguments) == 0

    def interrupted(*arguments: Any, **named: Any) -> Score:
        if when == "midway":
            score_documents(*arguments, **named)
        os.kill(os.getpid(), signal.SIGTERM)
        return score_documents(*arguments, **named)

    monkeypatch.setattr(evaluation, "score_documents", interrupted)
    run = tmp_path / "run"
    for _ in range(2):
        # The second time as it resumes: still before anything else is done.
        assert bytelm_command(*train(few_shards, run, "--resume", *options)) == 143
        assert "stopped by SIGTERM and saved" in capsys.readouterr().err
        assert [row["step"] for row in rows_of(run)] == [1, 2, 3, 4]
        assert check_checkpoint(newest(run))["progress"]["pending"]["step"] == 5
    monkeypatch.setattr(evaluation, "score_documents", score_documents)
    assert bytelm_command(*train(few_shards, run, "--resume", *options)) == 0
    assert_same(run, tmp_path / "whole")


@pytest.mark.medium
def test_at_the_last_look(
    few_shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All is trained, but the last row lacks its score: resuming adds it, once."""
    options = ("--eval-steps", "5", "--bytes", str(512 * 5))
    run = tmp_path / "run"

    def interrupted(*_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(evaluation, "score_documents", interrupted)
    assert bytelm_command(*train(few_shards, run, *options)) == 143
    monkeypatch.setattr(evaluation, "score_documents", score_documents)
    for _ in range(2):
        assert bytelm_command(*train(few_shards, run, "--resume", *options)) == 0
        assert [row["step"] for row in rows_of(run)] == [1, 2, 3, 4, 5]
        assert rows_of(run)[-1]["held_out_bpb"][0] > 1
    assert json.loads((run / "summary.json").read_text())["ended"] == "budget"


@pytest.mark.medium
@pytest.mark.parametrize("moment", ["enter", "exit"])
def test_a_signal_as_the_loop_begins_or_ends(
    few_shards: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    moment: str,
) -> None:
    """Between the handlers' coming and the loop, and between the loop and their going."""
    closing: Callable[..., contextlib.AbstractContextManager[None]] = trainer_module._closing

    @contextlib.contextmanager
    def struck(callbacks: object) -> Iterator[None]:
        if moment == "enter":
            os.kill(os.getpid(), signal.SIGTERM)
        with closing(callbacks):
            yield
        if moment == "exit":
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(trainer_module, "_closing", struck)
    run = tmp_path / "run"
    status = bytelm_command(*train(few_shards, run, "--bytes", "2048"))
    assert status == 143
    assert newest(run).name == f"step-{0 if moment == 'enter' else 4:09d}"
    assert "stopped by SIGTERM and saved" in capsys.readouterr().err


@pytest.mark.medium
def test_a_run_that_goes_on_is_not_begun_twice(
    few_shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    with claimed(run):
        assert bytelm_command(*train(few_shards, run, "--bytes", "2048")) == 2
    assert f"another process is writing to {run}" in capsys.readouterr().err
    assert bytelm_command(*train(few_shards, run, "--bytes", "2048")) == 0
