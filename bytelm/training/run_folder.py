"""config.json of a run folder, and the check that a resumed run has the options of its start."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bytelm.base.errors import InputError, option, setting
from bytelm.base.ranks import gather_objects, is_first
from bytelm.checkpoint import list_checkpoints
from bytelm.files.claims import claimed
from bytelm.forms import ConfigFile, read_form
from bytelm.shards import Split
from bytelm.training.options import TrainOptions


@contextlib.contextmanager
def claimed_by_first(folder: Path) -> Iterator[None]:
    """`claimed`, by the first rank for all of them. Every rank calls this, inside `joined`.

    No rank enters the block before the folder is claimed. If it cannot be claimed, every rank
    raises the first rank's error.
    """
    with contextlib.ExitStack() as stack:
        error: InputError | OSError | None = None
        if is_first():
            try:
                stack.enter_context(claimed(folder))
            except (InputError, OSError) as caught:
                error = caught
        error = gather_objects(error)[0]
        if error is not None:
            raise error
        yield


def describe_data(train: Split, held_out: Split, stages: bool) -> dict[str, object]:
    """The entry of config.json on the shards: folder, sizes and hashes.

    `stages`: whether training reads their stages, if they have some.
    """
    return {
        "folder": str(train.folder),
        "train_bytes": train.bytes,
        "train_documents": train.documents,
        **({"train_stages": train.stages} if stages and len(train.stages) > 1 else {}),
        "held_out_bytes": held_out.bytes,
        "held_out_documents": held_out.documents,
        "sha256": train.sha256,
        "held_out_sha256": held_out.sha256,
    }


def read_config(folder: Path) -> dict[str, Any]:
    """config.json of a run folder. Raises DamagedError if it is not of the form of ConfigFile."""
    return read_form(folder / "config.json", ConfigFile)


def begun_config(folder: Path, wanted: dict[str, object], resume: bool) -> dict[str, Any]:
    """The folder's config.json, checked against `wanted`; empty for a new run.

    Raises InputError if the folder holds a run and `resume` is not set, or if that run has other
    options.
    """
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
