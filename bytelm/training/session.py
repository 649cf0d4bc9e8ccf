"""A training session: train a model on shards into a new run folder, or resume a run."""

import importlib.util
import os
import statistics
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from bytelm.base.cores import limit_threads
from bytelm.base.device import check_device
from bytelm.base.errors import InputError, option, setting
from bytelm.base.ranks import barrier, gather_objects, is_first, joined, world_size
from bytelm.base.rates import matmul_flops_per_s
from bytelm.base.sealing import seal
from bytelm.checkpoint import find_checkpoint, list_checkpoints, read_about, weights_sha256
from bytelm.config import ModelConfig
from bytelm.files.atomic import write_json
from bytelm.files.streams import say
from bytelm.shards import Split
from bytelm.training.device.compile_cache import (
    header_folder,
    place_cache,
    remove_cut_code,
    remove_cut_headers,
)
from bytelm.training.device.speedups import begin_compiling, pick_dtype
from bytelm.training.learner import Execution, Learner
from bytelm.training.loop.budget import Budget, Cadence
from bytelm.training.loop.trainer import Trainer
from bytelm.training.loop.watching import (
    Bar,
    Callback,
    Profiler,
    TensorBoard,
    forget_peak,
    peak_bytes,
)
from bytelm.training.optim.guard import NotFiniteError
from bytelm.training.options import TrainOptions, check_block
from bytelm.training.run_folder import begun_config, claimed_by_first, describe_data
from bytelm.training.run_options import DEFAULT_MINUTES, RunOptions
from bytelm.training.summary import TrainingSummary, read_summary
from bytelm.training.transfer import check_fits

MOST_MASK_VALUES = 1 << 28


def train_session(
    model: ModelConfig,
    train: TrainOptions,
    data: Path,
    run: Path,
    options: RunOptions | None = None,
    preset: str = "",
) -> TrainingSummary:
    """Train a model of configuration `model` on the shards in `data`, into the run folder `run`.

    Writes config.json, metrics.jsonl, checkpoints/ and summary.json. The session ends when the
    budget is spent. On SIGINT and SIGTERM it saves a checkpoint and ends; `ended` of the summary
    then names the signal. `preset` is stored in config.json, to record where the options come from.
    Under torchrun all ranks call this.

    Raises InputError for wrong options, OSError if files cannot be written, and ConnectionError if
    another rank was lost.
    """
    options = options or RunOptions()
    place_cache(run)
    _check_machine(options)
    limit_threads()
    try:
        with joined(options.device) as device:
            return _Session(model, train, data, run, options, preset, device).train()
    except ConnectionError as error:
        more = f"go on from the last checkpoint with {setting('resume', True)}"
        raise ConnectionError(f"{error}; {more}") from error


def _check_machine(options: RunOptions) -> None:
    check_device(options.device)
    if options.tensorboard and importlib.util.find_spec("tensorboard") is None:
        raise InputError(
            f"{option('tensorboard')} needs the package tensorboard: pip install '.[tensorboard]'"
        )


