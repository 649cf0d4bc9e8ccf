"""The training run: steps until the budget is spent, metrics, evaluation, checkpoints.

A run's state is the weights, the state of the optimizers and the guard, the number of steps and the
seconds spent. The position in the data and the learning rate follow from these. So a run that is
killed and resumed has the same result, bit for bit, if its budget is in bytes. With a budget in
minutes, the result depends on the clock.

With several ranks, all of them run this. The first rank's clock counts, and only the first rank
writes metrics. Before each step, the ranks agree on whether to stop and whether to save.
"""

import contextlib
import errno
import math
import shutil
import signal
import time
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bytelm.base.ranks import barrier, gather_objects, is_first, launched, rank, world_size
from bytelm.checkpoint import (
    DamagedError,
    first_not_finite,
    list_checkpoints,
    load_optimizer,
    load_weights,
    newest_whole,
    prune_checkpoints,
    remove_leftovers,
    save_checkpoint,
)
from bytelm.forms import TrainingProgress
from bytelm.records import fitted
from bytelm.shards import Split
from bytelm.training.batches.held_out import held_out_sample
from bytelm.training.batches.loading import Loader
from bytelm.training.batches.packing import Packing
from bytelm.training.device.speedups import abandon_compiling
from bytelm.training.learner import Learner
from bytelm.training.loop.budget import Budget, Cadence
from bytelm.training.loop.evaluation import Evaluation
from bytelm.training.loop.metrics import Metrics
from bytelm.training.loop.stopping import Stopping, StopRequested
from bytelm.training.loop.watching import Callback
from bytelm.training.optim.guard import NotFiniteError
from bytelm.training.optim.optimizer import kept_values
from bytelm.training.optim.schedule import head_weight_scale, learning_rate_scale


