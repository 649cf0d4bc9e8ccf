"""What a training step costs: the memory that is counted, the plain way, rows and their ratios."""

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from support import random_model, small_config
from torch import Tensor

from bytelm.base.errors import InputError
from bytelm.config import HEAD_KINDS, LAYERED_KINDS
from bytelm.training.batches.packing import Batch, Packing
from bytelm.training.cell import PlainObjective, TorchObjective, peak_above_start, random_batches
from bytelm.training.cost import CostOptions, _ways, training_costs
from bytelm.training.objective import Objective
from bytelm.training.options import TrainOptions, resolve

MODEL = {"width": 64, "hidden": 96, "layers": 6, "ngram_rows": 512}
SMALL = resolve("tiny", MODEL, {"block": 64, "batch": 2})
TOY = CostOptions(*SMALL, steps=3, compiled=False, dtype="float32")


def test_the_peak_counts_what_is_held_at_once() -> None:
    mega = 2**20

    def work() -> None:
        first = torch.empty(4 * mega, dtype=torch.uint8)
        second = torch.empty(2 * mega, dtype=torch.uint8)
        del first
        third = torch.empty(3 * mega, dtype=torch.uint8)
        del second, third

    # 4 + 2 at once, then 2 + 3; all together would be 9.
    assert peak_above_start(work, "cpu") == pytest.approx(6 * mega, abs=1024)


def test_what_was_held_before_is_not_counted() -> None:
    held = [torch.empty(2**20)]
    assert peak_above_start(held.clear, "cpu") == 0
    assert peak_above_start(lambda: torch.empty(2**20), "cpu") == pytest.approx(4 << 20, abs=1024)


def test_the_peak_of_a_backward_holds_what_it_saved() -> None:
    x = torch.randn(64, 1024, requires_grad=True)
    size = x.numel() * 4

    def work() -> None:
        y = x.exp()
        z = y.sin()
        torch.autograd.backward(z.sum())
        x.grad = None

    # Saved for the backward: y and z stay until it ends, and gradients come beside them.
    assert 3 * size <= peak_above_start(work, "cpu") <= 5 * size


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_the_peak_on_a_gpu_is_the_allocators() -> None:
    held = torch.empty(8 << 20, dtype=torch.uint8, device="cuda")
    work = lambda: torch.empty(4 << 20, dtype=torch.uint8, device="cuda")  # noqa: E731
    assert peak_above_start(work, "cuda") == pytest.approx(4 << 20, abs=2 << 20)
    del held


def gradients(objective: Objective, heads: int) -> tuple[Tensor, dict[str, Tensor]]:
    objective.model.zero_grad()
    options = TrainOptions(block=40, batch=2)
    losses = objective.backward(random_batches(options, heads, "cpu")(7))
    named = objective.model.named_parameters()
    return losses, {name: p.grad.clone() for name, p in named if p.grad is not None}


# Another attention adds in another order.
@pytest.mark.parametrize(("way", "atol"), [(PlainObjective, 1e-6), (TorchObjective, 1e-5)])
@pytest.mark.parametrize("kind", HEAD_KINDS)
def test_the_other_ways_compute_the_same(kind: str, way: type[Objective], atol: float) -> None:
    config = small_config(layers=5, head_kind=kind, prediction_heads=4)
    model = random_model(config).requires_grad_(True)
    losses, expected = gradients(Objective(model, 0.3), 4)
    objective = way(model, 0.3)
    assert (objective._attend is None) == (way is TorchObjective)
    other_losses, found = gradients(objective, 4)
    torch.testing.assert_close(other_losses, losses)
    assert not other_losses.requires_grad
    assert set(found) == set(expected)
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, expected[name], rtol=1e-4, atol=atol)


def test_random_batches_are_the_same_bytes_for_any_number_of_heads() -> None:
    options = TrainOptions(block=16, batch=3)
    one, four = (random_batches(options, heads, "cpu") for heads in (1, 4))
    assert torch.equal(one(5).ids_BT, four(5).ids_BT)
    assert not torch.equal(one(5).ids_BT, one(6).ids_BT)
    batch = four(5)
    for head in range(4):
        ahead = batch.ids_BT[:, head + 1 :]
        assert torch.equal(batch.labels_nBT[head][:, : ahead.shape[1]], ahead)


class Clock:
    """Every look at it is `tick` seconds after the one before; so is the processors' time."""

    def __init__(self, tick: float) -> None:
        self.now, self.tick = 0.0, tick

    def read(self) -> float:
        self.now += self.tick
        return self.now


