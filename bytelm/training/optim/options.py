"""The optimizers' options, in a module without torch, so that the command line starts fast."""

from dataclasses import dataclass
from typing import Annotated

from bytelm.base.options import Range, check_options

Rate = Annotated[float, Range(0, most=1000)]
Decay = Annotated[float, Range(0, 1, below=True)]


@dataclass(frozen=True)
class OptimizerOptions:
    """Learning rates are peak values. The schedule scales all of them by the same factor."""

    matrix_lr: Rate = 0.01
    """Muon's learning rate for the hidden matrices."""
    embedding_lr: Rate = 0.005
    """AdamW's learning rate for embeddings, unembeddings and norms."""
    table_lr: Annotated[float, Range(0, above=True, most=1000)] = 0.02
    """SparseAdam's learning rate for the n-gram tables."""
    weight_decay: Rate = 0.0
    """Decoupled weight decay, on the hidden matrices only."""
    beta1: Decay = 0.9
    """First-moment decay of AdamW and SparseAdam."""
    beta2: Decay = 0.95
    """Second-moment decay of AdamW and SparseAdam."""
    momentum: Decay = 0.95
    """Muon's momentum."""
    clip: Annotated[float, Range(0, most=10**9)] = 1.0
    """Clip the gradient to this norm. The n-gram tables are not clipped. 0: never clip."""

    def __post_init__(self) -> None:
        check_options(self, "train.")