class Trainer:
    """One run in one folder. `train` runs until the budget is spent or a signal arrives."""

    def __init__(
        self, folder: Path, learner: Learner, train: Split, held_out: Split, cadence: Cadence
    ) -> None:
        self.folder, self.learner, self.cadence = folder, learner, cadence
        self.model, self.options = learner.model, learner.options
        options, heads = self.options, self.model.config.prediction_heads
        packing = Packing(
            train,
            options.block,
            options.batch,
            heads,
            options.seed,
            options.document_masks,
            options.whole_documents,
            options.stages,
            options.infilling,
            options.infilling_spm_share,
        )
        execution = learner.execution
        self.loader = Loader(packing, execution.device, rank(), world_size(), execution.micro)
        sample = held_out_sample(held_out, cadence.eval_bytes)
        self._evaluation = Evaluation(learner.model, sample, learner.infilling > 0)
        self.step, self.elapsed_before, self.started = 0, 0.0, time.monotonic()
        self.stopping = Stopping(deferred=launched())
        self.pending: dict[str, Any] | None = None
        """The last step's row of metrics, until it is written. An evaluation may come first."""
        self._saved_step = -1
        self.rates: deque[float] = deque(maxlen=500)
        """The last steps' operations per second."""

    def require_space(self) -> None:
        """Raise OSError if the disk has too little space for the run's checkpoints.

        They are the `keep` checkpoints, and one more while it is being written.
        """
        # Checkpoints that already exist will be deleted to make space for new ones.
        count = self.cadence.keep + 1 - len(list_checkpoints(self.checkpoints)[: self.cadence.keep])
        # Weights and the optimizers' state, at 4 bytes per value.
        values = self.learner.parameters["total"] + kept_values(self.model)
        needed = 4 * values * count
        there = next(path for path in (self.folder, *self.folder.parents) if path.exists())
        free = shutil.disk_usage(there).free
        if free < needed:
            raise OSError(
                errno.ENOSPC,
                f"no space for checkpoints: they need {needed / 1e6:.0f} MB, "
                f"{free / 1e6:.0f} MB are free",
                str(self.folder),
            )

    @property
    def checkpoints(self) -> Path:
        return self.folder / "checkpoints"

    @property
    def bytes(self) -> int:
        return self.step * self.options.batch * self.options.block

    @property
    def elapsed_s(self) -> float:
        """Seconds of training, including earlier sessions of this run."""
        return self.elapsed_before + time.monotonic() - self.started

    def resume(self) -> bool:
        """Load the newest complete checkpoint of the run folder. Returns False if there is none.

        Raises DamagedError if its progress or the optimizer's state is not what was written, and
        UnknownFormatError if it has the format of another version.
        """
        found = newest_whole(self.checkpoints)
        if found is None:
            return False
        folder, about = found
        load_weights(self.model, folder)
        optimizers = self.learner.optimizers
        progress = about["progress"]
        try:
            fitted(progress, TrainingProgress)
        except ValueError as error:
            where = folder / "checkpoint.json"
            raise DamagedError(f"{where} is damaged: in 'progress', {error}") from error
        try:
            tensors = load_optimizer(folder, optimizers.blank)
            optimizers.load(tensors, progress["optimizer_numbers"])
            self.learner.guard.load(progress.get("guard", {}))
            self.pending = progress.get("pending")
            self.step, self.elapsed_before = about.get("step", 0), float(progress["elapsed_s"])
        except DamagedError:
            raise
        except (KeyError, ValueError, TypeError, IndexError) as error:
            raise DamagedError(
                f"{folder}: the optimizer's state does not fit: {error!r}"
            ) from error
        self.started = time.monotonic()
        self._saved_step = self.step
        barrier()
        # Newer checkpoints are damaged. They are moved aside, because this run will write its own.
        for newer in list_checkpoints(self.checkpoints) if is_first() else []:
            if newer.name > folder.name:
                aside = newer.with_name(f"damaged-{newer.name}")
                # A damaged checkpoint of the same step may already have been moved aside.
                shutil.rmtree(aside, ignore_errors=True)
                newer.rename(aside)
        return True

    def train(self, budget: Budget, callbacks: Sequence[Callback] = ()) -> str:
        """Train. Returns how it ended: "budget", "SIGINT" or "SIGTERM".

        The caller has claimed the folder (see `claimed_by_first`).

        Raises NotFiniteError if training diverges, and OSError if files cannot be written.
        """
        self.metrics: Metrics | None = None
        if is_first():
            remove_leftovers(self.folder)
            recorded = self.step - (self.pending is not None)
            self.metrics = Metrics(self.folder / "metrics.jsonl", recorded)
        self._saved_at = time.monotonic()
        finished = False
        with self.stopping, _closing(callbacks), contextlib.closing(self.loader):
            with self.stopping.ends_here():
                self.stopping.release()
                # In the session before, a signal interrupted the evaluation after the last step.
                if self.pending is not None:
                    self._record()
                for callback in callbacks:
                    callback.on_begin(self.learner.compiled)
                while (agreed := self._sync_ranks(budget))[0] < 1:
                    self._one_step(agreed[0])
                    self._record()
                    for callback in callbacks:
                        callback.on_step(self._last, budget.spent(self.bytes, self.elapsed_s))
                    if self._save_due(bool(agreed[1])):
                        self.save()
                        self._saved_at = time.monotonic()
                finished = True
                # Also here, so that no signal raises between the loop and the code after it.
                self.stopping.hold()
            self.stopping.hold()
            if self.stopping.signal is not None:
                abandon_compiling()
            if self.pending is not None and not self._evaluation_due():
                self._record()
            if self.metrics is not None:
                self.metrics.close()
            if self._saved_step != self.step:
                self.save()
        # A signal after the last step may reach only some ranks, so with several it is ignored.
        if self.stopping.signal is None or (finished and launched()):
            return "budget"
        return self.stopping.signal.name

    def _sync_ranks(self, budget: Budget) -> tuple[float, float]:
        """The share of the budget spent, and whether to save (0 or 1), by the first rank's clock.

        Raises StopRequested on all ranks if one of them received a signal.
        """
        since = time.monotonic() - self._saved_at
        due = since >= 60 * self.cadence.save_minutes
        mine = (budget.spent(self.bytes, self.elapsed_s), float(due))
        if not launched():
            return mine
        found = gather_objects((mine, self.stopping.signal))
        signals = [number for _, number in found if number is not None]
        if signals:
            self.stopping.signal = signal.Signals(signals[0])
            raise StopRequested
        return found[0][0]

    def _one_step(self, spent: float) -> None:
        scale = learning_rate_scale(spent, self.options.schedule)
        begun = time.monotonic()
        heads = head_weight_scale(spent, self.options.schedule)
        found = self.learner.compute_gradients(self.loader.at(self.step), heads)
        with self.stopping.protected():
            self.learner.apply_gradients(found, scale)
            self.step += 1
            took_s = time.monotonic() - begun
            losses = [_or_none(bits) for bits in found.losses_bits]
            bytes_per_s = self.options.batch * self.options.block / took_s
            flops = self.learner.flops_per_byte if heads else self.learner.flops_of_head_1
            self.pending = {
                "step": self.step,
                "bytes": self.bytes,
                "loss": losses[0],
                "bpb": losses[0],
                "heads_bpb": losses,
                "lr_scale": scale,
                "grad_norm": _or_none(found.norm),
                "skipped": self.learner.guard.skipped,
                "elapsed_s": round(self.elapsed_s, 3),
                "bytes_per_s": round(bytes_per_s, 1),
                "flops_per_s": round(flops * bytes_per_s),
            }
            self.rates.append(flops * bytes_per_s)

    def _record(self) -> None:
        """Write the pending row of metrics, after an evaluation if one is due."""
        row = self.pending
        assert row is not None
        if self._evaluation_due():
            row |= self.evaluate()
        with self.stopping.protected():
            if self.metrics is not None:
                self.metrics.append(row)
            self._last, self.pending = row, None

    def evaluate(self) -> dict[str, Any]:
        """The figures of the held-out sample; see Evaluation. All ranks must call this together."""
        return self._evaluation.figures(self.learner.execution.dtype)

    def _evaluation_due(self) -> bool:
        return self.step % self.cadence.eval_steps == 0

    def _save_due(self, by_the_clock: bool) -> bool:
        if self.cadence.save_steps:
            return self.step % self.cadence.save_steps == 0
        return by_the_clock

    def save(self) -> None:
        """Write a checkpoint, then delete the oldest ones.

        Raises NotFiniteError if weights are not finite. Saving such weights would in time replace
        all good checkpoints.
        """
        weights = self.model.state_dict()
        for name in gather_objects(first_not_finite(weights)):
            if name is not None:
                raise NotFiniteError(f"step {self.step}: {name} holds values that are not finite")
        tensors, numbers = self.learner.optimizers.tensors()
        progress = {
            "bytes": self.bytes,
            "elapsed_s": self.elapsed_s,
            "optimizer_numbers": numbers,
            "guard": self.learner.guard.state(),
            "pending": self.pending,
        }
        with self.stopping.protected():
            save_checkpoint(
                self.checkpoints, self.step, self.model.config, weights, tensors, progress,
                self.learner.infilling,
            )  # fmt: skip
            self._saved_step = self.step
            if is_first():
                prune_checkpoints(self.checkpoints, self.cadence.keep)


def _or_none(value: float | None) -> float | None:
    """`value`, or None if it is not finite: JSON has no NaN and no infinity."""
    return value if value is not None and math.isfinite(value) else None


@contextlib.contextmanager
def _closing(callbacks: Sequence[Callback]) -> Iterator[None]:
    try:
        yield
    finally:
        for callback in callbacks:
            callback.close()
