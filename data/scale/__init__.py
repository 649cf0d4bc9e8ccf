"""The corpus steps as steps of datatrove, for corpora that one machine is too small for.

datatrove shares work out to tasks, on one machine, by Slurm or by Ray. Its executors run these
steps beside its own readers and MinHash stages.
"""

try:
    import datatrove  # noqa: F401
except ImportError as error:
    raise ImportError(
        "data.scale needs the package datatrove: pip install 'bytelm[scale]'"
    ) from error

from data.scale.merge import MergeParts
from data.scale.parts import WriteParts
from data.scale.read import ReadFolder
from data.scale.steps import TakeSteps
from data.scale.words import python_words

__all__ = ["MergeParts", "ReadFolder", "TakeSteps", "WriteParts", "python_words"]
