"""`python -m bytelm train`: a preset and shards become a run folder."""

import importlib.util
import json
import os
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import tyro

from bytelm.base.cli import Stopped, say
from bytelm.base.errors import InputError
from bytelm.base.files import write_json


@dataclass
class Train:
    """Train a model on byte shards.

    Writes config.json, metrics.jsonl, checkpoints/ and summary.json into the run folder. Ctrl-C and
    SIGTERM save and leave; --resume goes on.
    """

    on_ranks: ClassVar[bool] = True

    data: Path
    """Shard folder, made by `python -m data build`."""
    run_folder: Annotated[Path, tyro.conf.arg(name="run", aliases=("--run-folder",))]
    """Run folder to write, e.g. runs/tiny."""
    preset: str = "tiny"
    """A preset's name, or the path of a .toml file like one."""
    init: Path | None = None
    """Begin with the weights of this run folder or checkpoint. Heads may differ in number and kind;
    what the next byte goes through must be of the preset's shape."""
    drafts_only: bool = False
    """Train what heads 2..n have for themselves and nothing else, so that the text stays the same;
    on text that the model wrote, this makes drafts that are accepted more often."""
    equal_parameters: bool = False
    """Shrink the rest of the preset's model so that it has as many parameters as with one head."""
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
    """cpu or cuda; under torchrun each rank takes a device of its own."""
    micro_batch: int = 0
    """Blocks that a device runs at a time; gradients add up to those of the whole batch. 0: all."""
    recompute: bool = False
    """Compute activations again in the backward instead of keeping them: less memory, more time."""
    tensorboard: bool = False
    """Write scalars for TensorBoard into the run folder's tensorboard/."""
    profile: bool = False
    """Profile some of the first steps, into the run folder's profile/."""
    eval_steps: int = 100
    """Score held-out text every so many steps."""
    save_minutes: float = 1.0
    """Minutes between checkpoints."""
    save_steps: int = 0
    """Steps between checkpoints, instead of minutes; 0: by minutes."""
    keep: int = 2
    """Checkpoints to keep, the newest ones."""

    def run(self) -> dict[str, Any]:
        # For machine code. Torch settles the place when some of its parts are imported.
        cache = self.run_folder.parent / ".cache" / "inductor"
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache.absolute()))
        import torch

        from bytelm.base.ranks import joined

        self._check(torch.cuda.is_available())
        try:
            with joined(self.device) as self._own_device:
                return self._run()
        except ConnectionError as error:
            more = "go on from the last checkpoint with --resume"
            raise ConnectionError(f"{error}; {more}") from error

    def _run(self) -> dict[str, Any]:
        from bytelm.base.ranks import barrier, is_first
        from bytelm.base.rates import matmul_flops_per_s
        from bytelm.base.sealing import seal
        from bytelm.shards import Split
        from bytelm.train.loop.budget import Budget
        from bytelm.train.loop.watching import forget_peak
        from bytelm.train.options import resolve

        config, options = resolve(self.preset, self.set, self.equal_parameters)
        self._check_batch(options.batch)
        if options.document_masks and self.device.startswith("cuda"):
            raise InputError(
                "train.document_masks works on CPUs only: on a GPU the mask of a block would take "
                "block x block values a layer"
            )
        init, start = self._start(config)
        train, held_out = Split(self.data, "train"), Split(self.data, "held_out")
        wanted = {
            "preset": self.preset,
            "model": config.to_dict(),
            "train": options.to_dict(),
            "data": _describe(train, held_out),
            "start": start,
        }
        stored = self._stored(wanted)
        # Later ranks must not find what the first one is about to write.
        barrier()
        dtype = self._dtype(stored.get("dtype"))
        trainer = self._trainer(config, options, train, held_out, dtype, init)
        resumed = self.resume and trainer.resume()
        no_budget = self.minutes is None and self.bytes is None
        budget = Budget(self.bytes, 4.0 if no_budget else self.minutes)
        self._matmul_flops_per_s = matmul_flops_per_s(
            trainer.learner.execution.dtype, self._own_device
        )
        forget_peak(self._own_device)
        spent = budget.spent(trainer.bytes, trainer.elapsed_s)
        if resumed and spent >= 1 and trainer.pending is None:
            return self._already(trainer)
        if is_first():
            trainer.require_space()
        barrier()
        if not stored and is_first():
            write_json(self.run_folder / "config.json", seal({**wanted, "dtype": dtype}))
        say(_opening(trainer.learner.parameters, dtype, resumed, trainer.step))
        ended = self._train(trainer, budget)
        figures = self._summarize(trainer, ended)
        if ended != "budget":
            say(f"stopped by {ended} and saved; go on with --resume")
            raise Stopped(figures, 130 if ended == "SIGINT" else 143)
        return figures

    def _dtype(self, stored: str | None) -> str:
        """The type to train in: that of the run, or what --dtype says, the first rank's choice."""
        from bytelm.base.ranks import gather_objects
        from bytelm.train.device.speedups import pick_dtype

        dtype = stored or str(pick_dtype(self.dtype, self._own_device))
        dtype = gather_objects(dtype)[0].removeprefix("torch.")
        if self.dtype not in ("auto", dtype):
            say(f"--dtype {self.dtype} is not applied: {self.run_folder} was begun with {dtype}")
        return str(dtype)

    def _trainer(
        self, config: Any, options: Any, train: Any, held_out: Any, dtype: str, init: Path | None
    ) -> Any:
        import torch

        from bytelm.train.device.compile_cache import remove_cut_code
        from bytelm.train.learner import Execution, Learner
        from bytelm.train.loop.budget import Cadence
        from bytelm.train.loop.trainer import Trainer

        execution = Execution(
            device=self._own_device,
            dtype=getattr(torch, dtype),
            compiled=self.compile,
            micro=self.micro_batch,
            recompute=self.recompute,
        )
        cadence = Cadence(
            self.eval_steps,
            save_minutes=self.save_minutes,
            save_steps=self.save_steps,
            keep=self.keep,
        )
        if self.compile:
            remove_cut_code(Path(os.environ["TORCHINDUCTOR_CACHE_DIR"]))
        learner = Learner(config, options, execution, init, self.drafts_only)
        return Trainer(self.run_folder, learner, train, held_out, cadence)

    def _train(self, trainer: Any, budget: Any) -> str:
        """Train; says what is left to go on from where that fails."""
        from bytelm.checkpoint import list_checkpoints
        from bytelm.train.optim.guard import NotFiniteError

        try:
            return str(trainer.train(budget, self._watchers(trainer, budget)))
        except NotFiniteError as error:
            good = list_checkpoints(trainer.checkpoints)
            last = f"the last good checkpoint is {good[0]}" if good else "no checkpoint was saved"
            raise InputError(
                f"training diverged: {error}; {last}; begin another --run, from it with --init or "
                "anew, at lower learning rates (--set train.matrix_lr=...)"
            ) from error
        except OSError:
            whole = list_checkpoints(trainer.checkpoints)
            if whole:
                say(f"the last whole checkpoint is {whole[0]}; make room and go on with --resume")
            raise

    def _mfu(self, trainer: Any) -> float | None:
        """The median step's rate against that of a large matrix product on as many devices."""
        from bytelm.base.ranks import world_size

        if not trainer.rates:
            return None
        flops_per_s = statistics.median(trainer.rates) * trainer.learner.flops_per_byte
        return round(flops_per_s / self._matmul_flops_per_s / world_size(), 4)

    def _watchers(self, trainer: Any, budget: Any) -> list[Any]:
        from bytelm.base.ranks import is_first
        from bytelm.train.loop.watching import Bar, Profiler, TensorBoard

        share = budget.spent(trainer.bytes, trainer.elapsed_s)
        watchers: list[Any] = []
        if self.tensorboard and is_first():
            watchers.append(TensorBoard(self.run_folder / "tensorboard", trainer.step))
        if self.profile:
            watchers.append(Profiler(self.run_folder / "profile", self._own_device))
        bar = Bar(share, trainer.learner.flops_per_byte, self._matmul_flops_per_s)
        return [*watchers, bar]

    def _check_batch(self, batch: int) -> None:
        from bytelm.base.ranks import world_size

        ranks = world_size()
        if batch % ranks:
            raise InputError(f"a batch of {batch} blocks cannot be shared by {ranks} ranks evenly")
        if self.micro_batch < 0 or (self.micro_batch and batch // ranks % self.micro_batch):
            raise InputError(
                f"--micro-batch {self.micro_batch} does not divide the {batch // ranks} blocks "
                "that a rank has of each batch"
            )

    def _check(self, cuda: bool) -> None:
        if self.device.startswith("cuda") and not cuda:
            raise InputError("--device cuda: this machine has no CUDA device that torch can use")
        if self.tensorboard and importlib.util.find_spec("tensorboard") is None:
            raise InputError(
                "--tensorboard needs the package tensorboard: pip install '.[tensorboard]'"
            )
        for name in ("minutes", "bytes", "eval_steps", "save_minutes", "keep"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise InputError(f"--{name.replace('_', '-')} must be above 0, not {value}")

    def _start(self, config: Any) -> tuple[Path | None, dict[str, Any]]:
        """The checkpoint of --init, checked to be of the preset's shape; and what to remember."""
        from bytelm.checkpoint import find_checkpoint, read_about, weights_sha256
        from bytelm.train.transfer import check_fits

        if self.drafts_only and config.prediction_heads == 1:
            raise InputError("--drafts-only: a model with one prediction head has no drafts")
        if self.drafts_only and config.head_kind == "anticausal":
            raise InputError("--drafts-only: the next byte goes through every anticausal head")
        if self.drafts_only and self.init is None:
            raise InputError("--drafts-only needs a trained model to begin with: --init DIR")
        if self.init is None:
            return None, {}
        if not self.init.exists():
            raise InputError(f"--init {self.init} does not exist; it is a run folder or checkpoint")
        folder = find_checkpoint(self.init)
        check_fits(folder, config)
        sha256 = weights_sha256(read_about(folder))
        return folder, {"init_sha256": sha256, "drafts_only": self.drafts_only}

    def _stored(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """The run folder's config.json, checked against `wanted`; empty for a new run."""
        from bytelm.checkpoint import list_checkpoints
        from bytelm.train.loop.trainer import read_config
        from bytelm.train.options import TrainOptions

        defaults = TrainOptions().to_dict()
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
                # Of an option that came later a run had the default.
                old = before.get(name, defaults.get(name) if table == "train" else None)
                new = plain[table].get(name)
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
        from bytelm.base.ranks import is_first, world_size
        from bytelm.base.sealing import seal
        from bytelm.checkpoint import list_checkpoints, read_about, weights_sha256
        from bytelm.train.loop.trainer import score_figures
        from bytelm.train.loop.watching import peak_bytes

        # Who is asked to leave does not score held-out text first.
        scored = score_figures(trainer.evaluate()) if ended == "budget" else {}
        newest = list_checkpoints(trainer.checkpoints)[0]
        sha256 = weights_sha256(read_about(newest))
        learner = trainer.learner
        figures = {
            "run": str(self.run_folder),
            "ended": ended,
            "steps": trainer.step,
            "bytes": trainer.bytes,
            "train_s": round(trainer.elapsed_s, 1),
            "ranks": world_size(),
            "compiled": learner.compiled,
            "dtype": str(learner.execution.dtype).removeprefix("torch."),
            "parameters": learner.parameters,
            "flops_per_byte": learner.flops_per_byte,
            "matmul_flops_per_s": round(self._matmul_flops_per_s),
            "mfu": self._mfu(trainer),
            "peak_bytes": peak_bytes(learner.execution.device),
            "skipped": learner.guard.skipped,
            "held_out_bpb": scored.get("held_out_bpb"),
            "forecast": scored.get("forecast"),
            "checkpoint": str(newest.relative_to(self.run_folder)),
            "checkpoint_sha256": sha256,
        }
        if is_first():
            write_json(self.run_folder / "summary.json", seal(figures))
        say(_closing(figures))
        return {**figures, "trained_now": True}


def _closing(figures: dict[str, Any]) -> str:
    skipped = f", {figures['skipped']} steps skipped" if figures["skipped"] else ""
    rate = figures["matmul_flops_per_s"] / 1e9
    bpb, used = figures["held_out_bpb"], ""
    held_out = f", {bpb[0]:.3f} bpb held out" if bpb else ""
    if figures["mfu"] is not None:
        used = f"{100 * figures['mfu']:.0f}% MFU (of {rate:.0f} GFLOP/s, a matrix product's), "
    return (
        f"{figures['steps']} steps, {figures['bytes'] / 1e6:.2f} MB{held_out}{skipped}; "
        f"{used}{figures['peak_bytes'] / 1e6:.0f} MB of memory at most"
    )


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
