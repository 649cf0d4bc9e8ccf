"""config.json of a run folder, and the check that a resumed run has the options of its start."""

import json
from pathlib import Path
from typing import Any

from bytelm.base.errors import InputError, option, setting
from bytelm.checkpoint import DamagedError, list_checkpoints
from bytelm.shards import Split
from bytelm.training.options import TrainOptions


def describe_data(train: Split, held_out: Split) -> dict[str, object]:
    """The entry of config.json on the shards: folder, sizes and hashes."""
    return {
        "folder": str(train.folder),
        "train_bytes": train.bytes,
        "train_documents": train.documents,
        "held_out_bytes": held_out.bytes,
        "held_out_documents": held_out.documents,
        "sha256": train.sha256,
        "held_out_sha256": held_out.sha256,
    }


def read_config(folder: Path) -> dict[str, Any]:
    """config.json of a run folder. Raises DamagedError if it is not valid JSON."""
    try:
        values: dict[str, Any] = json.loads((folder / "config.json").read_bytes())
    except ValueError as error:
        raise DamagedError(f"{folder / 'config.json'} is damaged: {error}") from error
    return values


def begun_config(folder: Path, wanted: dict[str, object], resume: bool) -> dict[str, Any]:
    """The folder's config.json, checked against `wanted`; empty for a new run.

    Raises InputError if the folder holds a run and `resume` is not set, or if that run has other
    options.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{option('run')} {folder} is a file, not a folder")
    begun = list_checkpoints(folder / "checkpoints")
    if begun and not resume:
        raise InputError(
            f"{folder} already holds a run ({begun[0].name}); "
            f"go on with {setting('resume', True)}, or choose another {option('run')}"
        )
    if not begun or not (folder / "config.json").exists():
        return {}
    stored = read_config(folder)
    _check_same(folder, stored, json.loads(json.dumps(wanted)))
    return stored


def _check_same(folder: Path, stored: dict[str, Any], wanted: dict[str, Any]) -> None:
    defaults = TrainOptions().to_dict()
    for table in ("model", "train", "data", "start"):
        before = stored.get(table, {})
        for name in sorted({*wanted[table], *before} - {"folder"}):
            # A run from before an option existed used the option's default.
            old = before.get(name, defaults.get(name) if table == "train" else None)
            new = wanted[table].get(name)
            if old != new:
                raise InputError(
                    f"{folder} was begun with {table}.{name} = {old!r}, not {new!r}; "
                    f"resume with the same options, or choose another {option('run')}"
                )
