"""Checkpoints in safetensors and JSON. A checkpoint is complete, or it does not exist.

A checkpoint is a folder `step-000001234` with the files

    checkpoint.json         model configuration, progress, and size and SHA-256 of each file;
                            "infilling", if it was trained to fill gaps
    model.safetensors       the weights
    optimizer.safetensors   the optimizers' state, for resuming

The files are written to a temporary folder, synced, and the folder is renamed. No file can run
code when it is loaded.

When several ranks train, each rank writes its shards of the weights and the state to its own files
instead (see `bytelm.checkpoint_parts`), and checkpoint.json has `"sharded": true`. The functions
here read both forms.
"""

import errno
import hashlib
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from bytelm.base.cores import limit_threads
from bytelm.base.device import check_device
from bytelm.base.errors import InputError, door
from bytelm.base.ranks import gather_objects, launched, rank, world_size
from bytelm.config import ModelConfig, model_config
from bytelm.files.atomic import new_folder, sha256_of, usual_mode, write_json
from bytelm.files.shipped import shipped
from bytelm.files.streams import say
from bytelm.forms import CheckpointFile, UnknownFormatError, read_form
from bytelm.forms import DamagedError as DamagedError
from bytelm.model.model import Model

FORMAT = "bytelm-checkpoint-1"
_NAME = re.compile(r"step-(\d{9})")


@dataclass
class Checkpoint:
    """A loaded checkpoint.

    `step`: the training step. `progress`: how far training had come, as the trainer stored it.
    `sha256`: identifies the weights; see `weights_sha256`. `infilling`: the share of documents that
    were rearranged in training; 0 for a model that cannot fill gaps.
    """

    folder: Path
    config: ModelConfig
    model: Model
    step: int
    progress: dict[str, Any]
    sha256: str
    infilling: float = 0.0


def save_checkpoint(
    parent: Path,
    step: int,
    config: ModelConfig,
    weights: dict[str, Tensor],
    optimizer: dict[str, Tensor],
    progress: dict[str, Any],
    infilling: float = 0.0,
) -> Path:
    """Write the checkpoint `parent/step-…` and return its folder.

    With several ranks, every rank calls this with its shards of the tensors. Raises OSError if
    writing fails, as on a full disk. No part of the checkpoint is left then.
    """
    folder = parent / f"step-{step:09d}"
    about = _about(step, config, progress, infilling)
    if launched():
        from bytelm.checkpoint_parts import save_sharded

        tensors = {f"model.{name}": weight for name, weight in weights.items()}
        tensors |= {f"optimizer.{name}": value for name, value in optimizer.items()}
        save_sharded(folder, tensors, {"format": FORMAT, "sharded": True, **about})
    else:
        files = {"model.safetensors": weights, "optimizer.safetensors": optimizer}
        _write(folder, files, about)
    return folder


def load_optimizer(
    folder: Path, blank: Callable[[dict[str, tuple[int, ...]]], dict[str, Tensor]]
) -> dict[str, Tensor]:
    """Load the optimizers' state from a checkpoint.

    `blank` makes the tensors to fill, given their shapes by name. Raises DamagedError if the file
    cannot be read.
    """
    tensors = blank(_stored_shapes(folder, "optimizer"))
    _fill(folder, "optimizer", tensors)
    return tensors


def is_sharded(folder: Path) -> bool:
    """Whether the checkpoint consists of shards that several ranks wrote."""
    return bool(read_about(folder).get("sharded"))


