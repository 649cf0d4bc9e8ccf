"""Sharded checkpoints, which several ranks write together.

They are written by torch's distributed checkpointing (DCP). Each rank writes its shards to its own
safetensors files, beside checkpoint.json. Any number of ranks can load them, and so can one process
without torchrun. DCP's own format contains a pickle, which could run code; the safetensors storage
used here does not. All ranks must share a file system.
"""

import shutil
import warnings
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from safetensors import SafetensorError
from torch import Tensor
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.hf_storage import (
    HuggingFaceStorageReader,
    HuggingFaceStorageWriter,
)
from torch.distributed.checkpoint.metadata import TensorStorageMetadata
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save
from torch.distributed.tensor import DTensor

from bytelm.base.ranks import barrier, gather_objects, is_first
from bytelm.files.atomic import sha256_of, sync, usual_mode, write_json


def save_sharded(folder: Path, tensors: dict[str, Tensor], about: dict[str, Any]) -> None:
    """Write the checkpoint `folder`; every rank calls this.

    `about` is written to checkpoint.json, with the size and hash of every file. Raises OSError on
    every rank if one of them fails. No part of the checkpoint is left then.
    """
    aside = folder.with_name(f".{folder.name}.sharded")
    if is_first():
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
    barrier()
    problem = _write(aside, tensors)
    found = gather_objects((problem, [] if problem else _own_files(aside)))
    problems = [problem for problem, _ in found if problem]
    if is_first() and not problems:
        entries = dict(sorted(entry for _, files in found for entry in files))
        try:
            write_json(aside / "checkpoint.json", {**about, "files": entries})
            sync(aside)
            aside.replace(folder)
            sync(folder.parent)
        except OSError as error:
            problems = [str(error)]
    problems = gather_objects(problems)[0]
    if problems:
        if is_first():
            shutil.rmtree(aside, ignore_errors=True)
        raise OSError(None, f"could not write the checkpoint: {problems[0]}", str(folder))


def _write(aside: Path, tensors: dict[str, Tensor]) -> str | None:
    """Write this rank's shards. Returns None, or the error as one line of text."""
    writer = HuggingFaceStorageWriter(str(aside), save_distributed=True)
    try:
        save(tensors, storage_writer=writer)
    except (OSError, SafetensorError, CheckpointException) as error:
        return str(error).strip().splitlines()[-1]
    return None


def _own_files(aside: Path) -> list[tuple[str, dict[str, Any]]]:
    """Sync the files that this rank wrote; returns name, size and hash of each."""
    found = []
    for path in sorted(aside.glob(f"shard-{dist.get_rank() + 1:05d}-*.safetensors")):
        usual_mode(path)
        sync(path)
        found.append((path.name, {"bytes": path.stat().st_size, "sha256": sha256_of(path)}))
    return found


def stored_shapes(folder: Path, part: str) -> dict[str, tuple[int, ...]]:
    """Names and whole shapes of the tensors of a `part` (model or optimizer) in `folder`."""
    stored = HuggingFaceStorageReader(str(folder)).read_metadata().state_dict_metadata
    return {
        name.removeprefix(f"{part}."): tuple(entry.size)
        for name, entry in stored.items()
        if isinstance(entry, TensorStorageMetadata) and name.startswith(f"{part}.")
    }


def load_sharded(folder: Path, part: str, tensors: dict[str, Tensor]) -> None:
    """Fill `tensors` in place from the `part` (model or optimizer) of a sharded checkpoint.

    A tensor that is sharded gets this rank's rows. Raises OSError if the files cannot be read.
    """
    reader = HuggingFaceStorageReader(str(folder))
    named = {f"{part}.{name}": tensor.detach() for name, tensor in tensors.items()}
    try:
        with warnings.catch_warnings():
            # torch warns of this when one process loads without torchrun, which is intended.
            warnings.filterwarnings("ignore", message="torch.distributed is disabled")
            load(named, storage_reader=reader, no_dist=not dist.is_initialized())
    except CheckpointException as error:
        # CheckpointException is a BaseException, which the callers would not catch.
        raise OSError(str(error).strip().splitlines()[-1]) from error


@torch.no_grad()
def copy_rows(target: Tensor, whole: Tensor) -> None:
    """Copy `whole` into `target`, or only this rank's rows if `target` is sharded."""
    if not isinstance(target, DTensor):
        target.copy_(whole)
        return
    parts = torch.chunk(whole, target.device_mesh.size())
    mine = target.device_mesh.get_local_rank()
    if mine < len(parts):
        target.to_local().copy_(parts[mine])
