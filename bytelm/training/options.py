"""The options that decide what a training run computes: a preset, and changes to it."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

import tyro

from bytelm.base.errors import InputError, of_file, option
from bytelm.base.options import (
    BatchSize,
    Range,
    Seed,
    check_names,
    check_options,
    suggestion,
)
from bytelm.commands.parsing import Defaults, DefaultsByType, peek
from bytelm.config import ModelConfig, load_preset, model_config
from bytelm.model.equal import at_equal_parameters
from bytelm.training.optim.guard import GuardOptions
from bytelm.training.optim.options import OptimizerOptions
from bytelm.training.optim.schedule import ScheduleOptions

# The parts' options have no prefix of their own, just as in the table [train] of a preset.
_FLAT = tyro.conf.arg(name="")


@dataclass(frozen=True)
class TrainOptions:
    """The table [train] of a preset: the options here, and those of the three parts."""

    block: Annotated[int, Range(1, most=2**30)] = 512
    """T: bytes in a training block. At most --model.context."""
    batch: BatchSize = 8
    """B: blocks in the batch of one step, over all ranks together."""
    head_weight: Annotated[float, Range(0, most=10**6)] = 0.3
    """Weight of the losses of heads 2..n. Head 1's loss has weight 1."""
    document_masks: bool = False
    """Let positions attend only to their own document, in blocks that hold several."""
    whole_documents: bool = False
    """Lay documents into blocks so that none is cut that fits in one. A little of each block may
    stay empty."""
    stages: bool = True
    """If the data has stages, read one after the other in the first epoch. Later epochs mix them.
    """
    infilling: Annotated[float, Range(0, 1)] = 0.0
    """The share of documents that are rearranged, so that the model learns to fill a gap between
    two texts. 0: none. Best with --train.whole-documents, since blocks then cut no gap."""
    infilling_spm_share: Annotated[float, Range(0, 1)] = 0.5
    """Of the rearranged documents, the share with the suffix before the prefix (SPM). In the others
    the prefix comes first (PSM), as in prompts."""
    seed: Seed = 0
    """Seed of the initial weights, of the order of the data, and of the gaps."""
    optimizer: Annotated[OptimizerOptions, _FLAT] = field(default_factory=OptimizerOptions)
    schedule: Annotated[ScheduleOptions, _FLAT] = field(default_factory=ScheduleOptions)
    guard: Annotated[GuardOptions, _FLAT] = field(default_factory=GuardOptions)

    def __post_init__(self) -> None:
        check_options(self, "train.")

    def to_dict(self) -> dict[str, Any]:
        """The options of all parts in one flat dictionary, as in a preset."""
        values = dataclasses.asdict(self)
        for part in PARTS:
            values |= values.pop(part)
        return values


PARTS: dict[str, Any] = {
    "optimizer": OptimizerOptions,
    "schedule": ScheduleOptions,
    "guard": GuardOptions,
}


def train_options(values: Mapping[str, Any]) -> TrainOptions:
    """TrainOptions from flat `values`, as in a preset.

    Raises InputError for unknown names and for values that are out of range.
    """
    home = {f.name: "" for f in dataclasses.fields(TrainOptions) if f.name not in PARTS}
    for part, kind in PARTS.items():
        home |= {f.name: part for f in dataclasses.fields(kind)}
    found: dict[str, dict[str, Any]] = {"": {}, **{part: {} for part in PARTS}}
    for name, value in values.items():
        if name not in home:
            like = suggestion(option(f"train.{name}"), (option(f"train.{n}") for n in home))
            raise InputError(f"there is no option {option(f'train.{name}')}{like}")
        found[home[name]][name] = value
    return TrainOptions(**found[""], **{part: kind(**found[part]) for part, kind in PARTS.items()})


def read_preset(preset: str) -> tuple[ModelConfig, TrainOptions]:
    """The model and training options of a preset, given by name or by the path of a TOML file.

    Raises InputError for a preset that does not exist or has wrong values.
    """
    tables = load_preset(preset)
    where = preset if preset.endswith(".toml") else f"preset {preset}"
    with of_file(where):
        train = train_options(tables["train"])
    model = model_config(tables["model"], where)
    with of_file(where):
        check_block(model, train)
    return model, train


def resolve(
    preset: str,
    model: Mapping[str, object] | None = None,
    train: Mapping[str, object] | None = None,
) -> tuple[ModelConfig, TrainOptions]:
    """The options of a preset, changed by the values in `model` and `train` (flat, as in a preset).

    Raises InputError that names the option: "model.width must be at least 1, not 0".
    """
    base, options = read_preset(preset)
    values = {**base.to_dict(), **(model or {})}
    check_names(values, ModelConfig, "model.")
    if isinstance(orders := values["ngram_orders"], list):
        values["ngram_orders"] = tuple(orders)
    return ModelConfig(**values), train_options({**options.to_dict(), **(train or {})})


def fit_together(
    model: ModelConfig, train: TrainOptions, equal_parameters: bool = False
) -> ModelConfig:
    """The model to train, checked against the training options.

    With `equal_parameters`, the model shrinks to the number of parameters that it has with one
    head. Raises InputError if the training block exceeds the model's context.
    """
    if equal_parameters:
        model = at_equal_parameters(model, model.prediction_heads, model.head_kind)
    check_block(model, train)
    return model


def check_block(model: ModelConfig, train: TrainOptions) -> None:
    """Raise InputError if a training block is longer than the model's context."""
    if train.block > model.context:
        raise InputError(
            f"{option('train.block')} {train.block} exceeds the context: "
            f"{option('model.context')} is {model.context}"
        )


def preset_defaults(
    words: Sequence[str],
    default: str = "tiny",
    model: Mapping[str, object] | None = None,
    train: Mapping[str, object] | None = None,
    fixed: Mapping[str, str] | None = None,
) -> DefaultsByType:
    """The defaults of `--model.*` and `--train.*`: those of the preset that `words` name.

    Values in `model` and `train` replace the preset's. `fixed` lists the options that a command
    does not offer, with the option to use instead: {"model.width": "--widths"}.
    """
    preset = peek(words, "preset", default)
    found = resolve(preset, model, train)
    source = f"{preset} and the recipe" if model or train else preset
    values = [*found, *(getattr(found[1], part) for part in PARTS)]
    by_table: dict[str, dict[str, str]] = {"model": {}, "train": {}}
    for name, instead in (fixed or {}).items():
        table, _, last = name.partition(".")
        by_table[table][last] = instead
    return {
        type(value): Defaults(
            value, source, by_table["model" if isinstance(value, ModelConfig) else "train"]
        )
        for value in values
    }
