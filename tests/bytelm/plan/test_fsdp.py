"""What a GPU holds and sends: counted beside FSDP2 itself, the optimizers and a checkpoint."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from support import ROOT, python, random_model, small_config
from torch.utils.flop_counter import FlopCounterMode

from bytelm.config import HEAD_KINDS, ModelConfig, load_preset, model_config, preset_names
from bytelm.model.model import Model
from bytelm.plan.estimate import muon_flops, run_figures
from bytelm.plan.fsdp import Sharded
from bytelm.training.batches.packing import Batch
from bytelm.training.objective import Objective
from bytelm.training.optim.optimizer import Optimizers
from bytelm.training.optim.options import OptimizerOptions

# Training's own sharding on one of so many ranks that do not exist: torch's "fake" process group.
FSDP = """
import json, sys
import torch, torch.distributed as dist
from torch.testing._internal.distributed.fake_pg import FakeStore
from torch.utils._python_dispatch import TorchDispatchMode
sys.path.insert(0, {root!r})
from bytelm.config import ModelConfig
from bytelm.model.model import Model
from bytelm.training.optim.muon import local
from bytelm.training.objective import Objective
from bytelm.training.batches.packing import Batch
from bytelm.training.device.fsdp import shard
gpus, values = int(sys.argv[1]), json.loads(sys.argv[2])
dist.init_process_group("fake", rank=0, world_size=gpus, store=FakeStore())
model = Model(ModelConfig(**values))
shard(model, "cpu", torch.bfloat16)
sent = 0

class Count(TorchDispatchMode):
    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        global sent
        if "c10d" in str(function):
            whole, piece = sorted((t.nbytes for t in args[:2]), reverse=True)
            assert whole == gpus * piece, (function, whole, piece)
            sent += whole - piece
        return function(*args, **(kwargs or {{}}))

ids = torch.randint(0, 256, (2, 32))
with Count():
    Objective(model, 1.0, torch.bfloat16).backward(Batch(ids, ids.expand(model.heads.n, 2, 32)))
held = sum(local(parameter).nbytes for parameter in model.parameters())
gradients = sum(local(parameter.grad).nbytes for parameter in model.parameters())
print(json.dumps([held, gradients, sent]))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("gpus", "changes"),
    [
        (2, {}),
        (7, {}),
        (64, {}),
        (4, {"head_kind": "block", "layers": 5, "prediction_heads": 3}),
        (4, {"head_kind": "causal", "layers": 5, "prediction_heads": 3}),
    ],
)
def test_shards_and_traffic_are_those_of_fsdp(gpus: int, changes: dict[str, Any]) -> None:
    base = {"width": 64, "layers": 3, "attention_heads": 4, "kv_heads": 2, "hidden": 176}
    values: dict[str, Any] = {**base, "context": 64, **changes}
    done = python("-c", FSDP.format(root=str(ROOT)), str(gpus), json.dumps(values))
    assert done.returncode == 0, done.stderr
    sharded = Sharded(Model(ModelConfig(**values)), gpus)
    expected = [sharded.weights_bytes(), sharded.gradients_bytes(0), sharded.micro_traffic_bytes()]
    assert json.loads(done.stdout.splitlines()[-1]) == expected


def trained(config: ModelConfig) -> tuple[Model, Optimizers]:
    """A model after one step of its optimizers."""
    model = random_model(config).requires_grad_(True)
    optimizers = Optimizers(model, OptimizerOptions())
    ids = torch.randint(0, 256, (2, 30))
    labels = torch.randint(0, 256, (config.prediction_heads, 2, 30))
    Objective(model, 1.0).backward(Batch(ids, labels))
    optimizers.step(1.0, optimizers.norm())
    return model, optimizers


@pytest.mark.parametrize(
    "changes",
    [
        {"ngram_orders": (), "ngram_rows": 0},
        *({"head_kind": kind, "layers": 10} for kind in HEAD_KINDS),
    ],
)
def test_the_optimizers_state_to_the_byte(changes: dict[str, object]) -> None:
    model, optimizers = trained(small_config(**changes))
    tensors, _ = optimizers.tensors()
    assert Sharded(model, 1).optimizer_bytes() == sum(t.nbytes for t in tensors.values())


def test_a_checkpoint_on_disk(run_folder: Path) -> None:
    """To the byte but for names and shapes, which the files' headers hold."""
    about = json.loads((run_folder / "config.json").read_bytes())
    with torch.device("meta"):
        model = Model(model_config(about["model"], "config.json"))
    [folder] = sorted((run_folder / "checkpoints").iterdir())[-1:]
    size = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    planned = run_figures(model, 128, 1, 1)["checkpoint_bytes"]
    assert 0 < size - planned < 20_000


@pytest.mark.parametrize("name", preset_names())
def test_parameters_of_every_preset(name: str) -> None:
    with torch.device("meta"):
        model = Model(model_config(load_preset(name)["model"], name))
    total = sum(p.numel() for p in model.parameters())
    assert run_figures(model, 64, 1, 1)["params"] == total
    assert Sharded(model, 1).weights_bytes() == 4 * total
    # Ever more GPUs hold ever less each, together never less than the whole.
    sizes = [Sharded(model, gpus).weights_bytes() for gpus in (1, 2, 8, 64)]
    assert sizes == sorted(sizes, reverse=True)
    assert 64 * sizes[-1] >= sizes[0] > 4 * Sharded(model, 64).whole


@pytest.mark.parametrize("kind", HEAD_KINDS)
def test_parameters_of_every_kind_of_head(kind: str) -> None:
    with torch.device("meta"):
        model = Model(small_config(head_kind=kind, layers=10))
    total = sum(p.numel() for p in model.parameters())
    assert run_figures(model, 64, 1, 1)["params"] == total
    assert Sharded(model, 1).weights_bytes() == 4 * total


def test_muons_products() -> None:
    model = random_model(small_config()).requires_grad_(True)
    optimizers = Optimizers(model, OptimizerOptions())
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter)
    with FlopCounterMode(display=False) as counter:
        optimizers.parts["muon"].step()
    assert counter.get_total_flops() == muon_flops(model)
