"""What the experiments share: generated data, models of n heads trained on it, and figures.

Models that are compared differ in n only. They read the same bytes in the same order, with the same
recipe, and their trunk and head 1 start from the same weights. Only head 1 is measured, so models
with `unembed` heads also have equal size in use: they differ in the other heads' matrices
(264 x width each), which serve in training only.
"""

import json
import shutil
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal

from bytelm.toolkit import (
    MOST_HEADS,
    BatchSize,
    ByteCount,
    DefaultsByType,
    Device,
    HeadCount,
    InputError,
    ModelConfig,
    Positive,
    Range,
    ShardWriter,
    Split,
    TrainOptions,
    check_options,
    claimed,
    load_checkpoint,
    preset_defaults,
    read_manifest,
    resolve,
    say,
    seal,
    usable_cores,
    write_json,
    write_text,
)
from eval.records import Record, TrainingSummary, read_record
from eval.study.summary import read_row, summarize
from eval.study.trainings import setting_words, train_all

Content = bytes
"""A document. Inside the class below, the name `bytes` is an option."""

# No n-gram tables, which could hold the answers, and no attention window. Every head's loss has the
# weight of head 1's, as in the paper.
MODEL_RECIPE = {
    "window": 0,
    "short_window": 0,
    "ngram_orders": [],
    "ngram_rows": 0,
    "context": 1024,
}
TRAIN_RECIPE = {
    "head_weight": 1.0, "matrix_lr": 0.01, "embedding_lr": 0.005, "weight_decay": 0.0,
    "warmup": 0.02, "decay": 0.4,
}  # fmt: skip
RECIPE: dict[str, object] = {
    **{f"model.{name}": value for name, value in MODEL_RECIPE.items()},
    **{f"train.{name}": value for name, value in TRAIN_RECIPE.items()},
}
HEAD_SIZE = 32
PRESET = "paper-1m"
# Options of model and training that a command does not offer, and the option to use instead.
OWN = {
    "model.width": "--widths", "model.hidden": "--widths", "model.attention_heads": "--widths",
    "model.kv_heads": "--widths", "model.layers": "--layers", "model.prediction_heads": "--heads",
    "train.block": "--block", "train.batch": "--batch", "train.seed": "--seed and --seeds",
}  # fmt: skip
# If a block is a multiple of GRAIN bytes, all n up to FURTHEST cut the data into the same blocks.
GRAIN, FURTHEST = 64, MOST_HEADS
# Options that may differ when a folder is used again: they add runs, or do not change them.
FREE = {"out", "publish", "heads", "widths", "seeds", "names", "jobs", "device", "compile"}


@dataclass(frozen=True)
class Run:
    """One model: its data set, its width, its number of heads, and the seed of its weights."""

    data: str
    width: int
    n: int
    seed: int

    @property
    def name(self) -> str:
        return f"{self.data}-w{self.width}-n{self.n}-s{self.seed}"


