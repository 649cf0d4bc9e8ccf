"""bytelm: train, decode and measure byte-level models with several prediction heads.

The names below are the public face; they are imported on first use, so that `import bytelm` is
cheap where torch is not needed.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bytelm.checkpoint import Checkpoint as Checkpoint
    from bytelm.checkpoint import find_checkpoint as find_checkpoint
    from bytelm.checkpoint import load_checkpoint as load_checkpoint
    from bytelm.command import Command as Command
    from bytelm.command import Stopped as Stopped
    from bytelm.command import main as main
    from bytelm.command import say as say
    from bytelm.decode.cost import preset_model as preset_model
    from bytelm.decode.cost import step_costs as step_costs
    from bytelm.decode.generate import generate as generate
    from bytelm.decode.options import DecodeOptions as DecodeOptions
    from bytelm.decode.options import SamplingOptions as SamplingOptions
    from bytelm.decode.progress import generate_with_progress as generate_with_progress
    from bytelm.decode.row import Completion as Completion
    from bytelm.errors import InputError as InputError
    from bytelm.export.run import Export as Export
    from bytelm.files import write_bytes as write_bytes
    from bytelm.files import write_json as write_json
    from bytelm.files import write_text as write_text
    from bytelm.ranks import is_first as is_first
    from bytelm.ranks import joined as joined
    from bytelm.ranks import leave as leave
    from bytelm.rates import bandwidth_bytes_per_s as bandwidth_bytes_per_s
    from bytelm.rates import matmul_flops_per_s as matmul_flops_per_s
    from bytelm.scoring import Score as Score
    from bytelm.scoring import score_documents as score_documents
    from bytelm.scoring import score_on_ranks as score_on_ranks
    from bytelm.sealing import seal as seal
    from bytelm.shards import ShardWriter as ShardWriter
    from bytelm.shards import Split as Split
    from bytelm.shards import cuts as cuts
    from bytelm.train.cost import CostOptions as CostOptions
    from bytelm.train.cost import training_costs as training_costs

_HOME = {
    "Checkpoint": "checkpoint",
    "find_checkpoint": "checkpoint",
    "load_checkpoint": "checkpoint",
    "Command": "command",
    "Stopped": "command",
    "main": "command",
    "say": "command",
    "Completion": "decode.row",
    "preset_model": "decode.cost",
    "step_costs": "decode.cost",
    "generate": "decode.generate",
    "DecodeOptions": "decode.options",
    "SamplingOptions": "decode.options",
    "generate_with_progress": "decode.progress",
    "InputError": "errors",
    "Export": "export.run",
    "write_bytes": "files",
    "write_json": "files",
    "write_text": "files",
    "bandwidth_bytes_per_s": "rates",
    "matmul_flops_per_s": "rates",
    "is_first": "ranks",
    "joined": "ranks",
    "leave": "ranks",
    "Score": "scoring",
    "score_documents": "scoring",
    "score_on_ranks": "scoring",
    "seal": "sealing",
    "ShardWriter": "shards",
    "Split": "shards",
    "cuts": "shards",
    "CostOptions": "train.cost",
    "training_costs": "train.cost",
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'bytelm' has no attribute {name!r}")
    return getattr(importlib.import_module(f"bytelm.{_HOME[name]}"), name)
