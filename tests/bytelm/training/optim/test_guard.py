"""Gradients that would spoil a model: skipped, counted, shown, and in the end given up on."""

import json
from collections.abc import Callable, Container
from pathlib import Path
from typing import Any

import pytest
import torch
from support import bytelm_command
from torch import Tensor
from training import assert_same, newest, refuse, rows_of, train

from bytelm.checkpoint import check_checkpoint, list_checkpoints
from bytelm.scoring import Score, score_documents
from bytelm.training.batches.packing import Batch
from bytelm.training.objective import Objective
from bytelm.training.optim.guard import Guard, GuardOptions, NotFiniteError

SIZE = ("--bytes", str(512 * 84))
NAN = float("nan")


class Killed(BaseException):
    """What ends a run in this process as kill -9 would: nothing is saved on the way out."""


class Spoiler:
    """Multiplies the gradients (and, if `losses`, the losses) of some steps by a factor.

    It knows the weights before each step.
    """

    def __init__(self, steps: Container[int], factor: float, losses: bool = False) -> None:
        self.steps, self.factor, self.losses = steps, factor, losses
        self.step, self.killed_at = 0, 0
        self.weights: list[Tensor] = []

    def backward(
        self,
        original: Callable[..., Tensor],
        model: Objective,
        batch: Batch,
        counts_n: Tensor,
        scale: float,
    ) -> Tensor:
        self.step += 1
        if self.step == self.killed_at:
            raise Killed
        flat = [p.detach().flatten() for p in model.model.parameters()]
        self.weights.append(torch.cat(flat).clone())
        losses_n = original(model, batch, counts_n, scale)
        if self.step in self.steps:
            for parameter in model.model.parameters():
                if parameter.grad is not None:
                    parameter.grad.mul_(self.factor)
            losses_n = losses_n * self.factor if self.losses else losses_n
        return losses_n


def spoil(monkeypatch: pytest.MonkeyPatch, spoiler: Spoiler) -> Spoiler:
    original = Objective.backward
    monkeypatch.setattr(
        Objective,
        "backward",
        lambda model, *arguments: spoiler.backward(original, model, *arguments),
    )
    return spoiler


def begin(shards: Path, run: Path, *more: str) -> int:
    return bytelm_command(*train(shards, run, *SIZE, *more))


@pytest.mark.slow
@pytest.mark.parametrize("losses", [False, True])
@pytest.mark.parametrize(("factor", "at"), [(NAN, 5), (1000.0, 70)])
def test_a_bad_step_is_skipped_and_counted(
    few_shards: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    factor: float,
    at: int,
    losses: bool,
) -> None:
    spoiler = spoil(monkeypatch, Spoiler({at}, factor, losses))
    assert begin(few_shards, tmp_path / "run") == 0
    said = capsys.readouterr()
    rows = rows_of(tmp_path / "run")
    assert [row["step"] for row in rows] == list(range(1, 85))
    assert [row["skipped"] for row in rows] == [0] * (at - 1) + [1] * (85 - at)
    before, after, later = spoiler.weights[at - 1 : at + 2]
    assert torch.equal(before, after)
    assert not torch.equal(after, later)
    bad = rows[at - 1]
    if factor is NAN:
        assert bad["grad_norm"] is None
        assert (bad["bpb"] is None) == losses
    else:
        assert bad["grad_norm"] > 20 * rows[at]["grad_norm"]
    summary = json.loads((tmp_path / "run" / "summary.json").read_text(), parse_constant=refuse)
    assert summary["skipped"] == 1
    assert json.loads(said.out.splitlines()[-1])["skipped"] == 1
    assert ", 1 skipped" in said.err
    assert "1 steps skipped" in said.err
    assert all(row["bpb"] is None or row["bpb"] < 8.2 for row in rows if row is not bad)