@dataclass
class Experiment(ABC):
    """The options and the course of every experiment. A subclass adds its data and its measure."""

    out: Path = Path("runs/experiment")
    """Folder for data, runs and results. Models that it already holds are not trained again."""
    publish: Path | None = None
    """Also copy the figures, the plot and the report to this folder."""
    heads: tuple[HeadCount, ...] = (1, 2, 4, 8)
    """Numbers n of prediction heads to compare."""
    widths: tuple[Annotated[int, Range(HEAD_SIZE, most=2**20)], ...] = (64, 128)
    """Widths of the models to train. Multiples of 32."""
    layers: Annotated[int, Range(1, most=2**20)] = 4
    """Layers in each model."""
    seeds: Positive = 3
    """Models per width and number of heads. Their seeds are --seed, --seed + 1, ..."""
    seed: Annotated[int, Range(0, 2**62 - 1)] = 0
    """Seed of the data and of the first model."""
    bytes: ByteCount = 1_000_000
    """Bytes of training data for each model. No byte is read twice."""
    points: Positive = 8
    """Measurements during training, evenly spaced. The last is at the end."""
    block: Annotated[int, Range(GRAIN, most=2**30)] = 256
    """Bytes in a training block. A multiple of 64."""
    batch: BatchSize = 16
    """Blocks in the batch of one step."""
    preset: str = PRESET
    """Preset of the models. The experiment's recipe and the options here override it."""
    model: ModelConfig = field(default_factory=lambda: _recipe(PRESET)[0])
    """The models' architecture. The defaults are those of the preset and the recipe."""
    train: TrainOptions = field(default_factory=lambda: _recipe(PRESET)[1])
    """Data, loss and optimizers. The defaults are those of the preset and the recipe."""
    jobs: Annotated[int, Range(0, most=1024)] = 0
    """Models to train at the same time, with one thread each. 0: one per core."""
    dtype: Literal["float32", "bfloat16"] = "bfloat16"
    """Number type of matrix products in training."""
    compile: bool = True
    """Compile the models if a compiler is installed."""
    device: Device = "cpu"
    """Device for training: cpu or cuda."""

    @staticmethod
    def defaults(words: Sequence[str]) -> DefaultsByType:
        """The defaults of --model.* and --train.*, from the preset and the recipe."""
        return preset_defaults(words, PRESET, MODEL_RECIPE, TRAIN_RECIPE, OWN)

    @property
    @abstractmethod
    def name(self) -> str:
        """The experiment's name, which its files have too."""

    @property
    @abstractmethod
    def figures(self) -> tuple[str, ...]:
        """The keys of `measure`'s result to summarize, the most important first."""

    @abstractmethod
    def datasets(self) -> list[str]:
        """The names of the data sets. Each model is trained on one of them."""

    @abstractmethod
    def documents(self, data: str) -> Iterator[Content]:
        """An endless stream of training documents for the data set `data`."""

    @abstractmethod
    def held_out(self) -> list[Content]:
        """The documents that models are measured on. None of them may be in the training data."""

    @abstractmethod
    def measure(self, model: Any) -> dict[str, Any]:
        """The figures of a model."""

    @abstractmethod
    def about(self) -> dict[str, Any]:
        """Results that do not depend on a model, such as the score of guessing."""

    @abstractmethod
    def present(self, results: dict[str, Any], plot: Path) -> list[str]:
        """Draw the plot into the file `plot`, and return the lines of the report."""

    def run(self) -> dict[str, Any]:
        self._check()
        # Claimed before the first look, so that no other experiment writes here meanwhile.
        with claimed(self.out):
            return self._run()

    def _run(self) -> dict[str, Any]:
        started = time.monotonic()
        self._remember()
        runs = [
            Run(data, width, n, self.seed + index)
            for data, width, index, n in product(
                self.datasets(), self.widths, range(self.seeds), self.heads
            )
        ]
        splits = {data: self._data(data) for data in self.datasets()}
        rows = self._rows(runs)
        results = {
            "experiment": self.name,
            "options": self._options(),
            "recipe": _as_texts(RECIPE),
            "data": {
                data: {"train_bytes": split.bytes, "sha256": split.sha256}
                for data, split in splits.items()
            },
            **self.about(),
            "figures": list(self.figures),
            "rows": rows,
            "summary": summarize(rows, self.figures),
            "seconds": round(time.monotonic() - started, 1),
        }
        self._write(seal(results))
        return {
            "out": str(self.out),
            "report": str(self.out / "report.md"),
            "models": len(rows),
            "summary": results["summary"],
            "seconds": results["seconds"],
        }

    def _check(self) -> None:
        check_options(self)
        if not self.heads or not self.widths:
            raise InputError("--heads and --widths need at least one value each")
        if any(width % HEAD_SIZE for width in self.widths):
            raise InputError(f"--widths must be multiples of {HEAD_SIZE}")
        for option in ("heads", "widths"):
            if len({*getattr(self, option)}) < len(getattr(self, option)):
                raise InputError(f"--{option} names one twice")
        if self.block % GRAIN:
            raise InputError(f"--block {self.block} must be a multiple of {GRAIN}")
        if self.steps < self.points:
            raise InputError(
                f"--bytes {self.bytes} are {self.steps} batches of {self.block * self.batch}, "
                f"too few for {self.points} points; give more bytes or fewer --points"
            )
        for option in self._changes():
            if option in OWN:
                name = option.replace("_", "-")
                raise InputError(f"--{name} is set by {OWN[option]} here")
        if not self.datasets() or not self.held_out():
            raise InputError("there is nothing to train on, or nothing to measure with")

    @property
    def steps(self) -> int:
        """Batches that a model is trained on."""
        return -(-self.bytes // (self.block * self.batch))

    def _changes(self) -> dict[str, object]:
        """The model and training options that differ from the preset and the recipe."""
        model, train = _recipe(self.preset)
        mine = _by_name(self.model, self.train)
        base = _by_name(model, train)
        return {name: value for name, value in mine.items() if value != base[name]}

    def _options(self) -> dict[str, Any]:
        """The options as JSON values. `set` lists the changed options of model and training."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        del values["model"]
        values["train"] = _as_texts(self._changes())
        plain = json.loads(json.dumps(values, default=str))
        return {"set" if name == "train" else name: value for name, value in plain.items()}

    def _asked(self) -> dict[str, Any]:
        """The options on which the figures depend, as JSON values."""
        free = {field.name for field in fields(self)} & FREE
        return {name: value for name, value in self._options().items() if name not in free}

    def _remember(self) -> None:
        """Store the options in the folder, or raise InputError if it has runs with other options.

        Runs with different options could not be compared.
        """
        path = self.out / "experiment.json"
        asked = {"experiment": self.name, **self._asked()}
        before: dict[str, Any] = {}
        if path.exists():
            before = read_record(path, Record, "choose another --out").to_dict()
        other = [option for option in asked if before.get(option) != asked[option]]
        if other and any(self.out.glob("runs/*/config.json")):
            option = other[0]
            raise InputError(
                f"{self.out} was begun with {option} = {before.get(option)!r}, not "
                f"{asked[option]!r}; choose another --out"
            )
        if other:
            write_json(path, asked)

    def _data(self, data: str) -> Split:
        """The training documents as shards, which are written unless these options made them."""
        folder = self.out / "data" / data
        about = {"experiment": self.name, "seed": self.seed, "options": self._asked()}
        is_there = (folder / "manifest.json").is_file()
        # Shards of other options are replaced: no model has been trained on them yet.
        if not is_there or read_manifest(folder).get("options") != about["options"]:
            # Training reads less than one epoch: some blocks are added for the last batch, and for
            # the remainder that no block holds.
            wanted, stream = self.bytes + (2 * self.batch + 1) * self.block, 0
            with ShardWriter(folder) as writer:
                for index, content in enumerate(self.documents(data)):
                    writer.add("train", f"{self.name}-{index}", content)
                    stream += len(content) + 2  # with its begin id and its end id
                    # This makes all n cut the stream into the same number of blocks.
                    if stream >= wanted and stream % GRAIN >= FURTHEST:
                        break
                for index, content in enumerate(self.held_out()):
                    writer.add("held_out", f"held-out-{index}", content)
                writer.finish(about)
        return Split(folder, "train")

    def _arguments(self, run: Run) -> list[str]:
        width = run.width
        # 8/3 of the width, as in Llama.
        hidden = -(-8 * width // 3 // HEAD_SIZE) * HEAD_SIZE
        shape = {
            "width": width, "hidden": hidden, "layers": self.layers,
            "attention_heads": width // HEAD_SIZE, "kv_heads": width // HEAD_SIZE,
            "prediction_heads": run.n,
        }  # fmt: skip
        sizes = {"block": self.block, "batch": self.batch, "seed": run.seed}
        settings = {
            **{f"model.{option}": value for option, value in shape.items()},
            **RECIPE,
            **self._changes(),
            **{f"train.{option}": value for option, value in sizes.items()},
        }
        return [
            "--data", str(self.out / "data" / run.data), "--run", str(self._folder(run)),
            "--preset", self.preset, "--bytes", str(self.bytes), "--resume",
            "--dtype", self.dtype, "--device", self.device,
            "--compile" if self.compile else "--no-compile",
            "--save-steps", str(-(-self.steps // self.points)), "--keep", str(self.points + 1),
            "--eval-steps", str(self.steps + 1),
            *setting_words(settings),
        ]  # fmt: skip

    def _folder(self, run: Run) -> Path:
        return self.out / "runs" / run.name

    def _rows(self, runs: list[Run]) -> list[dict[str, Any]]:
        """The figures of every run, in order. Runs without figures are trained and measured."""
        missing = {run.name: run for run in runs if not (self._folder(run) / "row.json").is_file()}
        if missing:
            kept = len(runs) - len(missing)
            say(f"{len(missing)} models to train" + f", {kept} already trained" * bool(kept))
        arguments = {name: self._arguments(run) for name, run in missing.items()}
        for name in train_all(arguments, self.out / "logs", self.jobs or usable_cores(), self.name):
            self._measure(missing[name])
        return [read_row(self._folder(run), self.figures) for run in runs]

    def _measure(self, run: Run) -> None:
        """Measure all checkpoints of a run and store the figures. Keep only the last checkpoint."""
        folder = self._folder(run)
        checkpoints = sorted((folder / "checkpoints").glob("step-*"))
        points = []
        for path in checkpoints:
            checkpoint = load_checkpoint(path)
            points.append({"bytes": checkpoint.progress["bytes"], **self.measure(checkpoint.model)})
        summary = read_record(folder / "summary.json", TrainingSummary)
        row = {
            **asdict(run),
            "parameters": summary.parameters,
            "train_s": summary.train_s,
            "held_out_bpb": summary.held_out_bpb,
            "checkpoint_sha256": summary.checkpoint_sha256,
            **points[-1],
            "points": points,
        }
        write_json(folder / "row.json", row)
        for path in checkpoints[:-1]:
            shutil.rmtree(path)
        shown = "  ".join(f"{key} {row[key]:.3f}" for key in self.figures)
        say(f"{run.name}: {shown}")

    def _write(self, results: dict[str, Any]) -> None:
        """Write the figures, the plot and the report, to `publish` too if it is given."""
        for folder, page in ((self.out, "report"), (self.publish, self.name)):
            if folder is not None:
                write_json(folder / f"{self.name}.json", results)
                plot = folder / f"{self.name}.png"
                write_text(folder / f"{page}.md", "\n".join(self.present(results, plot)) + "\n")


def _recipe(preset: str) -> tuple[ModelConfig, TrainOptions]:
    return resolve(preset, MODEL_RECIPE, TRAIN_RECIPE)


def _by_name(model: ModelConfig, train: TrainOptions) -> dict[str, object]:
    return {
        **{f"model.{name}": value for name, value in model.to_dict().items()},
        **{f"train.{name}": value for name, value in train.to_dict().items()},
    }


def _as_texts(settings: Mapping[str, object]) -> list[str]:
    return [f"{name}={json.dumps(value)}" for name, value in settings.items()]
