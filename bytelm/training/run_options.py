"""How a run is carried out: what it begins with, how long it goes on, and how it computes.

What it computes is said by `ModelConfig` and `TrainOptions`. No torch here, nor in what it imports:
the command line reads its options from this.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from bytelm.base.options import Range, check_options

DEFAULT_MINUTES = 4.0


@dataclass(frozen=True)
class RunOptions:
    """The options of `train` beside those of model and training."""

    init: Path | None = None
    """Begin with the weights of this run folder or checkpoint. Heads may differ in number and kind;
    what the next byte goes through must be of the preset's shape."""
    drafts_only: bool = False
    """Train what heads 2..n have for themselves and nothing else, so that the text stays the same;
    on text that the model wrote, this makes drafts that are accepted more often."""
    resume: bool = False
    """Go on from the newest whole checkpoint of the run folder; start where there is none."""
    minutes: Annotated[float, Range(0, above=True, infinite=True)] | None = None
    """Budget: minutes of training, compilation included (default 4, if --bytes is not given)."""
    bytes: Annotated[int, Range(0, above=True)] | None = None
    """Budget: bytes of training data. A run with this budget alone is repeatable bit for bit."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of matrix products in training; auto measures which is faster here."""
    compile: bool = True
    """Compile the model where a compiler is present."""
    device: str = "cpu"
    """cpu or cuda; under torchrun each rank takes a device of its own."""
    micro_batch: Annotated[int, Range(0)] = 0
    """Blocks that a device runs at a time; gradients add up to those of the whole batch. 0: all."""
    recompute: bool = False
    """Compute activations again in the backward instead of keeping them: less memory, more time."""
    tensorboard: bool = False
    """Write scalars for TensorBoard into the run folder's tensorboard/."""
    profile: bool = False
    """Profile some of the first steps, into the run folder's profile/."""
    eval_steps: Annotated[int, Range(0, above=True)] = 100
    """Score held-out text every so many steps."""
    save_minutes: Annotated[float, Range(0, above=True, infinite=True)] = 1.0
    """Minutes between checkpoints."""
    save_steps: Annotated[int, Range(0)] = 0
    """Steps between checkpoints, instead of minutes; 0: by minutes."""
    keep: Annotated[int, Range(0, above=True)] = 2
    """Checkpoints to keep, the newest ones."""

    def __post_init__(self) -> None:
        check_options(self)
