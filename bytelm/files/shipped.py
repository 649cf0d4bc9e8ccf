"""The model that comes with a clone. It is loaded where no checkpoint is named."""

from pathlib import Path

from bytelm.base.errors import InputError

SHIPPED = Path(__file__).resolve().parents[2] / "weights" / "small"


def shipped() -> Path:
    """The folder of `weights/small`, from the working folder on if it lies below.

    Raises InputError if it is not there: weights are files of a clone, not of the package.
    """
    if not (SHIPPED / "checkpoint.json").exists():
        raise InputError(
            f"no checkpoint is named, and the one that a clone has is not there ({SHIPPED}); "
            "name a run folder or one of its checkpoints"
        )
    here = Path.cwd()
    return SHIPPED.relative_to(here) if SHIPPED.is_relative_to(here) else SHIPPED
