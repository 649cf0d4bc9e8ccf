"""The optimizers' options, apart from the optimizers: the command line needs no torch for them."""

from dataclasses import dataclass
from typing import Annotated

from bytelm.base.options import Range, check_options

Rate = Annotated[float, Range(0)]
Decay = Annotated[float, Range(0, 1, below=True)]


@dataclass(frozen=True)
class OptimizerOptions:
    """Learning rates are peaks; the schedule scales all of them alike."""

    matrix_lr: Rate = 0.01
    """Muon's learning rate for the hidden matrices."""
    embedding_lr: Rate = 0.005
    """AdamW's learning rate for embeddings, unembeddings and norms."""
    table_lr: Annotated[float, Range(0, above=True)] = 0.02
    """SparseAdam's learning rate for the n-gram tables."""
    weight_decay: Annotated[float, Range(0)] = 0.0
    """Decoupled weight decay of the hidden matrices."""
    beta1: Decay = 0.9
    """First-moment decay of AdamW and SparseAdam."""
    beta2: Decay = 0.95
    """Second-moment decay of AdamW and SparseAdam."""
    momentum: Decay = 0.95
    """Muon's momentum."""
    clip: Annotated[float, Range(0)] = 1.0
    """The gradient's norm is scaled down to this, the sparse tables apart; 0: never."""

    def __post_init__(self) -> None:
        check_options(self, "train.")
