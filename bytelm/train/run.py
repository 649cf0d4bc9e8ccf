"""`python -m bytelm train`: a preset and shards become a run folder."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from bytelm.command import Stopped, say
from bytelm.errors import InputError
from bytelm.files import write_json


@dataclass
class Train:
    """Train a model on byte shards.

    Writes config.json, metrics.jsonl, checkpoints/ and summary.json into the run folder. Ctrl-C and
    SIGTERM save and leave; --resume goes on.
    """

    data: Path
    """Shard folder, made by `python -m data build`."""
    run_folder: Annotated[Path, tyro.conf.arg(name="run")]
    """Run folder to write, e.g. runs/tiny."""
    preset: str = "tiny"
    """A preset's name, or the path of a .toml file like one."""
    init: Path | None = None
    """Begin with the weights of this run folder or checkpoint, of the preset's shape."""
    drafts_only: bool = False
    """Train what heads 2..n have for themselves and nothing else, so that the text stays the same;
    on text that the model wrote, this makes drafts that are accepted more often."""
    resume: bool = False
    """Go on from the newest whole checkpoint of the run folder; start where there is none."""
    minutes: float | None = None
    """Budget: minutes of training, compilation included (default 4, if --bytes is not given)."""
    bytes: int | None = None
    """Budget: bytes of training data. A run with this budget alone is repeatable bit for bit."""
    set: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """Override an option of the preset: model.OPTION=VALUE or train.OPTION=VALUE; repeatable."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of matrix products in training; auto measures which is faster here."""
    compile: bool = True
    """Compile the model where a compiler is present."""
    device: str = "cpu"
    """cpu or cuda."""
    eval_steps: int = 100
    """Score held-out text every so many steps."""
    save_minutes: float = 1.0
    """Minutes between checkpoints."""
    save_steps: int = 0
    """Steps between checkpoints, instead of minutes; 0: by minutes."""
    keep: int = 2
    """Checkpoints to keep, the newest ones."""

    def run(self) -> dict[str, Any]:
        import torch

        from bytelm.sealing import seal
        from bytelm.shards import Split
        from bytelm.train.options import resolve
        from bytelm.train.speedups import pick_dtype
        from bytelm.train.trainer import Budget, Cadence, Trainer

        self._check(torch.cuda.is_available())
        config, options = resolve(self.preset, self.set)
        init, start = self._start(config)
        train, held_out = Split(self.data, "train"), Split(self.data, "held_out")
        wanted = {
            "preset": self.preset,
            "model": config.to_dict(),
            "train": options.to_dict(),
            "data": _describe(train, held_out),
            "start": start,
        }
        folder = self.run_folder
        stored = self._stored(wanted)
        dtype = stored.get("dtype") or str(pick_dtype(self.dtype, self.device))
        if self.dtype not in ("auto", dtype.removeprefix("torch.")):
            say(f"--dtype {self.dtype} is not applied: {folder} was begun with {dtype}")
        cadence = Cadence(
            self.eval_steps,
            save_minutes=self.save_minutes,
            save_steps=self.save_steps,
            keep=self.keep,
        )
        trainer = Trainer(
            folder=folder,
            config=config,
            options=options,
            train=train,
            held_out=held_out,
            dtype=getattr(torch, dtype.removeprefix("torch.")),
            cadence=cadence,
            compiled=self.compile,
            device=self.device,
            init=init,
            drafts_only=self.drafts_only,
        )
        resumed = self.resume and trainer.resume()
        no_budget = self.minutes is None and self.bytes is None
        budget = Budget(self.bytes, 4.0 if no_budget else self.minutes)
        if resumed and budget.spent(trainer.bytes, trainer.elapsed_s) >= 1:
            return self._already(trainer)
        trainer.require_space()
        if not stored:
            write_json(folder / "config.json", seal({**wanted, "dtype": dtype}))
        say(_opening(trainer.model.parameters_by_part(), dtype, resumed, trainer.step))
        ended = self._train(trainer, budget)
        figures = self._summarize(trainer, ended)
        if ended != "budget":
            say(f"stopped by {ended} and saved; go on with --resume")
            raise Stopped(figures, 130 if ended == "SIGINT" else 143)
        return figures

    def _train(self, trainer: Any, budget: Any) -> str:
        """Train; says what is left to go on from where that fails."""
        from bytelm.checkpoint import list_checkpoints
        from bytelm.train.trainer import NotFiniteError

        try:
            return str(trainer.train(budget))
        except NotFiniteError as error:
            raise InputError(
                f"training diverged: {error}; nothing was saved since the last checkpoint in "
                f"{trainer.checkpoints}; lower the learning rates (--set train.matrix_lr=...)"
            ) from error
        except OSError:
            whole = list_checkpoints(trainer.checkpoints)
            if whole:
                say(f"the last whole checkpoint is {whole[0]}; make room and go on with --resume")
            raise

    def _check(self, cuda: bool) -> None:
        if self.device.startswith("cuda") and not cuda:
            raise InputError("--device cuda: this machine has no CUDA device that torch can use")
        for name in ("minutes", "bytes", "eval_steps", "save_minutes", "keep"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise InputError(f"--{name.replace('_', '-')} must be above 0, not {value}")

    def _start(self, config: Any) -> tuple[Path | None, dict[str, Any]]:
        """The checkpoint of --init, checked to be of the preset's shape; and what to remember."""
        from bytelm.checkpoint import check_checkpoint, find_checkpoint

        if self.drafts_only and config.prediction_heads == 1:
            raise InputError("--drafts-only: a model with one prediction head has no drafts")
        if self.drafts_only and self.init is None:
            raise InputError("--drafts-only needs a trained model to begin with: --init DIR")
        if self.init is None:
            return None, {}
        if not self.init.exists():
            raise InputError(f"--init {self.init} does not exist; it is a run folder or checkpoint")
        folder = find_checkpoint(self.init)
        about = check_checkpoint(folder)
        for name, value in json.loads(json.dumps(config.to_dict())).items():
            if about["model"].get(name) != value:
                raise InputError(
                    f"--init {self.init} has model.{name} = {about['model'].get(name)!r}, the "
                    f"preset {value!r}; give the preset that it was trained with, or --set"
                )
        sha256 = about["files"]["model.safetensors"]["sha256"]
        return folder, {"init_sha256": sha256, "drafts_only": self.drafts_only}

    def _stored(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """The run folder's config.json, checked against `wanted`; empty for a new run."""
        from bytelm.checkpoint import list_checkpoints
        from bytelm.train.trainer import read_config

        folder = self.run_folder
        if folder.exists() and not folder.is_dir():
            raise InputError(f"--run {folder} is a file, not a folder")
        begun = list_checkpoints(folder / "checkpoints")
        if begun and not self.resume:
            raise InputError(
                f"{folder} already holds a run ({begun[0].name}); "
                "go on with --resume, or choose another --run"
            )
        if not begun or not (folder / "config.json").exists():
            return {}
        stored = read_config(folder)
        plain = json.loads(json.dumps(wanted))
        for table in ("model", "train", "data", "start"):
            before = stored.get(table, {})
            for name in sorted({*plain[table], *before} - {"folder"}):
                old, new = before.get(name), plain[table].get(name)
                if old != new:
                    raise InputError(
                        f"{folder} was begun with {table}.{name} = {old!r}, not {new!r}; "
                        "resume with the same options, or choose another --run"
                    )
        return stored

    def _already(self, trainer: Any) -> dict[str, Any]:
        """What to say of a run whose budget is spent."""
        say(
            f"{self.run_folder} is trained already ({trainer.step} steps): nothing to do; "
            "give a larger budget, or remove the folder to train anew"
        )
        try:
            summary = json.loads((self.run_folder / "summary.json").read_bytes())
        except (OSError, ValueError):
            summary = {}
        if summary.get("steps") != trainer.step:
            # Killed after its last checkpoint and before its summary.
            summary = self._summarize(trainer, "budget")
        return {**summary, "trained_now": False}

    def _summarize(self, trainer: Any, ended: str) -> dict[str, Any]:
        from bytelm.checkpoint import check_checkpoint, list_checkpoints
        from bytelm.sealing import seal

        score = trainer.evaluate()
        newest = list_checkpoints(trainer.checkpoints)[0]
        sha256 = check_checkpoint(newest)["files"]["model.safetensors"]["sha256"]
        figures = {
            "run": str(self.run_folder),
            "ended": ended,
            "steps": trainer.step,
            "bytes": trainer.bytes,
            "train_s": round(trainer.elapsed_s, 1),
            "compiled": trainer.compiled,
            "dtype": str(trainer.dtype).removeprefix("torch."),
            "parameters": trainer.model.parameters_by_part(),
            "flops_per_byte": trainer.model.flops_per_byte(trainer.options.block // 2, True),
            "held_out_bpb": score.heads_bpb(),
            "forecast": {str(k): value for k, value in score.forecast.items()},
            "checkpoint": str(newest.relative_to(self.run_folder)),
            "checkpoint_sha256": sha256,
        }
        write_json(self.run_folder / "summary.json", seal(figures))
        return {**figures, "trained_now": True}


def _describe(train: Any, held_out: Any) -> dict[str, Any]:
    return {
        "folder": str(train.folder),
        "train_bytes": train.bytes,
        "train_documents": train.documents,
        "held_out_bytes": held_out.bytes,
        "held_out_documents": held_out.documents,
        "sha256": train.sha256,
        "held_out_sha256": held_out.sha256,
    }


def _opening(parameters: dict[str, int], dtype: str, resumed: bool, step: int) -> str:
    tables = f" and {parameters['tables'] / 1e6:.1f}M in n-gram tables" * bool(parameters["tables"])
    core = (parameters["total"] - parameters["tables"]) / 1e6
    begin = f"resuming at step {step}" if resumed else "training"
    return f"{begin}: {core:.2f}M parameters{tables}, {dtype.removeprefix('torch.')}"
