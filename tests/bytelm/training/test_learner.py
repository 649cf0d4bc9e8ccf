"""A model and its batch are weighed against the machine's memory before anything is made."""

import pytest
from support import small_config

from bytelm.base.errors import InputError
from bytelm.training.learner import Execution, Learner
from bytelm.training.options import TrainOptions


def test_a_model_or_a_batch_that_no_memory_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    config, execution = small_config(), Execution(compiled=False)
    weights_bytes = 8 * config.least_parameters
    monkeypatch.setattr("bytelm.base.device.memory_bytes", lambda device: 2 * weights_bytes)
    Learner(config, TrainOptions(block=16, batch=1), execution)
    with pytest.raises(InputError, match=r"100000 blocks of 64 at once.* take a smaller model"):
        Learner(config, TrainOptions(block=64, batch=100_000), execution)
    monkeypatch.setattr("bytelm.base.device.memory_bytes", lambda device: weights_bytes - 1)
    with pytest.raises(InputError, match=r"training \d+ parameters"):
        Learner(config, TrainOptions(block=16, batch=1), execution)
