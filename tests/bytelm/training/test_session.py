"""A training session refuses what would not fit."""

import pytest

from bytelm.base.errors import InputError
from bytelm.training.options import TrainOptions
from bytelm.training.session import check_masks


def test_masks_that_would_fill_a_gpu_are_refused() -> None:
    check_masks(TrainOptions(document_masks=True, block=512), 4)
    check_masks(TrainOptions(document_masks=False, block=8192), 64)
    with pytest.raises(InputError, match=r"64 x 8192 x 8192 .* --micro-batch"):
        check_masks(TrainOptions(document_masks=True, block=8192), 64)
