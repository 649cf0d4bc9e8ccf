"""Checkpoints: safetensors and JSON, complete or not there.

A checkpoint is a folder `step-000001234` with

    checkpoint.json         model configuration, progress, and size and SHA-256 of each file
    model.safetensors       the weights
    optimizer.safetensors   the optimizers' state, for resuming

written aside, synced and renamed. Nothing in it can run code.
"""

import errno
import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from bytelm.command import say
from bytelm.config import ModelConfig, model_config
from bytelm.errors import InputError
from bytelm.files import new_folder, sha256_of, write_json
from bytelm.model.model import Model

FORMAT = "bytelm-checkpoint-1"
_NAME = re.compile(r"step-(\d{9})")


class DamagedError(InputError):
    """A checkpoint that is there, but not as it was written."""


@dataclass
class Checkpoint:
    """A loaded checkpoint. `sha256` is the hash of the weights' file; `progress` the trainer's."""

    folder: Path
    config: ModelConfig
    model: Model
    progress: dict[str, Any]
    sha256: str


def save_checkpoint(
    parent: Path,
    step: int,
    config: ModelConfig,
    weights: dict[str, Tensor],
    optimizer: dict[str, Tensor],
    progress: dict[str, Any],
) -> Path:
    """Write `parent/step-…` whole, or raise OSError (a full disk) and leave nothing of it."""
    folder = parent / f"step-{step:09d}"
    files = {"model.safetensors": weights, "optimizer.safetensors": optimizer}
    _write(folder, files, {"step": step, "model": config.to_dict(), "progress": progress})
    return folder


def save_weights(folder: Path, checkpoint: "Checkpoint") -> None:
    """Write a checkpoint's weights, in the type that they have, and nothing to resume from."""
    about = {
        "step": checkpoint.progress.get("step", 0),
        "model": checkpoint.config.to_dict(),
        "progress": checkpoint.progress,
    }
    _write(folder, {"model.safetensors": checkpoint.model.state_dict()}, about)


def _write(folder: Path, files: dict[str, dict[str, Tensor]], about: dict[str, Any]) -> None:
    with new_folder(folder) as aside:
        entries = {}
        for name, tensors in files.items():
            _save_tensors(tensors, aside / name)
            entries[name] = {
                "bytes": (aside / name).stat().st_size,
                "sha256": sha256_of(aside / name),
            }
        write_json(aside / "checkpoint.json", {"format": FORMAT, **about, "files": entries})


def _save_tensors(tensors: dict[str, Tensor], path: Path) -> None:
    try:
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)
        # The library writes for the owner's eyes alone.
        path.chmod(0o644)
    except SafetensorError as error:
        # The library wraps the system's error, a full disk above all, in a type of its own.
        text = f"could not write {path.name}: {error}"
        raise OSError(errno.EIO, text, str(path.parent.parent)) from error


def list_checkpoints(parent: Path) -> list[Path]:
    """The checkpoint folders in `parent`, newest (highest step) first."""
    found = [path for path in parent.glob("step-*") if _NAME.fullmatch(path.name)]
    return sorted(found, reverse=True)


def prune_checkpoints(parent: Path, keep: int) -> None:
    """Remove all but the newest `keep`."""
    for path in list_checkpoints(parent)[keep:]:
        shutil.rmtree(path, ignore_errors=True)


def remove_leftovers(parent: Path) -> None:
    """Remove what a killed writer left aside."""
    for path in parent.glob(".step-*"):
        shutil.rmtree(path, ignore_errors=True)


def check_checkpoint(folder: Path) -> dict[str, Any]:
    """checkpoint.json of a whole checkpoint. Raises DamagedError, or InputError if it is none."""
    path = folder / "checkpoint.json"
    if not path.is_file():
        raise InputError(
            f"{folder} is not a checkpoint: it has no checkpoint.json; "
            "give a run folder or one of its checkpoints/step-… folders"
        )
    try:
        about: dict[str, Any] = json.loads(path.read_bytes())
        known = about["format"] == FORMAT
        entries = {
            name: (entry["bytes"], entry["sha256"]) for name, entry in about["files"].items()
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedError(f"{path} is damaged: {error!r}") from error
    if not known:
        raise InputError(f"{path} has the format {about['format']!r}; this version reads {FORMAT}")
    for name, (size, sha256) in entries.items():
        file = folder / name
        if not file.is_file():
            raise DamagedError(f"{file} is missing")
        if file.stat().st_size != size:
            raise DamagedError(f"{file} is damaged: {file.stat().st_size} bytes, {size} expected")
        if sha256_of(file) != sha256:
            raise DamagedError(f"{file} is damaged: its SHA-256 is not the one written with it")
    return about


def find_checkpoint(where: Path) -> Path:
    """The checkpoint that `where` means: itself, or the newest whole one of a run folder.

    Damaged ones are named on stderr and passed over. Raises InputError where there is none.
    """
    if (where / "checkpoint.json").exists():
        check_checkpoint(where)
        return where
    parent = where / "checkpoints" if (where / "checkpoints").is_dir() else where
    if not where.is_dir():
        raise InputError(f"{where} does not exist; --checkpoint takes a run folder or a checkpoint")
    candidates = list_checkpoints(parent)
    for folder in candidates:
        try:
            check_checkpoint(folder)
        except InputError as error:
            say(f"passing over a checkpoint: {error}")
            continue
        return folder
    if candidates:
        raise InputError(f"{parent} holds {len(candidates)} checkpoints, none of them whole")
    raise InputError(
        f"{where} is not a checkpoint and holds none; "
        "train one with: python -m bytelm train --preset tiny --data DIR --run DIR"
    )


def load_tensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise DamagedError(f"{path} is damaged: {error}") from error


def load_checkpoint(
    where: Path, device: str = "cpu", dtype: torch.dtype = torch.float32
) -> Checkpoint:
    """Load the model of a checkpoint or a run folder's newest whole one, ready to run.

    `dtype`: of the weights, float32 or bfloat16; what is derived (rotations) stays float32.
    """
    folder = find_checkpoint(where)
    about = json.loads((folder / "checkpoint.json").read_bytes())
    config = model_config(about["model"], str(folder / "checkpoint.json"))
    with torch.device("meta"):
        model = Model(config)
    model.to_empty(device=device)
    load_weights(model, folder)
    model.build_constants()
    model.requires_grad_(False).eval()
    for parameter in model.parameters():
        parameter.data = parameter.data.to(dtype)
    sha256 = about["files"]["model.safetensors"]["sha256"]
    return Checkpoint(folder, config, model, about["progress"], sha256)


def load_weights(model: Model, folder: Path) -> None:
    """Fill `model` with a checkpoint's weights. Raises DamagedError if they do not fit it."""
    path = folder / "model.safetensors"
    tensors = load_tensors(path)
    wanted = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    for name in sorted({*wanted, *found}):
        if wanted.get(name) != found.get(name):
            raise DamagedError(
                f"{path}: tensor {name} has shape {found.get(name)}, {wanted.get(name)} expected"
            )
    for name, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            raise DamagedError(f"{path}: tensor {name} holds values that are not finite")
    model.load_state_dict(tensors)
