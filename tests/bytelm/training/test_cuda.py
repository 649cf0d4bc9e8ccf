"""What only a GPU shows: training there learns what it learns on a CPU, compiled and not."""

from pathlib import Path

import pytest
import torch
from support import small_config
from training import random_batch, start

from bytelm.config import HEAD_KINDS
from bytelm.training.batches.packing import Batch
from bytelm.training.learner import Execution, Learner
from bytelm.training.options import TrainOptions

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


def losses_of(kind: str, execution: Execution) -> list[list[float]]:
    config = small_config(layers=6, head_kind=kind, prediction_heads=3, window=16)
    learner = Learner(config, TrainOptions(block=40, batch=2), execution)
    batch = random_batch(3)
    batch = Batch(batch.ids_BT.to(execution.device), batch.labels_nBT.to(execution.device))
    losses = []
    for _ in range(3):
        found = learner.compute_gradients([batch])
        learner.apply_gradients(found, 1.0)
        losses.append([bits for bits in found.losses_bits if bits is not None])
    assert learner.compiled == execution.compiled, "compiling failed, and training went on without"
    return losses


@pytest.mark.parametrize("kind", HEAD_KINDS)
def test_a_gpu_has_the_cpus_losses(kind: str) -> None:
    expected = losses_of(kind, Execution(compiled=False))
    found = losses_of(kind, Execution("cuda", compiled=False))
    torch.testing.assert_close(torch.tensor(found), torch.tensor(expected), rtol=1e-3, atol=0)


@pytest.mark.parametrize("kind", ["unembed", "block", "causal"])
def test_compiled_code_has_them_too(kind: str) -> None:
    expected = losses_of(kind, Execution(compiled=False))
    found = losses_of(kind, Execution("cuda", compiled=True))
    torch.testing.assert_close(torch.tensor(found), torch.tensor(expected), rtol=1e-3, atol=0)


def test_bfloat16_learns() -> None:
    losses = losses_of("unembed", Execution("cuda", torch.bfloat16, compiled=True))
    assert sum(losses[-1]) < sum(losses[0])


@pytest.mark.parametrize("device", ["cuda", "cuda:0"])
def test_a_whole_run(few_shards: Path, tmp_path: Path, device: str) -> None:
    """Loader, checkpoint and summary as well, and a second run goes on from the first."""
    for size, steps in (("5120", 10), ("10240", 20)):
        run = start(few_shards, tmp_path / "run", "--device", device, "--bytes", size)
        assert run.end() == 0, run.said
        assert run.figures()["steps"] == steps
