"""Muon over stacks: torch's updates bit for bit, whole and sharded; near-orthogonal results."""

from pathlib import Path
from typing import Any

import pytest
import torch
from support import ROOT, torchrun
from torch import nn

from bytelm.training.optim.muon import Muon, orthogonalized

SHAPES = [(8, 24), (24, 8), (8, 24), (16, 16), (7, 5), (8, 24)]


def matrices(seed: int = 0) -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(seed)
    return [nn.Parameter(torch.randn(shape, generator=generator)) for shape in SHAPES]


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_the_updates_are_torchs_bit_for_bit(weight_decay: float) -> None:
    own, reference = matrices(), matrices()
    options: dict[str, Any] = {"lr": 0.02, "momentum": 0.95, "weight_decay": weight_decay}
    ours = Muon(own, **options)
    theirs: torch.optim.Optimizer = torch.optim.Muon(
        reference, adjust_lr_fn="match_rms_adamw", **options
    )
    generator = torch.Generator().manual_seed(1)
    for _ in range(4):
        for one, other in zip(own, reference, strict=True):
            one.grad = torch.randn(one.shape, generator=generator)
            other.grad = one.grad.clone()
        ours.step()
        theirs.step()
    for one, other in zip(own, reference, strict=True):
        assert torch.equal(one, other)


def test_singular_values_come_near_one() -> None:
    x = orthogonalized(torch.randn(3, 40, 20, generator=torch.Generator().manual_seed(2)),
                       torch.float32)  # fmt: skip
    values = torch.linalg.svdvals(x)
    assert values.min() > 0.5
    assert values.max() < 1.3


def test_a_matrix_without_gradient_stays() -> None:
    [first, second, *_] = matrices()
    first.grad, before = torch.randn(first.shape), second.detach().clone()
    Muon([first, second], 0.1, 0.9, 0.0).step()
    assert torch.equal(second, before)


SHARDED = """
import sys, torch, torch.distributed as dist
sys.path.insert(0, {root!r})
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import Shard, distribute_tensor
from torch import nn
from bytelm.base import ranks
from bytelm.training.optim import muon
dist.init_process_group("gloo")
mesh = init_device_mesh("cpu", (dist.get_world_size(),))
generator = torch.Generator().manual_seed(0)
shapes = [(8, 24), (24, 8), (8, 24), (7, 5), (8, 24), (1, 6)]
whole = [nn.Parameter(torch.randn(shape, generator=generator)) for shape in shapes]
parts = [nn.Parameter(distribute_tensor(w.detach().clone(), mesh, [Shard(0)])) for w in whole]
one, many = (muon.Muon(m, 0.02, 0.95, 0.1, torch.float32) for m in (whole, parts))
for _ in range(3):
    for w, p in zip(whole, parts):
        w.grad = torch.randn(w.shape, generator=generator)
        p.grad = distribute_tensor(w.grad.clone(), mesh, [Shard(0)])
    one.step()
    many.step()
worst = max(float((w - p.full_tensor()).detach().abs().max()) for w, p in zip(whole, parts))
if dist.get_rank() == 0:
    print("worst", worst)
dist.barrier()
dist.destroy_process_group()
ranks.leave(0)
"""


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [2, 3])
def test_sharded_matrices_get_the_updates_of_whole_ones(ranks: int, tmp_path: Path) -> None:
    """Rows and matrices that the ranks do not divide, and a matrix of fewer rows than ranks."""
    (tmp_path / "script.py").write_text(SHARDED.format(root=str(ROOT)))
    done = torchrun(str(tmp_path / "script.py"), ranks=ranks)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout.split()[1]) < 1e-6
