"""The formulas of the plan against what autograd and the allocator really hold."""

from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from torch.autograd.graph import saved_tensors_hooks
from torch.distributed._tools.mem_tracker import MemTracker
from torch.utils.checkpoint import checkpoint

from bytelm.config import ModelConfig
from bytelm.model.model import Model
from bytelm.plan.activations import (
    MicroBatch,
    Precision,
    inputs_bytes,
    layer_bytes,
    logits_bytes,
    loss_backward_bytes,
    trunk_bytes,
    working_bytes,
)
from bytelm.training.batches.packing import Batch
from bytelm.training.objective import Objective, cross_entropy

MICRO, LARGE = MicroBatch(rows=3, block=96), MicroBatch(rows=8, block=256)
CONFIGS = {
    "plain": ModelConfig(64, 3, 4, 4, 176, 128),
    "shared keys": ModelConfig(64, 3, 4, 1, 176, 128),
    "window": ModelConfig(64, 3, 4, 4, 176, 128, window=32),
    "short windows": ModelConfig(64, 3, 4, 4, 176, 128, window=32, short_window=8),
    "some short windows": ModelConfig(64, 3, 4, 4, 176, 128, short_window=8),
    "wide": ModelConfig(128, 2, 2, 2, 96, 128),
}
# The CPU's norm keeps more than the GPU's.
PRECISIONS = {"float32": Precision(4, 4, False), "bfloat16": Precision(2, 4, False)}


class Saved:
    """The storages that autograd keeps, the weights and autocast's copies of them apart."""

    def __init__(self, model: Model) -> None:
        self.kept: dict[int, torch.UntypedStorage] = {}
        tensors = [*model.parameters(), *model.buffers()]
        self.own = {tensor.untyped_storage().data_ptr() for tensor in tensors}
        self.shapes = {tuple(p.shape) for p in model.parameters()}
        self.shapes |= {shape[::-1] for shape in self.shapes}

    def pack(self, tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in self.own and tuple(tensor.shape) not in self.shapes:
            self.kept[storage.data_ptr()] = storage
        return tensor

    @property
    def bytes(self) -> int:
        return sum(storage.nbytes() for storage in self.kept.values())


def run_trunk(model: Model, dtype: str, micro: MicroBatch, device: str = "cpu") -> tuple[int, Any]:
    """Bytes kept by a forward of the trunk, and its output (which keeps them)."""
    ids_BT = torch.randint(0, 256, (micro.rows, micro.block), device=device)
    saved = Saved(model)
    autocast = torch.autocast(device, torch.bfloat16, dtype == "bfloat16")
    with saved_tensors_hooks(saved.pack, lambda tensor: tensor), autocast:
        output = model(ids_BT)
    return saved.bytes, output


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("name", CONFIGS)
def test_what_the_trunk_keeps(name: str, dtype: str) -> None:
    config = CONFIGS[name]
    kept, _output = run_trunk(Model(config), dtype, MICRO)
    assert trunk_bytes(config, MICRO, PRECISIONS[dtype]) == pytest.approx(kept, rel=0.01)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("name", ["plain", "shared keys", "wide"])
def test_what_the_trunk_keeps_on_a_gpu(name: str) -> None:
    kept, _output = run_trunk(Model(CONFIGS[name]).to("cuda"), "bfloat16", MICRO, "cuda")
    assert trunk_bytes(CONFIGS[name], MICRO, Precision()) == pytest.approx(kept, rel=0.15)


@pytest.mark.parametrize("dtype", PRECISIONS)
def test_what_a_heads_loss_holds(dtype: str) -> None:
    micro = MicroBatch(2, 512)
    z = torch.randn(2, 512, 16, requires_grad=True)
    weight, labels = torch.randn(264, 16, requires_grad=True), torch.randint(0, 256, (2, 512))
    tracker = MemTracker()
    tracker.track_external(z, weight, labels)
    autocast = torch.autocast("cpu", torch.bfloat16, dtype == "bfloat16")
    with tracker, autocast:
        loss = cross_entropy(z, weight, labels, torch.tensor(labels.numel()))
        held = tracker.get_tracker_snapshot()[torch.device("cpu")]
        torch.autograd.backward(loss)
    assert held["Total"] - z.nbytes - weight.nbytes == pytest.approx(logits_bytes(micro), rel=0.1)
    peak = tracker.get_tracker_snapshot("peak")[torch.device("cpu")]["Total"]
    assert peak == pytest.approx(loss_backward_bytes(micro), rel=0.1)


def peak_of_a_backward(config: ModelConfig, dtype: str, recompute: bool) -> tuple[Model, int]:
    """The most that a backward of the objective holds at once, weights and constants apart."""
    model = Model(config)
    ids = torch.randint(0, 256, (LARGE.rows, LARGE.block))
    labels = torch.randint(0, 256, (config.prediction_heads, LARGE.rows, LARGE.block))
    if recompute:
        for layer in model.layers:
            layer.forward = partial(checkpoint, layer.forward, use_reentrant=False)
    tracker = MemTracker()
    tracker.track_external(model, ids, labels)
    objective = Objective(model, 1.0, getattr(torch, dtype))
    with tracker:
        objective.backward(Batch(ids, labels))
    constant = sum(tensor.nbytes for tensor in (*model.parameters(), *model.buffers()))
    return model, tracker.get_tracker_snapshot("peak")[torch.device("cpu")]["Total"] - constant


@pytest.mark.slow
@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"kv_heads": 1},
        {"width": 128, "hidden": 512},
        # The tracker takes no module that runs twice: one head, and so one norm.
        {"layers": 9, "head_kind": "block", "prediction_heads": 1},
    ],
)
def test_the_peak_of_a_backward(changes: dict[str, Any], dtype: str, recompute: bool) -> None:
    """Everything that the objective allocates, at its widest moment."""
    config = replace(ModelConfig(64, 8, 4, 4, 176, 256), **changes)
    precision = PRECISIONS[dtype]
    model, peak = peak_of_a_backward(config, dtype, recompute)
    kept = inputs_bytes if recompute else trunk_bytes
    working = working_bytes(model, LARGE, precision, recompute)
    estimate = kept(config, LARGE, precision) + working
    assert estimate == pytest.approx(peak, rel=0.1)


def test_a_layer_of_the_papers_model() -> None:
    """The formula's terms, added by hand: 7B, one position, bfloat16 under autocast."""
    config = ModelConfig(4096, 32, 32, 32, 11008, 8192)
    norms, inputs, attention = 2 * (4 * 4096 + 4), 3 * 2 * 4096, 2 * (2 + 3) * 4096 + 4 * 32
    by_hand = norms + inputs + attention + 4 * 2 * 11008
    assert layer_bytes(config, MicroBatch(1, 1), Precision()) == by_hand
