"""Train from Python: `bytelm.train("tiny", data="...", run="...")`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from bytelm.config import ModelConfig
    from bytelm.training.options import TrainOptions
    from bytelm.training.summary import TrainingSummary


def train(
    preset: str | Path = "tiny",
    *,
    data: str | Path,
    run: str | Path,
    bytes: int | None = None,
    minutes: float | None = None,
    model: Mapping[str, object] | ModelConfig | None = None,
    train: Mapping[str, object] | TrainOptions | None = None,
    equal_parameters: bool = False,
    init: str | Path | None = None,
    drafts_only: bool = False,
    resume: bool = False,
    device: str = "cpu",
    dtype: Literal["auto", "float32", "bfloat16"] = "auto",
    compile: bool = True,
    micro_batch: int = 0,
    recompute: bool = False,
    tensorboard: bool = False,
    profile: bool = False,
    eval_steps: int = 100,
    save_minutes: float = 1.0,
    save_steps: int = 0,
    keep: int = 2,
) -> TrainingSummary:
    """Train a model on byte shards, as `python -m bytelm train` does.

    `preset` is a preset's name (see `bytelm.presets`) or the path of a .toml file. `data`: a shard
    folder, made by `python -m data build`. `run`: the folder to write; `bytelm.load(run)` loads it.

    The budget is `bytes` of training data, `minutes` of training, or both: then the run ends at the
    first of the two. The default is 4 minutes. With `bytes` alone, a run is repeatable bit for bit.

    `model` and `train` change options of the preset ({"width": 64}), or replace all of them (a
    ModelConfig, a TrainOptions). `equal_parameters` shrinks the model so that it has as many
    parameters as with one head. bytelm.training.run_options.RunOptions explains the others.

    Returns the run's figures. Ctrl-C and SIGTERM save a checkpoint and return; `ended` of the
    result then names the signal. Progress goes to stderr. Works in the main thread only.

    Raises InputError that names the wrong argument, OSError if files cannot be written, and
    ConnectionError if another rank was lost.
    """
    from bytelm.training.device.compile_cache import place_cache
    from bytelm.training.native.library import begin_attention
    from bytelm.training.run_options import RunOptions

    _check_paths(preset=preset, data=data, run=run, **({} if init is None else {"init": init}))
    options = RunOptions(
        None if init is None else Path(init), drafts_only, resume, minutes, bytes, dtype, compile,
        device, micro_batch, recompute, tensorboard, profile, eval_steps, save_minutes, save_steps,
        keep,
    )  # fmt: skip
    config, learning = _resolve(str(preset), model, train, equal_parameters)
    # Torch reads the cache's path when some of its parts are imported, so it is set before.
    place_cache(Path(run))
    begin_attention(device)
    from bytelm.training.session import train_session

    return train_session(config, learning, Path(data), Path(run), options, str(preset))


def _check_paths(**paths: object) -> None:
    from bytelm.base.errors import InputError

    for name, path in paths.items():
        if not isinstance(path, str | Path):
            raise InputError(f"{name} must be a str or a Path, not {type(path).__name__}")


def _resolve(
    preset: str,
    model: Mapping[str, object] | ModelConfig | None,
    train: Mapping[str, object] | TrainOptions | None,
    equal_parameters: bool,
) -> tuple[ModelConfig, TrainOptions]:
    from bytelm.base.errors import InputError
    from bytelm.config import ModelConfig
    from bytelm.training.options import TrainOptions, fit_together, resolve

    changes: list[Mapping[str, object]] = []
    for name, given, whole in (("model", model, ModelConfig), ("train", train, TrainOptions)):
        if not isinstance(given, Mapping | whole | None):
            raise InputError(
                f"{name} must be a dict of options or {whole.__name__}, not {type(given).__name__}"
            )
        changes.append(given if isinstance(given, Mapping) else {})
    config, learning = resolve(preset, *changes)
    config = model if isinstance(model, ModelConfig) else config
    learning = train if isinstance(train, TrainOptions) else learning
    return fit_together(config, learning, equal_parameters), learning


def presets() -> list[str]:
    """The names of the presets that `train` accepts."""
    from bytelm.config import preset_names

    return preset_names()
