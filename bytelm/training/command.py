"""`python -m bytelm train`: train a model of a preset on byte shards, into a run folder."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar

import tyro

from bytelm.commands.cli import Stopped
from bytelm.commands.parsing import DefaultsByType
from bytelm.config import ModelConfig
from bytelm.training.device.compile_cache import place_cache
from bytelm.training.native.library import begin_attention
from bytelm.training.options import TrainOptions, fit_together, preset_defaults
from bytelm.training.run_options import RunOptions


@dataclass
class Train:
    """Train a model on byte shards.

    Writes config.json, metrics.jsonl, checkpoints/ and summary.json into the run folder. Ctrl-C and
    SIGTERM save a checkpoint and end the run; --resume continues it.
    """

    on_ranks: ClassVar[bool] = True

    data: Path
    """Shard folder, made by `data build`."""
    run_folder: Annotated[Path, tyro.conf.arg(name="run", aliases=("--run-folder",))]
    """Run folder to write, e.g. runs/tiny."""
    model: ModelConfig
    """The model's architecture. The defaults are the preset's."""
    train: TrainOptions
    """Data, loss and optimizers. The defaults are the preset's."""
    preset: str = "tiny"
    """The name of a preset, or the path of a .toml file in the same form."""
    equal_parameters: bool = False
    """Shrink the n-gram tables or feed-forward layers so that the model has as many parameters as
    with one prediction head."""
    options: Annotated[RunOptions, tyro.conf.arg(name="")] = field(default_factory=RunOptions)

    @staticmethod
    def defaults(words: Sequence[str]) -> DefaultsByType:
        """The defaults of --model.* and --train.*, which depend on --preset."""
        return preset_defaults(words)

    def run(self) -> dict[str, Any]:
        # Torch reads the cache's path when some of its parts are imported, so it is set before.
        place_cache(self.run_folder)
        model = fit_together(self.model, self.train, self.equal_parameters)
        begin_attention(self.options.device)
        from bytelm.training.session import train_session

        summary = train_session(
            model, self.train, self.data, self.run_folder, self.options, self.preset
        )
        if summary.ended != "budget":
            raise Stopped(summary.to_dict(), 130 if summary.ended == "SIGINT" else 143)
        return summary.to_dict()
