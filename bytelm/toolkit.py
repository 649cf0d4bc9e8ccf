"""The names of bytelm that the packages `data` and `eval` use. They use no others.

These are the command line, files, sealed results, ranks, shards, and measurements of training and
decoding. Each name is imported on first use, since most commands need few of them and no torch.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from bytelm.base.lazy import importer

if TYPE_CHECKING:
    from bytelm.alphabet import BOS as BOS
    from bytelm.alphabet import BYTES as BYTES
    from bytelm.alphabet import EOD as EOD
    from bytelm.alphabet import FIM_MIDDLE as FIM_MIDDLE
    from bytelm.alphabet import FIM_PREFIX as FIM_PREFIX
    from bytelm.alphabet import FIM_SUFFIX as FIM_SUFFIX
    from bytelm.alphabet import PAD as PAD
    from bytelm.alphabet import VOCAB as VOCAB
    from bytelm.base.cores import usable_cores as usable_cores
    from bytelm.base.device import Device as Device
    from bytelm.base.errors import InputError as InputError
    from bytelm.base.errors import of_file as of_file
    from bytelm.base.errors import option as option
    from bytelm.base.errors import setting as setting
    from bytelm.base.errors import some as some
    from bytelm.base.options import MOST_HEADS as MOST_HEADS
    from bytelm.base.options import BatchSize as BatchSize
    from bytelm.base.options import ByteCount as ByteCount
    from bytelm.base.options import HeadCount as HeadCount
    from bytelm.base.options import Positive as Positive
    from bytelm.base.options import Range as Range
    from bytelm.base.options import Seed as Seed
    from bytelm.base.options import check_options as check_options
    from bytelm.base.options import suggestion as suggestion
    from bytelm.base.ranks import is_first as is_first
    from bytelm.base.ranks import joined as joined
    from bytelm.base.ranks import leave as leave
    from bytelm.base.rates import bandwidth_bytes_per_s as bandwidth_bytes_per_s
    from bytelm.base.rates import matmul_flops_per_s as matmul_flops_per_s
    from bytelm.base.sealing import seal as seal
    from bytelm.checkpoint import Checkpoint as Checkpoint
    from bytelm.checkpoint import find_checkpoint as find_checkpoint
    from bytelm.checkpoint import load_checkpoint as load_checkpoint
    from bytelm.commands.cli import Command as Command
    from bytelm.commands.cli import Stopped as Stopped
    from bytelm.commands.cli import main as main
    from bytelm.commands.parsing import DefaultsByType as DefaultsByType
    from bytelm.config import ModelConfig as ModelConfig
    from bytelm.continuations import Continuation as Continuation
    from bytelm.continuations import score_continuations as score_continuations
    from bytelm.continuations import score_continuations_on_ranks as score_continuations_on_ranks
    from bytelm.decode.cost import preset_model as preset_model
    from bytelm.decode.cost import step_costs as step_costs
    from bytelm.decode.generate import generate as generate
    from bytelm.decode.options import DecodeOptions as DecodeOptions
    from bytelm.decode.options import Engine as Engine
    from bytelm.decode.options import SamplingOptions as SamplingOptions
    from bytelm.decode.progress import generate_with_progress as generate_with_progress
    from bytelm.decode.progress import kept_completions as kept_completions
    from bytelm.decode.prompts import Gap as Gap
    from bytelm.decode.prompts import Prompt as Prompt
    from bytelm.decode.prompts import check_infilling as check_infilling
    from bytelm.decode.prompts import read_prompts as read_prompts
    from bytelm.decode.row import Completion as Completion
    from bytelm.decode.row import bytes_per_forward as bytes_per_forward
    from bytelm.export.command import Export as Export
    from bytelm.files.atomic import write_bytes as write_bytes
    from bytelm.files.atomic import write_json as write_json
    from bytelm.files.atomic import write_text as write_text
    from bytelm.files.claims import claimed as claimed
    from bytelm.files.journal import Journal as Journal
    from bytelm.files.jsonl import JsonLines as JsonLines
    from bytelm.files.jsonl import read_jsonl as read_jsonl
    from bytelm.files.jsonl import text_of as text_of
    from bytelm.files.places import Out as Out
    from bytelm.files.places import check_place as check_place
    from bytelm.files.places import write_json_result as write_json_result
    from bytelm.files.places import write_result as write_result
    from bytelm.files.streams import ProgressBar as ProgressBar
    from bytelm.files.streams import progress_bar as progress_bar
    from bytelm.files.streams import say as say
    from bytelm.files.streams import write_stdout as write_stdout
    from bytelm.model.model import Model as Model
    from bytelm.records import RUN_AGAIN as RUN_AGAIN
    from bytelm.records import Count as Count
    from bytelm.records import Number as Number
    from bytelm.records import R as R
    from bytelm.records import Record as Record
    from bytelm.records import as_record as as_record
    from bytelm.records import finite as finite
    from bytelm.records import read_record as read_record
    from bytelm.scoring import Score as Score
    from bytelm.scoring import score_documents as score_documents
    from bytelm.scoring import score_on_ranks as score_on_ranks
    from bytelm.shards import ShardWriter as ShardWriter
    from bytelm.shards import Split as Split
    from bytelm.shards import cuts as cuts
    from bytelm.shards import holds_shards as holds_shards
    from bytelm.shards import read_manifest as read_manifest
    from bytelm.training.cost import CostOptions as CostOptions
    from bytelm.training.cost import training_costs as training_costs
    from bytelm.training.options import TrainOptions as TrainOptions
    from bytelm.training.options import preset_defaults as preset_defaults
    from bytelm.training.options import resolve as resolve

_HOME = {
    "BOS": "bytelm.alphabet",
    "BYTES": "bytelm.alphabet",
    "BatchSize": "bytelm.base.options",
    "ByteCount": "bytelm.base.options",
    "Checkpoint": "bytelm.checkpoint",
    "Command": "bytelm.commands.cli",
    "Completion": "bytelm.decode.row",
    "Continuation": "bytelm.continuations",
    "CostOptions": "bytelm.training.cost",
    "Count": "bytelm.records",
    "DecodeOptions": "bytelm.decode.options",
    "DefaultsByType": "bytelm.commands.parsing",
    "Device": "bytelm.base.device",
    "EOD": "bytelm.alphabet",
    "Engine": "bytelm.decode.options",
    "Export": "bytelm.export.command",
    "FIM_MIDDLE": "bytelm.alphabet",
    "FIM_PREFIX": "bytelm.alphabet",
    "FIM_SUFFIX": "bytelm.alphabet",
    "Gap": "bytelm.decode.prompts",
    "HeadCount": "bytelm.base.options",
    "InputError": "bytelm.base.errors",
    "Journal": "bytelm.files.journal",
    "JsonLines": "bytelm.files.jsonl",
    "MOST_HEADS": "bytelm.base.options",
    "Model": "bytelm.model.model",
    "ModelConfig": "bytelm.config",
    "Number": "bytelm.records",
    "Out": "bytelm.files.places",
    "PAD": "bytelm.alphabet",
    "Positive": "bytelm.base.options",
    "ProgressBar": "bytelm.files.streams",
    "Prompt": "bytelm.decode.prompts",
    "R": "bytelm.records",
    "RUN_AGAIN": "bytelm.records",
    "Range": "bytelm.base.options",
    "Record": "bytelm.records",
    "SamplingOptions": "bytelm.decode.options",
    "Score": "bytelm.scoring",
    "Seed": "bytelm.base.options",
    "ShardWriter": "bytelm.shards",
    "Split": "bytelm.shards",
    "Stopped": "bytelm.commands.cli",
    "TrainOptions": "bytelm.training.options",
    "VOCAB": "bytelm.alphabet",
    "as_record": "bytelm.records",
    "bandwidth_bytes_per_s": "bytelm.base.rates",
    "bytes_per_forward": "bytelm.decode.row",
    "check_infilling": "bytelm.decode.prompts",
    "check_options": "bytelm.base.options",
    "claimed": "bytelm.files.claims",
    "check_place": "bytelm.files.places",
    "cuts": "bytelm.shards",
    "find_checkpoint": "bytelm.checkpoint",
    "finite": "bytelm.records",
    "generate": "bytelm.decode.generate",
    "generate_with_progress": "bytelm.decode.progress",
    "holds_shards": "bytelm.shards",
    "is_first": "bytelm.base.ranks",
    "joined": "bytelm.base.ranks",
    "kept_completions": "bytelm.decode.progress",
    "leave": "bytelm.base.ranks",
    "load_checkpoint": "bytelm.checkpoint",
    "main": "bytelm.commands.cli",
    "matmul_flops_per_s": "bytelm.base.rates",
    "of_file": "bytelm.base.errors",
    "option": "bytelm.base.errors",
    "preset_defaults": "bytelm.training.options",
    "preset_model": "bytelm.decode.cost",
    "progress_bar": "bytelm.files.streams",
    "read_jsonl": "bytelm.files.jsonl",
    "read_manifest": "bytelm.shards",
    "read_prompts": "bytelm.decode.prompts",
    "read_record": "bytelm.records",
    "resolve": "bytelm.training.options",
    "say": "bytelm.files.streams",
    "score_continuations": "bytelm.continuations",
    "score_continuations_on_ranks": "bytelm.continuations",
    "score_documents": "bytelm.scoring",
    "score_on_ranks": "bytelm.scoring",
    "seal": "bytelm.base.sealing",
    "setting": "bytelm.base.errors",
    "some": "bytelm.base.errors",
    "step_costs": "bytelm.decode.cost",
    "suggestion": "bytelm.base.options",
    "text_of": "bytelm.files.jsonl",
    "training_costs": "bytelm.training.cost",
    "usable_cores": "bytelm.base.cores",
    "write_bytes": "bytelm.files.atomic",
    "write_json": "bytelm.files.atomic",
    "write_json_result": "bytelm.files.places",
    "write_result": "bytelm.files.places",
    "write_stdout": "bytelm.files.streams",
    "write_text": "bytelm.files.atomic",
}
__all__ = sorted(_HOME)

__getattr__: Callable[[str], object] = importer(__name__, _HOME)
