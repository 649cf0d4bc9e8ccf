"""How the decoder that is measured runs: the options that several commands have in common."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

import torch

from bytelm.toolkit import Checkpoint, Device, Engine, Model, load_checkpoint
from eval.records import Sealed

R = TypeVar("R", bound=Sealed)
Dtype = Literal["float32", "bfloat16"]
DTYPES: dict[Dtype, torch.dtype] = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class DecoderOptions:
    """The number type, the engine and the device that a model is decoded with."""

    dtype: Dtype = "bfloat16"
    """Number type of weights, keys and values."""
    engine: Engine = "auto"
    """native: C++, on a CPU; compiled: torch.compile, on a GPU with CUDA graphs; eager: plain
    torch; auto: the fastest that works here."""
    device: Device = "cpu"
    """Where the model runs: cpu or cuda."""

    def load(self, checkpoint: Path | None) -> Checkpoint:
        """The checkpoint, or the newest one of a run folder; None: the one that a clone has.

        Raises InputError if there is none.
        """
        return load_checkpoint(checkpoint, self.device, DTYPES[self.dtype])


def dtype_name(model: Model) -> Dtype:
    """The number type of a model's weights."""
    dtype = next(model.parameters()).dtype
    return next(name for name, known in DTYPES.items() if known == dtype)


def with_checkpoint(result: R, checkpoint: Checkpoint) -> R:
    """`result` with the folder and the hash of the checkpoint that it was measured on."""
    return result.model_copy(
        update={"checkpoint": str(checkpoint.folder), "checkpoint_sha256": checkpoint.sha256}
    )
