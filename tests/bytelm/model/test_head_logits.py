"""All heads' logits in one call."""

import pytest
import torch
from support import random_model, small_config

from bytelm.config import HEAD_KINDS
from bytelm.model.head_logits import HeadLogits


@pytest.mark.parametrize("kind", HEAD_KINDS)
def test_every_head_says_what_it_says_alone(kind: str) -> None:
    model = random_model(small_config(head_kind=kind, prediction_heads=3, layers=5))
    ids_BT = torch.randint(0, 256, (2, 60), generator=torch.Generator().manual_seed(0))
    logits_BTnV = HeadLogits(model)(ids_BT)
    assert logits_BTnV.shape == (2, 60, 3, 264)
    for head in range(3):
        # Of a block of its own: no head has been run before.
        assert torch.equal(logits_BTnV[:, :, head], model.logits(model(ids_BT), head))