@dataclass(frozen=True)
class _Session:
    """One call of `train_session`, on one rank; `device` is the rank's own."""

    model: ModelConfig
    train_options: TrainOptions
    data: Path
    run: Path
    options: RunOptions
    preset: str
    device: str

    def train(self) -> TrainingSummary:
        check_block(self.model, self.train_options)
        self._check_batch()
        # Claimed before the first look: another run may write here, or end just now.
        with claimed_by_first(self.run):
            return self._train()

    def _train(self) -> TrainingSummary:
        init, start = self._start()
        train, held_out = Split(self.data, "train"), Split(self.data, "held_out")
        wanted: dict[str, object] = {
            "preset": self.preset,
            "model": self.model.to_dict(),
            "train": self.train_options.to_dict(),
            "data": describe_data(train, held_out, self.train_options.stages),
            "start": start,
        }
        stored = begun_config(self.run, wanted, self.options.resume)
        # All ranks must look into the folder before the first one writes to it.
        barrier()
        dtype = self._dtype(stored.get("dtype"))
        trainer = self._trainer(train, held_out, dtype, init)
        resumed = self.options.resume and trainer.resume()
        no_budget = self.options.minutes is None and self.options.bytes is None
        minutes = DEFAULT_MINUTES if no_budget else self.options.minutes
        budget = Budget(self.options.bytes, minutes)
        rate = matmul_flops_per_s(trainer.learner.execution.dtype, self.device)
        forget_peak(self.device)
        spent = budget.spent(trainer.bytes, trainer.elapsed_s)
        if resumed and spent >= 1 and trainer.pending is None:
            return self._already(trainer, rate)
        if is_first():
            trainer.require_space()
        barrier()
        if not stored and is_first():
            write_json(self.run / "config.json", seal({**wanted, "dtype": dtype}))
        say(_opening(trainer, dtype, resumed))
        ended = self._steps(trainer, budget, rate)
        summary = self._summarize(trainer, ended, rate)
        if ended != "budget":
            say(f"stopped by {ended} and saved; go on with {setting('resume', True)}")
        return summary

    def _check_batch(self) -> None:
        batch, ranks, micro = self.train_options.batch, world_size(), self.options.micro_batch
        if batch % ranks:
            raise InputError(f"a batch of {batch} blocks cannot be shared by {ranks} ranks evenly")
        if micro and batch // ranks % micro:
            raise InputError(
                f"{setting('micro_batch', micro)} does not divide the {batch // ranks} blocks "
                "that a rank has of each batch"
            )
        if self.options.device.startswith("cuda"):
            check_masks(self.train_options, micro or batch // ranks)

    def _start(self) -> tuple[Path | None, dict[str, object]]:
        """The checkpoint to start from, checked against the model, and its entry in config.json."""
        drafts, init = self.options.drafts_only, self.options.init
        only = option("drafts_only")
        if drafts and self.model.prediction_heads == 1:
            raise InputError(f"{only}: a model with one prediction head has no drafts")
        if drafts and self.model.head_kind == "anticausal":
            raise InputError(f"{only}: the next byte goes through every anticausal head")
        if drafts and init is None:
            raise InputError(f"{only} needs a trained model to begin with: {option('init')} DIR")
        if init is None:
            return None, {}
        if not init.exists():
            raise InputError(
                f"{option('init')} {init} does not exist; it is a run folder or checkpoint"
            )
        folder = find_checkpoint(init)
        check_fits(folder, self.model)
        sha256 = weights_sha256(read_about(folder))
        return folder, {"init_sha256": sha256, "drafts_only": drafts}

    def _dtype(self, stored: str | None) -> str:
        """The number type to train in, by name.

        A resumed run keeps its type. For a new run, all ranks use the first rank's choice.
        """
        asked = self.options.dtype
        dtype = stored or str(pick_dtype(asked, self.device))
        dtype = gather_objects(dtype)[0].removeprefix("torch.")
        if asked not in ("auto", dtype):
            say(f"{setting('dtype', asked)} is not applied: {self.run} was begun with {dtype}")
        return dtype

    def _trainer(self, train: Split, held_out: Split, dtype: str, init: Path | None) -> Trainer:
        execution = Execution(
            device=self.device,
            dtype=getattr(torch, dtype),
            compiled=self.options.compile,
            micro=self.options.micro_batch,
            recompute=self.options.recompute,
        )
        cadence = Cadence(
            self.options.eval_steps,
            save_minutes=self.options.save_minutes,
            save_steps=self.options.save_steps,
            keep=self.options.keep,
        )
        if self.options.compile:
            remove_cut_code(Path(os.environ["TORCHINDUCTOR_CACHE_DIR"]))
            remove_cut_headers(header_folder())
            # In the background, while the model is made.
            begin_compiling(self.device)
        learner = Learner(self.model, self.train_options, execution, init, self.options.drafts_only)
        return Trainer(self.run, learner, train, held_out, cadence)

    def _steps(self, trainer: Trainer, budget: Budget, rate: float) -> str:
        """Train, and return how it ended. A failure names the checkpoint to continue from."""
        try:
            return trainer.train(budget, self._callbacks(trainer, budget, rate))
        except NotFiniteError as error:
            good = list_checkpoints(trainer.checkpoints)
            last = f"the last good checkpoint is {good[0]}" if good else "no checkpoint was saved"
            raise InputError(
                f"training diverged: {error}; {last}; start another {option('run')}, from it with "
                f"{option('init')} or from scratch, with lower learning rates "
                f"({option('train.matrix_lr')})"
            ) from error
        except OSError:
            whole = list_checkpoints(trainer.checkpoints)
            if whole:
                say(
                    f"the last whole checkpoint is {whole[0]}; "
                    f"make room and go on with {setting('resume', True)}"
                )
            raise

    def _callbacks(self, trainer: Trainer, budget: Budget, rate: float) -> list[Callback]:
        share = budget.spent(trainer.bytes, trainer.elapsed_s)
        callbacks: list[Callback] = []
        if self.options.tensorboard and is_first():
            callbacks.append(TensorBoard(self.run / "tensorboard", trainer.step))
        if self.options.profile:
            callbacks.append(Profiler(self.run / "profile", self.device))
        return [*callbacks, Bar(share, rate)]

    def _already(self, trainer: Trainer, rate: float) -> TrainingSummary:
        """The summary of a run whose budget is already spent."""
        say(
            f"{self.run} is trained already ({trainer.step} steps): nothing to do; "
            "give a larger budget, or remove the folder to train again"
        )
        found = read_summary(self.run, trainer.step)
        if found is None or found.ended != "budget":
            # A signal came between the last step and the score of the held-out text.
            found = self._summarize(trainer, "budget", rate)
        return replace(found, trained_now=False)

    def _summarize(self, trainer: Trainer, ended: str, rate: float) -> TrainingSummary:
        # After a signal the process should end soon, so held-out text is not scored.
        scored = trainer.evaluate() if ended == "budget" else {}
        newest = list_checkpoints(trainer.checkpoints)[0]
        learner = trainer.learner
        summary = TrainingSummary(
            run=str(self.run),
            ended=ended,
            steps=trainer.step,
            bytes=trainer.bytes,
            train_s=round(trainer.elapsed_s, 1),
            ranks=world_size(),
            compiled=learner.compiled,
            dtype=str(learner.execution.dtype).removeprefix("torch."),
            parameters=learner.parameters,
            flops_per_byte=learner.flops_per_byte,
            matmul_flops_per_s=round(rate),
            mfu=_mfu(trainer, rate),
            peak_bytes=peak_bytes(learner.execution.device),
            skipped=learner.guard.skipped,
            held_out_bpb=scored.get("held_out_bpb"),
            infilling_bpb=scored.get("infilling_bpb"),
            forecast=scored.get("forecast"),
            checkpoint=str(newest.relative_to(self.run)),
            checkpoint_sha256=weights_sha256(read_about(newest)),
        )
        if is_first():
            summary.write(self.run)
        say(summary.line())
        return summary


def check_masks(options: TrainOptions, rows: int) -> None:
    """Raise InputError if masks of documents for `rows` blocks take too much memory of a GPU.

    Only the attention for CPUs needs no mask in memory.
    """
    block = options.block
    if options.document_masks and rows * block**2 > MOST_MASK_VALUES:
        raise InputError(
            f"{option('train.document_masks')}: on a GPU the masks of {rows} blocks take {rows} x "
            f"{block} x {block} values, more than {MOST_MASK_VALUES}; take shorter blocks, fewer "
            f"at a time by {option('micro_batch')}, or {setting('train.document_masks', False)}"
        )


def _mfu(trainer: Trainer, rate: float) -> float | None:
    """Model FLOPs utilisation: the median step's FLOP/s, divided by that of a large matrix product
    on the same number of devices. None if no step was taken."""
    if not trainer.rates:
        return None
    return round(statistics.median(trainer.rates) / rate / world_size(), 4)


def _opening(trainer: Trainer, dtype: str, resumed: bool) -> str:
    parameters = trainer.learner.parameters
    tables = f" and {parameters['tables'] / 1e6:.1f}M in n-gram tables" * bool(parameters["tables"])
    core = (parameters["total"] - parameters["tables"]) / 1e6
    begin = f"resuming at step {trainer.step}" if resumed else "training"
    return f"{begin}: {core:.2f}M parameters{tables}, {dtype}"
