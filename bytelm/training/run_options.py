"""Options of a run: initial weights, budget, device, number type, checkpoints.

`ModelConfig` and `TrainOptions` hold what the run computes. This module must not import torch: the
command line reads its options from here, and help should appear at once.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from bytelm.base.device import Device
from bytelm.base.options import Range, check_options

DEFAULT_MINUTES = 4.0


@dataclass(frozen=True)
class RunOptions:
    """The options of `train` that are not `--model.*` or `--train.*`."""

    init: Path | None = None
    """Start from the weights of this run folder or checkpoint. The number and kind of heads may
    differ. The layers that predict the next byte (trunk and head 1) must have the same shape."""
    drafts_only: bool = False
    """Train only the weights that heads 2..n do not share. The model's output stays the same. On
    text that the model itself wrote, this raises the share of drafts that are accepted. Needs
    --init."""
    resume: bool = False
    """Continue from the newest complete checkpoint in the run folder. Without a checkpoint, start a
    new run."""
    minutes: Annotated[float, Range(0, above=True, infinite=True)] | None = None
    """Budget: minutes of training, compilation included. 4 if --bytes is not given either."""
    bytes: Annotated[int, Range(0, above=True, most=2**60)] | None = None
    """Budget: bytes of training data. With this budget alone, a run is repeatable bit for bit."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Number type of matrix products in training. auto: measure which is faster on this
    machine."""
    compile: bool = True
    """Compile the model if a compiler is installed."""
    device: Device = "cpu"
    """cpu or cuda. Under torchrun each rank uses its own device."""
    micro_batch: Annotated[int, Range(0, most=2**20)] = 0
    """Blocks that a device processes at a time. Gradients are accumulated over the whole batch.
    0: all blocks at once."""
    recompute: bool = False
    """Recompute activations in the backward pass instead of storing them: less memory, more
    time."""
    tensorboard: bool = False
    """Write scalars for TensorBoard to tensorboard/ in the run folder."""
    profile: bool = False
    """Profile a few of the first steps; write the trace to profile/ in the run folder."""
    eval_steps: Annotated[int, Range(0, above=True, most=2**60)] = 100
    """Steps between evaluations on held-out text."""
    save_minutes: Annotated[float, Range(0, above=True, infinite=True)] = 1.0
    """Minutes between checkpoints."""
    save_steps: Annotated[int, Range(0, most=2**60)] = 0
    """Steps between checkpoints, instead of --save-minutes. 0: use --save-minutes."""
    keep: Annotated[int, Range(0, above=True, most=10**6)] = 2
    """Number of checkpoints to keep. Older ones are deleted."""

    def __post_init__(self) -> None:
        check_options(self)