@pytest.mark.medium
def test_rows_are_complete_and_consistent(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # A clock of its own: on a busy machine the parts of a step may take any time.
    clocks = SimpleNamespace(perf_counter=Clock(0.25).read, process_time=Clock(0.5).read)
    monkeypatch.setattr("bytelm.training.cell.time", clocks)
    monkeypatch.setattr("bytelm.training.cost.matmul_flops_per_s", lambda *_: 1e9)
    options = dataclasses.replace(TOY, kinds=HEAD_KINDS, heads=(1, 2, 8), plain=True)
    figures = training_costs(options)
    rows = {(row["kind"], row["n"], row["way"]): row for row in figures["rows"]}
    left_out = [(entry["kind"], entry["n"]) for entry in figures["left_out"]]
    # Of six layers there are none to spare for so many heads.
    assert left_out == [(kind, 8) for kind in LAYERED_KINDS]
    assert len(rows) == len(figures["rows"])
    assert set(rows) == {
        (kind, n, way)
        for kind in HEAD_KINDS
        for n in (1, 2, 8)
        for way in (("sequential", "plain") if n > 1 else ("sequential",))
        if (kind, n) not in left_out
    }
    assert "left out: causal heads, n = 8: model.layers" in capsys.readouterr().err
    for (kind, n, _), row in rows.items():
        one = rows[kind, 1, "sequential"]
        if n == 1:
            assert (row["ratio"], row["peak_ratio"]) == (1, 1)
            assert row["ratio_quartiles"] == [1, 1]
        low, high = row["ratio_quartiles"]
        assert 0 < low <= row["ratio"] <= high
        assert row["peak_bytes"] == row["held_bytes"] + row["activation_bytes"]
        assert row["peak_ratio"] == row["peak_bytes"] / one["peak_bytes"]
        assert row["params"] == pytest.approx(one["params"], rel=0.01)
        # Weights and one moment of each at least, two where it is Adam's; in float32.
        assert 8 * row["params"] <= row["held_bytes"] <= 12 * row["params"] + 4 * 2600 * 32
        # Gradients of what is not in tables are alive at the end of the backward.
        assert row["activation_bytes"] > 4 * (row["params"] - 4 * 512 * 64)
        # The clock is read at the beginning, between the two parts, and at the end.
        assert row["forward_backward_s"] == row["optimizer_s"] == 0.25
        assert row["shortest_step_s"] == row["step_s"] == 0.5
        assert row["cpu_s"] == 0.5
        assert row["matmul_share"] == pytest.approx(row["flops"] / 0.5 / 1e9)
        assert row["compiled"] is False


@pytest.mark.slow
def test_without_compiled_code_beside_it() -> None:
    figures = training_costs(dataclasses.replace(TOY, kinds=("block",), heads=(1, 2), eager=True))
    ways = [(row["n"], row["way"]) for row in figures["rows"]]
    # Nothing of TOY is compiled, so that "eager" would be the same again.
    assert ways == [(n, way) for n in (1, 2) for way in ("sequential", "torch")]
    one = figures["rows"][0]
    assert (one["ratio"], one["peak_ratio"]) == (1, 1)
    assert {row["flops"] for row in figures["rows"][:2]} == {one["flops"]}
    assert not any(row["compiled"] for row in figures["rows"])


def test_ways_that_are_the_same_are_not_measured_twice() -> None:
    options = dataclasses.replace(TOY, compiled=True, eager=True, plain=True)
    assert _ways(options, 1) == ["sequential", "eager", "torch"]
    assert _ways(options, 2) == ["sequential", "plain", "eager", "torch"]
    # There is no attention but torch's on a GPU.
    assert _ways(dataclasses.replace(options, device="cuda"), 1) == ["sequential", "eager"]


@pytest.mark.slow
def test_one_head_at_a_time_takes_less_memory_than_the_plain_sum() -> None:
    model, train = resolve("tiny", {**MODEL, "layers": 9}, {"block": 512, "batch": 2})
    wide = CostOptions(model, train, steps=3, compiled=False, dtype="float32")
    options = dataclasses.replace(wide, kinds=("block",), steps=1, plain=True)
    rows = training_costs(options)["rows"]
    step = {(row["n"], row["way"]): row["activation_bytes"] for row in rows}
    # One layer's activations fewer for every head but the one that runs.
    assert (
        step[8, "sequential"]
        < step[4, "sequential"]
        < step[2, "sequential"]
        < step[1, "sequential"]
    )
    assert step[8, "plain"] > 1.5 * step[8, "sequential"]
    assert step[8, "plain"] > step[1, "sequential"]


@pytest.mark.slow
def test_batches_may_come_from_shards(shards: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packings: list[Packing] = []
    read = Packing.batch_at

    def noting(self: Packing, index: int) -> Batch:
        packings.append(self)
        return read(self, index)

    monkeypatch.setattr(Packing, "batch_at", noting)
    rows = training_costs(dataclasses.replace(TOY, data=shards, heads=(1, 2)))["rows"]
    assert {row["n"] for row in rows} == {1, 2}
    # Every model reads a packing of its own.
    assert len(set(map(id, packings))) == len(rows)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"heads": (2, 4)}, "must hold 1"),
        ({"steps": 0}, "^steps must be at least 1, and heads must hold 1"),
        ({"train": TrainOptions(block=999_999)}, "exceeds the context"),
        ({"data": Path("nowhere")}, "nowhere"),
        (
            {"model": dataclasses.replace(SMALL[0], layers=1), "kinds": ("block",)},
            "block heads, n = 1: .*layers must exceed",
        ),
    ],
)
def test_wrong_input_is_said(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says):
        training_costs(dataclasses.replace(TOY, **changes))
