"""The training run: steps until the budget is spent, metrics, held-out scores, checkpoints.

A run's state is the weights, the optimizers' state, the guard's, the number of steps and the
seconds spent; the data's position and the learning rate follow from these. So a run that is killed
and resumed goes on as if nothing had happened, bit for bit (with a budget in bytes; one in minutes
depends on the clock by nature).

With several ranks all of them run this. The first one's clock counts and it alone writes metrics;
where to stop and when to save they agree on before every step.
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

import torch

from bytelm.base.files import claimed
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
from bytelm.scoring import Score, score_documents
from bytelm.shards import Split
from bytelm.training.batches.held_out import held_out_sample
from bytelm.training.batches.loading import Loader
from bytelm.training.batches.packing import Packing
from bytelm.training.device.fsdp import release_gathered
from bytelm.training.device.speedups import abandon_compiling
from bytelm.training.learner import Learner
from bytelm.training.loop.budget import Budget, Cadence
from bytelm.training.loop.metrics import Metrics
from bytelm.training.loop.stopping import Stopping, StopRequested
from bytelm.training.loop.watching import Callback
from bytelm.training.optim.guard import NotFiniteError
from bytelm.training.optim.optimizer import kept_values
from bytelm.training.optim.schedule import learning_rate_scale


class Trainer:
    """One run in one folder. `train` goes on until the budget is spent or a signal comes."""

    def __init__(
        self, folder: Path, learner: Learner, train: Split, held_out: Split, cadence: Cadence
    ) -> None:
        self.folder, self.learner, self.cadence = folder, learner, cadence
        self.model, self.options = learner.model, learner.options
        options, heads = self.options, self.model.config.prediction_heads
        packing = Packing(
            train, options.block, options.batch, heads, options.seed, options.document_masks
        )
        execution = learner.execution
        self.loader = Loader(packing, execution.device, rank(), world_size(), execution.micro)
        self.sample = held_out_sample(held_out, cadence.eval_bytes)
        self.step, self.elapsed_before, self.started = 0, 0.0, time.monotonic()
        self.stopping = Stopping(deferred=launched())
        self.pending: dict[str, Any] | None = None
        """The row of the last step, until it is written: held-out text may have to be scored."""
        self._saved_step = -1
        self.rates: deque[float] = deque(maxlen=500)

    def require_space(self) -> None:
        """Raise OSError if the disk has no room for the checkpoints that a run keeps.

        Better before the first step than after the last. One is written beside those kept.
        """
        # Those that lie there already will make room for their successors.
        count = self.cadence.keep + 1 - len(list_checkpoints(self.checkpoints)[: self.cadence.keep])
        # Weights, and what the optimizers keep, 4 bytes a value.
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
        """Seconds of training, those of earlier sessions of this run included."""
        return self.elapsed_before + time.monotonic() - self.started

    def resume(self) -> bool:
        """Take up the newest whole checkpoint of the run folder; False where there is none."""
        found = newest_whole(self.checkpoints)
        if found is None:
            return False
        folder, about = found
        load_weights(self.model, folder)
        optimizers = self.learner.optimizers
        try:
            progress = about["progress"]
            tensors = load_optimizer(folder, optimizers.blank)
            optimizers.load(tensors, progress["optimizer_numbers"])
            self.learner.guard.load(progress.get("guard", {}))
            self.pending = progress.get("pending")
            self.step, self.elapsed_before = int(about["step"]), float(progress["elapsed_s"])
        except (KeyError, ValueError, TypeError, IndexError) as error:
            raise DamagedError(
                f"{folder}: the optimizer's state does not fit: {error!r}"
            ) from error
        self.started = time.monotonic()
        self._saved_step = self.step
        barrier()
        # Newer ones were found damaged: in their place this run will write its own.
        for newer in list_checkpoints(self.checkpoints) if is_first() else []:
            if newer.name > folder.name:
                aside = newer.with_name(f"damaged-{newer.name}")
                # That step may have been damaged before.
                shutil.rmtree(aside, ignore_errors=True)
                newer.rename(aside)
        return True

    def train(self, budget: Budget, callbacks: Sequence[Callback] = ()) -> str:
        """Train. Returns how it ended: "budget", "SIGINT" or "SIGTERM". Raises NotFiniteError."""
        with claimed(self.folder) if is_first() else contextlib.nullcontext():
            return self._train(budget, callbacks)

    def _train(self, budget: Budget, callbacks: Sequence[Callback]) -> str:
        self.metrics: Metrics | None = None
        if is_first():
            remove_leftovers(self.folder)
            recorded = self.step - (self.pending is not None)
            self.metrics = Metrics(self.folder / "metrics.jsonl", recorded)
        self._saved_at = time.monotonic()
        finished = False
        with self.stopping, _closing(callbacks), contextlib.closing(self.loader):
            with contextlib.suppress(StopRequested):
                self.stopping.release()
                # A look at held-out text that a signal cut short.
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
                # Held here too: no signal may strike between the loop and what follows.
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
        # A signal after the last step strikes some ranks and not others; it changes nothing there.
        if self.stopping.signal is None or (finished and launched()):
            return "budget"
        return self.stopping.signal.name

    def _sync_ranks(self, budget: Budget) -> tuple[float, float]:
        """The share of the budget spent and whether to save, by the first rank's clock.

        Raises StopRequested at all ranks when one has been asked to stop.
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
        found = self.learner.compute_gradients(self.loader.at(self.step))
        with self.stopping.protected():
            self.learner.apply_gradients(found, scale)
            self.step += 1
            took_s = time.monotonic() - begun
            losses = [_or_none(bits) for bits in found.losses_bits]
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
                "bytes_per_s": round(self.options.batch * self.options.block / took_s, 1),
            }
            self.rates.append(self.pending["bytes_per_s"])

    def _record(self) -> None:
        """Complete the pending row and write it."""
        row = self.pending
        assert row is not None
        if self._evaluation_due():
            row |= score_figures(self.evaluate())
        with self.stopping.protected():
            if self.metrics is not None:
                self.metrics.append(row)
            self._last, self.pending = row, None

    def evaluate(self) -> Score:
        """Score the held-out sample as it stands. With several ranks, all do, in step."""
        dtype = self.learner.execution.dtype
        if not launched():
            return score_documents(self.model, self.sample, dtype=dtype)
        # Layers that are compiled by themselves would be so again for every length of a document.
        with torch.compiler.set_stance("force_eager"):
            score = score_documents(self.model, self.sample, dtype=dtype)
        release_gathered(self.model)
        return score

    def _evaluation_due(self) -> bool:
        return self.step % self.cadence.eval_steps == 0

    def _save_due(self, by_the_clock: bool) -> bool:
        if self.cadence.save_steps:
            return self.step % self.cadence.save_steps == 0
        return by_the_clock

    def save(self) -> None:
        """Write a checkpoint, then drop the oldest ones. Raises NotFiniteError for NaN weights.

        They would outlive the good ones, which rotate out.
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
            config = self.model.config
            save_checkpoint(self.checkpoints, self.step, config, weights, tensors, progress)
            self._saved_step = self.step
            if is_first():
                prune_checkpoints(self.checkpoints, self.cadence.keep)


def score_figures(score: Score) -> dict[str, Any]:
    """What metrics and summary keep of a look at held-out text."""
    bpb = score.heads_bpb()
    return {
        "held_out_bpb": bpb if all(map(math.isfinite, bpb)) else None,
        "forecast": {str(k): value for k, value in score.forecast.items()},
    }


def _or_none(value: float) -> float | None:
    """JSON has no NaN and no infinity."""
    return value if math.isfinite(value) else None


@contextlib.contextmanager
def _closing(callbacks: Sequence[Callback]) -> Iterator[None]:
    try:
        yield
    finally:
        for callback in callbacks:
            callback.close()
