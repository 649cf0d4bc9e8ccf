"""Steps by several threads: the same ids as by one. `make sanitize` runs this under TSan."""

import pytest
import torch
from support import random_model, small_config
from torch import Tensor

from bytelm.alphabet import BOS
from bytelm.config import HEAD_KINDS, LAYERED_KINDS
from bytelm.decode.native.stepper import NativeStepper
from bytelm.decode.options import DecodeOptions, SamplingOptions
from bytelm.model.model import Model

BATCH, K = 3, 4


def stepped(model: Model, sampling: SamplingOptions, threads: int) -> Tensor:
    """The ids of some steps of rows that are in prefill, draft and end at different times."""
    options = DecodeOptions(10, K, BATCH, gate=0.0, sampling=sampling)
    torch.set_num_threads(threads)
    try:
        stepper = NativeStepper(model, BATCH, 256, options)
    finally:
        torch.set_num_threads(1)
    for slot in range(BATCH):
        stepper.admit(slot, [BOS, *range(60 * slot)], 60 * slot + 12, slot)
    return stepper.run(12)[0]


@pytest.mark.medium
@pytest.mark.parametrize("kind", HEAD_KINDS)
@pytest.mark.parametrize(
    "sampling",
    [SamplingOptions(), SamplingOptions(0.8, draft_rule="sampled")],
    ids=["greedy", "sampled"],
)
def test_threads_share_steps(kind: str, sampling: SamplingOptions) -> None:
    layers = 10 if kind in LAYERED_KINDS else 2
    model = random_model(small_config(layers=layers, head_kind=kind))
    alone = stepped(model, sampling, 1)
    assert alone.any()
    assert torch.equal(stepped(model, sampling, 3), alone)
