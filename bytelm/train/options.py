"""Everything that decides what a training run computes, resolved from preset and overrides."""

import dataclasses
import tomllib
from dataclasses import dataclass, field
from typing import Any

from bytelm.base.errors import InputError
from bytelm.config import ModelConfig, load_preset, model_config
from bytelm.model.equal import at_equal_parameters
from bytelm.train.optim.guard import GuardOptions
from bytelm.train.optim.optimizer import OptimizerOptions
from bytelm.train.optim.schedule import ScheduleOptions


@dataclass(frozen=True)
class TrainOptions:
    """The table [train] of a preset, flat: these and the options of the parts."""

    block: int = 512
    """T: bytes in a training block."""
    batch: int = 8
    """B: blocks in a batch, that of all ranks together: what one step learns from."""
    head_weight: float = 0.3
    """Weight of the losses of heads 2..n against head 1's."""
    document_masks: bool = False
    """Positions attend within their own document only, where a block holds several."""
    seed: int = 0
    """Of the initial weights and of the order of the data."""
    optimizer: OptimizerOptions = field(default_factory=OptimizerOptions)
    schedule: ScheduleOptions = field(default_factory=ScheduleOptions)
    guard: GuardOptions = field(default_factory=GuardOptions)

    def to_dict(self) -> dict[str, Any]:
        """Flat, as in a preset."""
        values = dataclasses.asdict(self)
        for part in PARTS:
            values |= values.pop(part)
        return values


PARTS: dict[str, Any] = {
    "optimizer": OptimizerOptions,
    "schedule": ScheduleOptions,
    "guard": GuardOptions,
}


def train_options(values: dict[str, Any], where: str) -> TrainOptions:
    """TrainOptions of the flat `values`; `where` names their source in errors."""
    home = {f.name: ("", f) for f in dataclasses.fields(TrainOptions) if f.name not in PARTS}
    for part, kind in PARTS.items():
        home |= {f.name: (part, f) for f in dataclasses.fields(kind)}
    found: dict[str, dict[str, Any]] = {"": {}, **{part: {} for part in PARTS}}
    for name, value in values.items():
        if name not in home:
            raise InputError(f"{where}: unknown train option {name!r}; known: {', '.join(home)}")
        part, known = home[name]
        _check_type(name, value, type(known.default), where)
        found[part][name] = value
    try:
        made = {part: kind(**found[part]) for part, kind in PARTS.items()}
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    options = TrainOptions(**found[""], **made)
    for name in ("block", "batch"):
        size = getattr(options, name)
        if not isinstance(size, int) or size < 1:
            raise InputError(f"{where}: the train option {name!r} must be a whole number above 0")
    return options


def _check_type(name: str, value: Any, wanted: type, where: str) -> None:
    words = {str: "a text in quotes", bool: "true or false"}.get(wanted, "a number")
    fits = isinstance(value, wanted if wanted in (str, bool) else int | float)
    if not fits or (isinstance(value, bool) and wanted is not bool):
        raise InputError(f"{where}: the train option {name!r} must be {words}, not {value!r}")


def resolve(
    preset: str, overrides: tuple[str, ...], equal_parameters: bool = False
) -> tuple[ModelConfig, TrainOptions]:
    """The preset with `overrides` such as "model.width=256" or "train.batch=4" applied.

    With `equal_parameters` the model has as many parameters as with one head.
    """
    tables = load_preset(preset)
    for text in overrides:
        name, equals, value = text.partition("=")
        table, dot, option = name.strip().partition(".")
        if not equals or not dot or table not in tables:
            raise InputError(f"--set {text}: write it as model.OPTION=VALUE or train.OPTION=VALUE")
        try:
            tables[table][option] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError as error:
            raise InputError(
                f"--set {text}: the value is not TOML (quote strings): {error}"
            ) from error
    where = f"preset {preset}"
    model = model_config(tables["model"], where)
    if equal_parameters:
        model = at_equal_parameters(model, model.prediction_heads, model.head_kind)
    train = train_options(tables["train"], where)
    if train.block > model.context:
        raise InputError(f"{where}: the block of {train.block} exceeds the context {model.context}")
    return model, train