@pytest.mark.slow
def test_no_spike_is_told_before_there_is_a_usual_norm(
    few_shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(monkeypatch, Spoiler({60}, 1000.0))
    assert begin(few_shards, tmp_path / "run") == 0
    assert rows_of(tmp_path / "run")[-1]["skipped"] == 0


def test_spikes_that_do_not_end_are_the_new_usual() -> None:
    """Skipping leaves the weights where they are: what is skipped for ever is the rest of a run."""
    guard = Guard(GuardOptions())
    for _ in range(70):
        assert guard.admits([1.0], 0.4)
    skipped = [not guard.admits([1.2], 16.0) for _ in range(100)]
    assert skipped == [True] * 5 + [False] * 95
    assert guard.skipped == 5
    assert guard.usual() == 16.0
    # And from then on one is told from them again.
    assert not guard.admits([1.0], 1000.0)
    assert not any(guard.admits([NAN], 16.0) for _ in range(18))
    with pytest.raises(NotFiniteError, match="20 steps in a row"):
        guard.admits([NAN], 16.0)


@pytest.mark.slow
def test_twenty_in_a_row_end_the_run_and_name_the_last_good_checkpoint(
    few_shards: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spoil(monkeypatch, Spoiler(range(65, 100), NAN))
    run = tmp_path / "run"
    assert begin(few_shards, run, "--bytes", "60000", "--save-steps", "30") == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
    [line] = errors
    assert line.startswith("error: training diverged: 20 steps in a row were skipped")
    good = list_checkpoints(run / "checkpoints")[0]
    assert good.name == "step-000000060"
    assert f"the last good checkpoint is {good}; " in line
    check_checkpoint(good)
    rows = rows_of(run)
    assert rows[-1]["step"] == 83
    assert rows[-1]["skipped"] == 19


@pytest.mark.slow
@pytest.mark.parametrize("factor", [NAN, 1000.0])
def test_killed_after_a_skipped_step_it_ends_as_if_it_had_not_been(
    few_shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, factor: float
) -> None:
    """The guard's count and its usual norm survive: the same steps are skipped afterwards."""
    spoiler = spoil(monkeypatch, Spoiler({70, 71, 76}, factor))
    assert begin(few_shards, tmp_path / "whole", "--save-steps", "1") == 0
    spoiler.step, spoiler.killed_at = 0, 72
    with pytest.raises(Killed):
        begin(few_shards, tmp_path / "killed", "--save-steps", "1")
    about = check_checkpoint(newest(tmp_path / "killed"))
    assert about["step"] == 71
    assert about["progress"]["guard"]["in_a_row"] == 2
    spoiler.step, spoiler.killed_at = 71, 0
    assert begin(few_shards, tmp_path / "killed", "--save-steps", "1", "--resume") == 0
    assert_same(tmp_path / "killed", tmp_path / "whole")
    assert rows_of(tmp_path / "killed")[-1]["skipped"] == 3


def test_a_guard_takes_up_where_it_was() -> None:
    guard, resumed = Guard(GuardOptions(patience=3)), Guard(GuardOptions(patience=3))
    for step in range(70):
        assert guard.admits([1.0], 1.0 + step / 7)
    assert not guard.admits([NAN], 1.0)
    assert not guard.admits([1.0], 1000.0)
    resumed.load(json.loads(json.dumps(guard.state(), allow_nan=False)))
    assert resumed.state() == guard.state()
    assert resumed.usual() == guard.usual()
    with pytest.raises(NotFiniteError, match="3 steps in a row"):
        resumed.admits([1.0], NAN)


@pytest.mark.medium
def test_what_json_cannot_say_is_not_in_the_metrics(
    few_shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights that overflow make held-out scores that are no numbers."""

    def overflow(*words: Any, **options: Any) -> Score:
        score = score_documents(*words, **options)
        score.bits_DN[:] = float("inf")
        return score

    monkeypatch.setattr("bytelm.training.loop.evaluation.score_documents", overflow)
    run = tmp_path / "run"
    assert begin(few_shards, run, "--bytes", str(512 * 4), "--eval-steps", "1") == 0
    # rows_of refuses what JSON does not know.
    assert [row["held_out_bpb"] for row in rows_of(run)] == [None] * 4
    summary = json.loads((run / "summary.json").read_text(), parse_constant=refuse)
    assert summary["held_out_bpb"] is None
