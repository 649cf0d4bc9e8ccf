"""Budget, metrics file, stopping, optimizers' state, and the choice of type."""

import itertools
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from support import ROOT, python, random_model, read_rows, small_config
from torch.overrides import TorchFunctionMode
from training import random_batch

from bytelm.training.device import speedups
from bytelm.training.device.speedups import pick_dtype
from bytelm.training.loop.budget import Budget
from bytelm.training.loop.metrics import Metrics
from bytelm.training.loop.stopping import Stopping, StopRequested
from bytelm.training.objective import Objective
from bytelm.training.optim.optimizer import Optimizers
from bytelm.training.optim.options import OptimizerOptions


def test_the_budget_is_the_first_that_is_spent() -> None:
    assert Budget(bytes=100).spent(50, 1e9) == 0.5
    assert Budget(minutes=1).spent(50, 15) == 0.25
    assert Budget(bytes=100, minutes=1).spent(50, 45) == 0.75


def test_metrics_are_cut_back_to_the_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    rows = [json.dumps({"step": step}) for step in range(1, 6)]
    path.write_text("\n".join(rows) + '\n{"step": 6, "lo')
    metrics = Metrics(path, 3)
    metrics.append({"step": 4, "new": True})
    metrics.close()
    assert read_rows(path) == [{"step": 1}, {"step": 2}, {"step": 3}, {"step": 4, "new": True}]


PARTIAL = """
import resource, sys
from pathlib import Path
sys.path.insert(0, {root!r})
from bytelm.training.loop.metrics import Metrics
metrics = Metrics(Path(sys.argv[1]), 0)
metrics.append({{"step": 1}})
resource.setrlimit(resource.RLIMIT_FSIZE, (20, resource.RLIM_INFINITY))
try:
    metrics.append({{"step": 2, "text": "does not fit"}})
except OSError as error:
    print(error.filename)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
metrics.append({{"step": 3}})
metrics.close()
"""


def test_a_row_that_fits_in_part_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    """As on a disk that fills up: the system takes the first bytes and refuses the others."""
    path = tmp_path / "metrics.jsonl"
    done = python("-c", PARTIAL.format(root=str(ROOT)), str(path))
    assert done.stdout.strip() == str(path), done.stderr
    assert path.read_text() == '{"step": 1}\n{"step": 3}\n'


def test_a_signal_strikes_at_once_outside_and_afterwards_inside() -> None:
    with Stopping() as stopping:
        stopping.release()
        with pytest.raises(StopRequested):
            os.kill(os.getpid(), signal.SIGTERM)
    assert stopping.signal == signal.SIGTERM
    done = []

    def work(stopping: Stopping) -> None:
        stopping.release()
        with stopping.protected():
            os.kill(os.getpid(), signal.SIGINT)
            done.append("whole")
        done.append("never")

    with Stopping() as stopping, pytest.raises(StopRequested):
        work(stopping)
    assert done == ["whole"]


def test_a_second_signal_does_not_disturb_the_saving() -> None:
    before = signal.getsignal(signal.SIGINT)
    with Stopping() as stopping:
        stopping.release()
        with pytest.raises(StopRequested):
            os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGINT) is before
    assert stopping.signal == signal.SIGTERM


def test_what_comes_before_the_run_waits_for_its_beginning() -> None:
    with Stopping() as stopping:
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(StopRequested):
            stopping.release()


def test_nothing_raises_once_the_run_is_ending() -> None:
    with Stopping() as stopping:
        stopping.release()
        stopping.hold()
        os.kill(os.getpid(), signal.SIGTERM)
        with stopping.protected():
            os.kill(os.getpid(), signal.SIGTERM)
    assert stopping.signal == signal.SIGTERM


def test_the_optimizers_state_survives_bit_for_bit() -> None:
    options = OptimizerOptions()
    models = [random_model(small_config()).requires_grad_(True) for _ in range(2)]
    first = Optimizers(models[0], options)
    for scale in (0.5, 1.0):
        Objective(models[0], 0.3).backward(random_batch(8))
        first.step(scale, first.norm())
    models[1].load_state_dict(models[0].state_dict())
    second = Optimizers(models[1], options)
    tensors, numbers = first.tensors()
    second.load({name: tensor.clone() for name, tensor in tensors.items()}, numbers)
    for model, optimizers in zip(models, (first, second), strict=True):
        Objective(model, 0.3).backward(random_batch(8))
        optimizers.step(0.7, optimizers.norm())
    for (name, one), other in zip(
        models[0].named_parameters(), models[1].parameters(), strict=True
    ):
        assert torch.equal(one, other), name


def test_every_parameter_has_one_optimizer() -> None:
    for kind, layers in (("unembed", 2), ("block", 10)):
        model = random_model(small_config(head_kind=kind, layers=layers)).requires_grad_(True)
        optimizers = Optimizers(model, OptimizerOptions())
        owned = [
            id(parameter)
            for part in optimizers.parts.values()
            for group in part.param_groups
            for parameter in group["params"]
        ]
        assert sorted(owned) == sorted(id(parameter) for parameter in model.parameters())


def test_gradients_are_clipped_to_the_norm(monkeypatch: pytest.MonkeyPatch) -> None:
    model = random_model(small_config()).requires_grad_(True)
    optimizers = Optimizers(model, OptimizerOptions(clip=0.01))
    Objective(model, 0.3).backward(random_batch(8))
    norm = optimizers.norm()
    assert norm > 0.01
    seen: list[float] = []
    monkeypatch.setattr(optimizers.parts["adamw"], "step", lambda: seen.append(optimizers.norm()))
    optimizers.step(1.0, norm)
    assert seen == [pytest.approx(0.01, rel=1e-3)]


@pytest.mark.medium
def test_a_wanted_type_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    def measured(device: str) -> dict[torch.dtype, float]:
        raise AssertionError("it was measured")

    monkeypatch.setattr(speedups, "_best_matmul_s", measured)
    assert pick_dtype("float32", "cpu") == torch.float32
    assert pick_dtype("bfloat16", "cpu") == torch.bfloat16


@pytest.mark.parametrize(
    ("ratio", "picked"),
    [(0.5, torch.float32), (1.0, torch.float32), (1.2, torch.float32), (1.4, torch.bfloat16)],
)
def test_bfloat16_is_picked_where_it_is_clearly_faster(
    monkeypatch: pytest.MonkeyPatch, ratio: float, picked: torch.dtype
) -> None:
    times_s = {torch.float32: ratio, torch.bfloat16: 1.0}
    monkeypatch.setattr(speedups, "_best_matmul_s", lambda _: times_s)
    assert pick_dtype("auto", "cpu") == picked


@pytest.mark.medium
def test_products_that_take_long_are_measured_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that moves a minute with each reading."""
    minutes = itertools.count()
    products: list[torch.dtype] = []

    class Counting(TorchFunctionMode):
        def __torch_function__(
            self, function: Any, types: Any, arguments: Any = (), named: Any = None
        ) -> Any:
            if function in (torch.matmul, torch.Tensor.matmul, torch.Tensor.__matmul__):
                products.append(arguments[0].dtype)
            return function(*arguments, **(named or {}))

    monkeypatch.setattr(time, "perf_counter", lambda: 60.0 * next(minutes))
    with Counting():
        assert set(speedups._best_matmul_s("cpu").values()) == {60.0}
    assert products == [torch.float32, torch.bfloat16] * 2
