"""Everything that decides what a training run computes, resolved from preset and overrides."""

import dataclasses
import tomllib
from dataclasses import dataclass, field
from typing import Any

from bytelm.config import ModelConfig, load_preset, model_config
from bytelm.errors import InputError
from bytelm.train.optimizer import OptimizerOptions
from bytelm.train.schedule import ScheduleOptions


@dataclass(frozen=True)
class TrainOptions:
    """The table [train] of a preset, flat: these and the optimizer's and the schedule's options."""

    block: int = 512
    """T: bytes in a training block."""
    batch: int = 8
    """B: blocks in a batch."""
    head_weight: float = 0.3
    """Weight of the losses of heads 2..n against head 1's."""
    seed: int = 0
    """Of the initial weights and of the order of the data."""
    optimizer: OptimizerOptions = field(default_factory=OptimizerOptions)
    schedule: ScheduleOptions = field(default_factory=ScheduleOptions)

    def to_dict(self) -> dict[str, Any]:
        """Flat, as in a preset."""
        values = dataclasses.asdict(self)
        nested = values.pop("optimizer") | values.pop("schedule")
        return values | nested


def train_options(values: dict[str, Any], where: str) -> TrainOptions:
    """TrainOptions of the flat `values`; `where` names their source in errors."""
    parts: dict[str, dict[str, Any]] = {"": {}, "optimizer": {}, "schedule": {}}
    home = {f.name: "optimizer" for f in dataclasses.fields(OptimizerOptions)}
    home |= {f.name: "schedule" for f in dataclasses.fields(ScheduleOptions)}
    plain = [f for f in dataclasses.fields(TrainOptions) if f.name not in parts]
    home |= {f.name: "" for f in plain}
    for name, value in values.items():
        if name not in home:
            raise InputError(f"{where}: unknown train option {name!r}; known: {', '.join(home)}")
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InputError(f"{where}: the train option {name!r} must be a number, not {value!r}")
        parts[home[name]][name] = value
    options = TrainOptions(
        **parts[""],
        optimizer=OptimizerOptions(**parts["optimizer"]),
        schedule=ScheduleOptions(**parts["schedule"]),
    )
    for name in ("block", "batch"):
        size = getattr(options, name)
        if not isinstance(size, int) or size < 1:
            raise InputError(f"{where}: the train option {name!r} must be a whole number above 0")
    return options


def resolve(preset: str, overrides: tuple[str, ...]) -> tuple[ModelConfig, TrainOptions]:
    """The preset with `overrides` such as "model.width=256" or "train.batch=4" applied."""
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
    train = train_options(tables["train"], where)
    if train.block > model.context:
        raise InputError(f"{where}: the block of {train.block} exceeds the context {model.context}")
    return model, train
