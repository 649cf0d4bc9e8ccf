"""The sequential head backward gives the plain sum's gradients, with one head's memory."""

import pytest
import torch
from support import ROOT, python, random_model, small_config
from training import random_batch

from bytelm.config import HEAD_KINDS
from bytelm.model.heads import Output
from bytelm.model.model import Model
from bytelm.training.batches.packing import IGNORE, Batch
from bytelm.training.native.attend import native_attention
from bytelm.training.objective import Objective, cross_entropy


def batch_of(heads: int) -> Batch:
    """A batch of whose labels some do not count."""
    batch = random_batch(heads)
    random = torch.rand(batch.labels_nBT.shape, generator=torch.Generator().manual_seed(5))
    batch.labels_nBT[random < 0.2] = IGNORE
    return batch


def plain_gradients(model: Model, batch: Batch, weight: float) -> dict[str, torch.Tensor]:
    # With the attention that training uses: what is compared is the order of the backwards.
    place = model.place_alone(batch.ids_BT, attend=native_attention(model))
    output = Output(model.run_trunk(model.embed(batch.ids_BT), place), place)
    total = torch.zeros(())
    for head, labels in enumerate(batch.labels_nBT):
        logits = model.logits(output, head)
        loss = torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORE
        )
        total = total + (1.0 if head == 0 else weight) * loss
    model.zero_grad()
    torch.autograd.backward(total)
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("kind", HEAD_KINDS)
@pytest.mark.parametrize("heads", [1, 2, 4, 8])
def test_gradients_equal_those_of_the_plain_sum(kind: str, heads: int) -> None:
    config = small_config(layers=10, head_kind=kind, prediction_heads=heads)
    model = random_model(config).requires_grad_(True)
    batch = batch_of(heads)
    expected = plain_gradients(model, batch, 0.3)
    model.zero_grad()
    losses = Objective(model, 0.3).backward(batch)
    assert losses.shape == (heads,)
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        scale = expected[name].abs().max()
        difference = (parameter.grad - expected[name]).abs().max()
        assert difference <= 1e-5 * scale, name


@pytest.mark.parametrize("kind", ["unembed", "linear", "block", "causal"])
def test_a_frozen_trunk_gets_no_gradients_and_changes_none(kind: str) -> None:
    """What heads 2..n have for themselves gets the gradients that it gets beside the rest."""
    model = random_model(small_config(layers=6, head_kind=kind, prediction_heads=4))
    batch = batch_of(4)
    expected = plain_gradients(model.requires_grad_(True), batch, 0.3)
    model.zero_grad()
    model.requires_grad_(False)
    for parameter in model.heads.drafting_parameters():
        parameter.requires_grad_(True)
    losses = Objective(model, 0.3).backward(batch)
    assert losses.shape == (4,)
    learning = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    assert 0 < len(learning) < len(expected)
    for name, parameter in model.named_parameters():
        assert (parameter.grad is not None) == (name in learning), name
        if name in learning:
            torch.testing.assert_close(parameter.grad, expected[name], rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("kind", HEAD_KINDS)
@pytest.mark.parametrize("scale", [0.0, 0.25])
def test_the_weight_of_the_other_heads_is_scaled(kind: str, scale: float) -> None:
    """At 0, heads that head 1 needs none of are not computed."""
    model = random_model(small_config(layers=6, head_kind=kind, prediction_heads=4))
    model.requires_grad_(True)
    batch = batch_of(4)
    expected = plain_gradients(model, batch, 0.4 * scale)
    model.zero_grad()
    losses = Objective(model, 0.4).backward(batch, scale=scale)
    resting = [] if scale or kind == "anticausal" else [1, 2, 3]
    assert [head for head in range(4) if losses[head].isnan()] == resting
    alone = {id(parameter) for parameter in model.heads.drafting_parameters()}
    for name, parameter in model.named_parameters():
        if resting and id(parameter) in alone:
            assert parameter.grad is None, name
        else:
            assert parameter.grad is not None
            difference = (parameter.grad - expected[name]).abs().max()
            assert difference <= 1e-5 * expected[name].abs().max(), name


def test_a_head_without_labels_costs_nothing() -> None:
    batch = batch_of(2)
    batch.labels_nBT[1] = IGNORE
    model = random_model(small_config(prediction_heads=2)).requires_grad_(True)
    losses = Objective(model, 1.0).backward(batch)
    assert losses[1] == 0
    assert model.embedding.weight.grad is not None
    assert model.embedding.weight.grad.isfinite().all()


def test_cross_entropy_is_torchs() -> None:
    y, weight = torch.randn(2, 5, 8), torch.randn(264, 8)
    labels = torch.randint(0, 264, (2, 5))
    labels[0, 0] = IGNORE
    expected = torch.nn.functional.cross_entropy(
        (y @ weight.T).flatten(0, 1), labels.flatten(), ignore_index=IGNORE
    )
    torch.testing.assert_close(cross_entropy(y, weight, labels, torch.tensor(9)), expected)


MEMORY = """
import sys, torch
sys.path.insert(0, {root!r})
from bytelm.config import ModelConfig
from bytelm.model.heads import Output
from bytelm.model.model import Model
from bytelm.training.native.attend import native_attention
from bytelm.training.objective import Objective
from bytelm.training.batches.packing import Batch
from bytelm.training.loop.watching import peak_bytes
model = Model(ModelConfig(128, 9, 4, 4, 512, 1024, head_kind="block"))
ids = torch.zeros((4, 1024), dtype=torch.int64)
batch = Batch(ids, torch.zeros((8, 4, 1024), dtype=torch.int64))
small = Batch(ids[:, :8], batch.labels_nBT[:, :, :8])
Objective(model, 1.0).backward(small)
before = peak_bytes("cpu")
if sys.argv[1] == "sequential":
    Objective(model, 1.0).backward(batch)
else:
    output = model(ids)
    total = sum(
        torch.nn.functional.cross_entropy(model.logits(output, i).flatten(0, 1), labels.flatten())
        for i, labels in enumerate(batch.labels_nBT)
    )
    total.backward()
print(peak_bytes("cpu") - before)
"""


@pytest.mark.slow
def test_peak_memory_holds_one_heads_activations() -> None:
    """8 block heads, a trunk of one layer: the plain sum holds 8 heads at once, we hold one."""
    code = MEMORY.format(root=str(ROOT))
    peaks = {}
    for way in ("sequential", "plain"):
        done = python("-c", code, way)
        assert done.returncode == 0, done.stderr
        peaks[way] = int(done.stdout)
    assert peaks["sequential"] < 0.5 * peaks["plain"], peaks
