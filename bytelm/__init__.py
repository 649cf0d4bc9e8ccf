"""bytelm: train, decode and measure byte-level models with several prediction heads.

The names below are the public Python interface, described in docs/python.md. Each is imported on
first use: `import bytelm` stays fast, and torch is loaded only when something needs it.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from bytelm.base.lazy import importer

if TYPE_CHECKING:
    from bytelm.base.errors import InputError as InputError
    from bytelm.checkpoint import Checkpoint as Checkpoint
    from bytelm.checkpoint import load_checkpoint as load_checkpoint
    from bytelm.config import ModelConfig as ModelConfig
    from bytelm.decode.generate import generate as generate
    from bytelm.decode.options import DecodeOptions as DecodeOptions
    from bytelm.decode.options import SamplingOptions as SamplingOptions
    from bytelm.decode.row import Completion as Completion
    from bytelm.language_model import LanguageModel as LanguageModel
    from bytelm.language_model import load as load
    from bytelm.training.call import presets as presets
    from bytelm.training.call import train as train
    from bytelm.training.options import TrainOptions as TrainOptions
    from bytelm.training.summary import TrainingSummary as TrainingSummary

_HOME = {
    "Checkpoint": "bytelm.checkpoint",
    "Completion": "bytelm.decode.row",
    "DecodeOptions": "bytelm.decode.options",
    "InputError": "bytelm.base.errors",
    "LanguageModel": "bytelm.language_model",
    "ModelConfig": "bytelm.config",
    "SamplingOptions": "bytelm.decode.options",
    "TrainOptions": "bytelm.training.options",
    "TrainingSummary": "bytelm.training.summary",
    "generate": "bytelm.decode.generate",
    "load": "bytelm.language_model",
    "load_checkpoint": "bytelm.checkpoint",
    "presets": "bytelm.training.call",
    "train": "bytelm.training.call",
}
__all__ = sorted(_HOME)

__getattr__: Callable[[str], object] = importer(__name__, _HOME)


def __dir__() -> list[str]:
    """The public names, for tab completion."""
    return __all__
