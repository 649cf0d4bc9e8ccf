"""The corpus steps as steps of datatrove, for corpora that one machine is too small for.

datatrove shares work out to tasks, on one machine, by Slurm or by Ray. Its executors run these
steps beside its own readers and MinHash stages. Importing this raises InputError where datatrove is
not installed.
"""

from bytelm.toolkit import InputError

try:
    import datatrove  # noqa: F401
except ImportError as error:
    raise InputError(
        f"data.scale needs the package datatrove ({error}): pip install '.[scale]'"
    ) from error

from data.scale.folder import ReadFolder
from data.scale.merge import MergeParts
from data.scale.parts import WriteParts
from data.scale.rows import ReadRows
from data.scale.steps import TakeSteps
from data.scale.words import python_words
from data.steps.judge import Choices

__all__ = [
    "Choices",
    "MergeParts",
    "ReadFolder",
    "ReadRows",
    "TakeSteps",
    "WriteParts",
    "python_words",
]