def _stored_shapes(folder: Path, part: str) -> dict[str, tuple[int, ...]]:
    """Names and whole shapes of the tensors of a `part` of a checkpoint: model or optimizer."""
    if is_sharded(folder):
        from bytelm.checkpoint_parts import stored_shapes

        try:
            return stored_shapes(folder, part)
        except (SafetensorError, OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
            raise DamagedError(f"{folder} is damaged: {_last_line(error)}") from error
    path = folder / f"{part}.safetensors"
    try:
        with safe_open(path, "pt") as file:
            return {name: tuple(file.get_slice(name).get_shape()) for name in list(file.keys())}
    except (SafetensorError, OSError) as error:
        raise DamagedError(f"{path} is damaged: {error}") from error


def _fill(folder: Path, part: str, tensors: dict[str, Tensor]) -> None:
    """Fill `tensors` in place from a `part` of a checkpoint: model or optimizer.

    A tensor that is sharded gets this rank's rows.
    """
    try:
        if is_sharded(folder) or launched():
            # Imported only here, since importing torch.distributed is slow.
            from bytelm.checkpoint_parts import copy_rows, load_sharded

            if is_sharded(folder):
                return load_sharded(folder, part, tensors)
            fill = copy_rows
        else:
            fill = _copy
        for name, whole in load_tensors(folder / f"{part}.safetensors").items():
            fill(tensors[name], whole)
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        raise DamagedError(f"{folder} is damaged: {_last_line(error)}") from error


def _last_line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return text[-1] if text else repr(error)


def _copy(target: Tensor, whole: Tensor) -> None:
    with torch.no_grad():
        target.copy_(whole)


def save_weights(folder: Path, checkpoint: "Checkpoint") -> None:
    """Write a checkpoint's weights to `folder`, in their present type, without optimizer state."""
    about = _about(checkpoint.step, checkpoint.config, checkpoint.progress, checkpoint.infilling)
    _write(folder, {"model.safetensors": checkpoint.model.state_dict()}, about)


def _about(
    step: int, config: ModelConfig, progress: dict[str, Any], infilling: float
) -> dict[str, Any]:
    trained = {"infilling": infilling} if infilling else {}
    return {"step": step, "model": config.to_dict(), **trained, "progress": progress}


def infilling_of(about: dict[str, Any]) -> float:
    """The share of documents that were rearranged in training, given checkpoint.json."""
    return float(about.get("infilling", 0.0))


def _write(folder: Path, files: dict[str, dict[str, Tensor]], about: dict[str, Any]) -> None:
    with new_folder(folder, ("checkpoint.json", *files)) as aside:
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
        usual_mode(path)
    except SafetensorError as error:
        # safetensors reports a system error, such as a full disk, as its own exception type.
        text = f"could not write {path.name}: {error}"
        raise OSError(errno.EIO, text, str(path.parent.parent)) from error


def list_checkpoints(parent: Path) -> list[Path]:
    """The checkpoint folders in `parent`, newest (highest step) first."""
    found = [path for path in parent.glob("step-*") if _NAME.fullmatch(path.name)]
    return sorted(found, reverse=True)


def prune_checkpoints(parent: Path, keep: int) -> None:
    """Remove all checkpoints in `parent` but the newest `keep`."""
    for path in list_checkpoints(parent)[keep:]:
        shutil.rmtree(path, ignore_errors=True)


def remove_leftovers(run_folder: Path) -> None:
    """Remove the temporary files of writers that were killed: checkpoints, metrics.jsonl, ..."""
    for path in run_folder.glob("checkpoints/.step-*"):
        shutil.rmtree(path, ignore_errors=True)
    for name in ("config.json", "metrics.jsonl", "summary.json"):
        for path in run_folder.glob(f".{name}.*"):
            path.unlink(missing_ok=True)


def read_about(folder: Path) -> dict[str, Any]:
    """Read checkpoint.json.

    Raises DamagedError, UnknownFormatError, or InputError if there is no such file.
    """
    path = folder / "checkpoint.json"
    if not path.is_file():
        raise InputError(
            f"{folder} is not a checkpoint: it has no checkpoint.json; "
            "give a run folder or one of its checkpoints/step-… folders"
        )
    about = read_form(path, CheckpointFile, FORMAT)
    if not about.get("sharded") and "model.safetensors" not in about["files"]:
        raise DamagedError(f"{path} is damaged: 'files.model.safetensors' is missing")
    return about


def check_checkpoint(folder: Path, own: int = 0, ranks: int = 1) -> dict[str, Any]:
    """Check the files of a checkpoint and return its checkpoint.json.

    Rank `own` of `ranks` checks the size of every file, and the hash of its share of the files.
    Raises DamagedError if a file is missing or changed, and InputError if `folder` is no
    checkpoint.
    """
    about = read_about(folder)
    for index, (name, entry) in enumerate(sorted(about["files"].items())):
        size, sha256 = entry["bytes"], entry["sha256"]
        file = folder / name
        if not file.is_file():
            raise DamagedError(f"{file} is missing")
        if file.stat().st_size != size:
            raise DamagedError(f"{file} is damaged: {file.stat().st_size} bytes, {size} expected")
        if index % ranks == own and sha256_of(file) != sha256:
            raise DamagedError(f"{file} is damaged: its SHA-256 is not the one written with it")
    return about


def find_checkpoint(where: Path) -> Path:
    """The folder of the checkpoint to load: `where` itself, or the newest one of a run folder.

    Damaged checkpoints of a run folder are skipped, with a warning on stderr for each. Raises
    InputError if there is no whole checkpoint, and UnknownFormatError if one that would be taken
    has the format of another version.
    """
    if (where / "checkpoint.json").exists():
        check_checkpoint(where)
        return where
    parent = where / "checkpoints" if (where / "checkpoints").is_dir() else where
    if not where.is_dir():
        raise InputError(f"{where} does not exist; give a run folder or one of its checkpoints")
    candidates = list_checkpoints(parent)
    for folder in candidates:
        try:
            check_checkpoint(folder)
        except UnknownFormatError:
            raise
        except InputError as error:
            say(f"passing over a checkpoint: {error}")
            continue
        return folder
    if candidates:
        raise InputError(f"{parent} holds {len(candidates)} checkpoints, none of them whole")
    raise InputError(
        f"{where} is not a checkpoint and holds none; "
        f"train one with `{door('bytelm')} train` or with bytelm.train"
    )


def newest_whole(parent: Path) -> tuple[Path, dict[str, Any]] | None:
    """The newest whole checkpoint in `parent` and its checkpoint.json, or None if it has none.

    All ranks call this. Each rank checks its share of the files, and all ranks return the same
    checkpoint. Damaged checkpoints are skipped, with a warning for each. Raises InputError if all
    checkpoints are damaged, and UnknownFormatError as `find_checkpoint` does.
    """
    names = gather_objects([folder.name for folder in list_checkpoints(parent)])[0]
    for name in names:
        about: dict[str, Any] = {}
        problem: InputError | None = None
        try:
            about = check_checkpoint(parent / name, rank(), world_size())
        except InputError as error:
            problem = error
        problems = [found for found in gather_objects(problem) if found is not None]
        if not problems:
            return parent / name, about
        if isinstance(problems[0], UnknownFormatError):
            raise problems[0]
        say(f"passing over a checkpoint: {problems[0]}")
    if names:
        raise InputError(f"{parent} holds {len(names)} checkpoints, none of them whole")
    return None


def weights_sha256(about: dict[str, Any]) -> str:
    """A hash that identifies a checkpoint's weights, given its checkpoint.json.

    It is the SHA-256 of the weights' file. For a sharded checkpoint it is the SHA-256 of the hashes
    of all files.
    """
    files = about["files"]
    if "model.safetensors" in files:
        return str(files["model.safetensors"]["sha256"])
    parts = "".join(entry["sha256"] for _, entry in sorted(files.items()))
    return hashlib.sha256(parts.encode()).hexdigest()


def load_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file by name. Raises DamagedError if it cannot be read."""
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise DamagedError(f"{path} is damaged: {error}") from error


def load_checkpoint(
    where: str | Path | None = None, device: str = "cpu", dtype: torch.dtype = torch.float32
) -> Checkpoint:
    """Load a checkpoint, or the newest whole one of a run folder, in evaluation mode.

    `where`: the folder; by default that of `weights/small`, which comes with a clone.
    `device`: cpu, cuda or cuda:N. `dtype`: the type of the weights, float32 or bfloat16; derived
    constants (the rotary cosines and sines) stay float32. Raises InputError if there is no such
    checkpoint or device, and DamagedError if the weights cannot be read.
    """
    limit_threads()
    device = check_device(device)
    folder = find_checkpoint(shipped() if where is None else Path(where))
    about = read_about(folder)
    config = model_config(about["model"], str(folder / "checkpoint.json"))
    with torch.device("meta"):
        model = Model(config)
    # `to_empty` would do this too, but from the meta device it imports sympy: half a second.
    shapes = {name: tensor.shape for name, tensor in model.state_dict().items()}
    empty = {name: torch.empty(shape, device=device) for name, shape in shapes.items()}
    model.load_state_dict(empty, assign=True)
    load_weights(model, folder)
    model.build_constants()
    model.requires_grad_(False).eval()
    model.source = str(folder)
    for parameter in model.parameters():
        parameter.data = parameter.data.to(dtype)
    step, progress = int(about.get("step", 0)), about["progress"]
    sha256 = weights_sha256(about)
    return Checkpoint(folder, config, model, step, progress, sha256, infilling_of(about))


def load_weights(model: Model, folder: Path) -> None:
    """Fill `model` with a checkpoint's weights.

    Raises DamagedError if names or shapes differ from the model's, or a value is not finite.
    """
    own = dict(model.state_dict())
    stored = _stored_shapes(folder, "model")
    wanted = {name: tuple(tensor.shape) for name, tensor in own.items()}
    for name in sorted({*wanted, *stored}):
        if wanted.get(name) != stored.get(name):
            raise DamagedError(
                f"{folder}: tensor {name} has shape {stored.get(name)}, {wanted.get(name)} expected"
            )
    _fill(folder, "model", own)
    not_finite = first_not_finite(own)
    if not_finite:
        raise DamagedError(f"{folder}: tensor {not_finite} holds values that are not finite")


def first_not_finite(tensors: dict[str, Tensor]) -> str | None:
    """The name of the first tensor with NaN or infinity, or None if all values are finite.

    Of a sharded tensor only this rank's rows are checked.
    """
    for name, tensor in tensors.items():
        part = tensor.to_local() if hasattr(tensor, "to_local") else tensor
        if not torch.isfinite(part).all():
            return name
    return None
