"""Compiled training: one layer's code serves all layers, and the bar says what is going on."""

from pathlib import Path

import pytest
import torch
from training import random_batch

from bytelm.config import ModelConfig
from bytelm.training.device.speedups import abandon_compiling
from bytelm.training.learner import Execution, Learner
from bytelm.training.loop.watching import Bar
from bytelm.training.options import TrainOptions


def frames(heads: int, layers: int) -> int:
    """How many pieces of code a step of a model compiles."""
    torch._dynamo.reset()
    counters = torch._dynamo.utils.counters
    counters.clear()
    config = ModelConfig(32, layers, 4, 2, 48, 64, prediction_heads=heads, head_kind="block")
    learner = Learner(config, TrainOptions(block=32, batch=2), Execution())
    found = learner.compute_gradients([random_batch(heads, 32)])
    assert learner.compiled
    eager = Learner(config, TrainOptions(block=32, batch=2), Execution(compiled=False))
    expected = eager.compute_gradients([random_batch(heads, 32)])
    assert found.losses_bits == pytest.approx(expected.losses_bits, abs=1e-5)
    assert found.norm == pytest.approx(expected.norm, rel=1e-4)
    return int(counters["stats"]["unique_graphs"])


@pytest.mark.slow
def test_more_layers_and_heads_compile_no_more_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    # A layer, and a head's loss.
    assert 0 < frames(1, 2) == frames(3, 6)


@pytest.mark.medium
def test_after_a_stopped_training_the_next_one_can_compile() -> None:
    from torch._inductor.async_compile import AsyncCompile

    abandon_compiling()
    assert AsyncCompile.pool().submit(int, "3").result() == 3


def test_the_bar_says_compiling_until_the_first_step(
    capsys: pytest.CaptureFixture[str],
) -> None:
    bar = Bar(0.0, 1e9)
    bar.on_begin(compiling=True)
    assert "compiling:  " in capsys.readouterr().err.split("\r")[-1]
    row = {"bpb": 8.0, "skipped": 0, "bytes_per_s": 1.0, "flops_per_s": 5e8, "step": 1, "bytes": 10}
    bar.on_step(row, 0.5)
    bar.close()
    shown = capsys.readouterr().err.split("\r")[-1]
    assert "training:  " in shown
    assert "50% MFU" in shown
