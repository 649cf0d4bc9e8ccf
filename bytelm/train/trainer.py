"""The training run: steps until the budget is spent, metrics, held-out scores, checkpoints.

A run's state is the weights, the optimizers' state, the number of steps and the seconds spent; the
data's position and the learning rate follow from these. So a run that is killed and resumed goes
on as if nothing had happened, bit for bit (with a budget in bytes; one in minutes depends on the
clock by nature).
"""

import contextlib
import errno
import json
import math
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from bytelm.checkpoint import (
    DamagedError,
    check_checkpoint,
    find_checkpoint,
    list_checkpoints,
    load_tensors,
    load_weights,
    prune_checkpoints,
    remove_leftovers,
    save_checkpoint,
)
from bytelm.command import say
from bytelm.config import ModelConfig
from bytelm.model.model import Model
from bytelm.scoring import LN2, Score, score_documents
from bytelm.shards import Split
from bytelm.train.metrics import Metrics
from bytelm.train.objective import Objective
from bytelm.train.optimizer import Optimizers
from bytelm.train.options import TrainOptions
from bytelm.train.packing import Batch, Packing
from bytelm.train.schedule import learning_rate_scale
from bytelm.train.speedups import compiler, why
from bytelm.train.stopping import Stopping, StopRequested


@dataclass(frozen=True)
class Budget:
    """When a run ends: after so many bytes or minutes, whichever is first."""

    bytes: int | None = None
    minutes: float | None = None

    def spent(self, trained_bytes: int, elapsed_s: float) -> float:
        """The share that is gone, 1.0 or more at the end."""
        shares = [0.0]
        if self.bytes is not None:
            shares.append(trained_bytes / self.bytes)
        if self.minutes is not None:
            shares.append(elapsed_s / (60 * self.minutes))
        return max(shares)


@dataclass(frozen=True)
class Cadence:
    """How often a run looks at held-out text and saves. Neither changes what is learnt."""

    eval_steps: int = 100
    eval_bytes: int = 32_768
    save_minutes: float = 1.0
    save_steps: int = 0
    keep: int = 2


class NotFiniteError(ArithmeticError):
    """The loss or its gradient is NaN or infinite."""


def held_out_sample(split: Split, total_bytes: int) -> list[bytes]:
    """The middles of the held-out documents, each in proportion to its length.

    Beginnings alone would mislead: licences and imports are not what the rest is like.
    """
    part = min(1.0, total_bytes / max(1, split.bytes))
    sample = []
    for document in split:
        size = round(part * len(document))
        start = (len(document) - size) // 2
        sample.append(document[start : start + size].tobytes())
    return [piece for piece in sample if piece]


class Trainer:
    """One run in one folder. `train` goes on until the budget is spent or a signal comes.

    `init` is a checkpoint whose weights a new run begins with. `drafts_only` freezes all but what
    heads 2..n have for themselves.
    """

    def __init__(
        self,
        folder: Path,
        config: ModelConfig,
        options: TrainOptions,
        train: Split,
        held_out: Split,
        dtype: torch.dtype,
        cadence: Cadence,
        compiled: bool,
        device: str,
        init: Path | None = None,
        drafts_only: bool = False,
    ) -> None:
        self.folder, self.config, self.options, self.cadence = folder, config, options, cadence
        self.device, self.dtype = device, dtype
        self.model = Model(config, options.seed).to(device)
        if init is not None:
            load_weights(self.model, init)
        if drafts_only:
            self.model.requires_grad_(False)
            for parameter in self.model.heads.drafting_parameters():
                parameter.requires_grad_(True)
        self.optimizers = Optimizers(self.model, options.optimizer)
        heads = config.prediction_heads
        self.packing = Packing(train, options.block, options.batch, heads, options.seed)
        self.sample = held_out_sample(held_out, cadence.eval_bytes)
        self.compiled = compiled
        self.objective = self._objective()
        self.step, self.elapsed_before, self.started = 0, 0.0, time.monotonic()
        self._pending: dict[str, Any] | None = None
        self._saved_step = -1
        self._proven = False

    def _objective(self) -> Objective:
        if not self.compiled:
            return Objective(self.model, self.options.head_weight, self.dtype)
        wrap = compiler(self.folder.parent / ".cache" / "inductor")
        return Objective(self.model, self.options.head_weight, self.dtype, wrap)

    def require_space(self) -> None:
        """Raise OSError if the disk has no room for the checkpoints that a run keeps.

        Better before the first step than after the last. One is written beside those kept.
        """
        parameters = self.model.parameters_by_part()["total"]
        # Weights and two moments of each, 4 bytes a value.
        needed = 12 * parameters * (self.cadence.keep + 1)
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
        if not list_checkpoints(self.checkpoints):
            return False
        folder = find_checkpoint(self.checkpoints)
        about = check_checkpoint(folder)
        load_weights(self.model, folder)
        try:
            progress = about["progress"]
            tensors = load_tensors(folder / "optimizer.safetensors")
            self.optimizers.load(tensors, progress["optimizer_numbers"])
            self.step, self.elapsed_before = int(about["step"]), float(progress["elapsed_s"])
        except (KeyError, ValueError, TypeError) as error:
            raise DamagedError(
                f"{folder}: the optimizer's state does not fit: {error!r}"
            ) from error
        self.started = time.monotonic()
        self._saved_step = self.step
        # Newer ones were found damaged: in their place this run will write its own.
        for newer in list_checkpoints(self.checkpoints):
            if newer.name > folder.name:
                newer.rename(newer.with_name(f"damaged-{newer.name}"))
        return True

    def train(self, budget: Budget) -> str:
        """Train. Returns how it ended: "budget", "SIGINT" or "SIGTERM". Raises NotFiniteError."""
        remove_leftovers(self.checkpoints)
        self.metrics = Metrics(self.folder / "metrics.jsonl", self.step)
        saved_at = time.monotonic()
        self.stopping = Stopping()
        with self.stopping, self._bar(budget) as bar:
            with contextlib.suppress(StopRequested):
                while budget.spent(self.bytes, self.elapsed_s) < 1:
                    self._one_step(budget)
                    self._record()
                    self._show(bar, budget)
                    if self._save_due(saved_at):
                        self.save()
                        saved_at = time.monotonic()
                # Held here too: no signal may strike between the loop and what follows.
                self.stopping.hold()
            self.stopping.hold()
            if self._pending is not None:
                self._record()
            self.metrics.close()
            if self._saved_step != self.step:
                self.save()
        return "budget" if self.stopping.signal is None else self.stopping.signal.name

    def _one_step(self, budget: Budget) -> None:
        scale = learning_rate_scale(budget.spent(self.bytes, self.elapsed_s), self.options.schedule)
        begun = time.monotonic()
        losses = self._backward(self._batch())
        loss_bits = [loss / LN2 for loss in losses.tolist()]
        norm = self.optimizers.norm()
        if not math.isfinite(norm) or not all(math.isfinite(bits) for bits in loss_bits):
            raise NotFiniteError(f"step {self.step + 1}: loss {loss_bits[0]}, gradient norm {norm}")
        with self.stopping.protected():
            self.optimizers.step(scale, norm)
            self.step += 1
            self._pending = {
                "step": self.step,
                "bytes": self.bytes,
                "loss": loss_bits[0],
                "bpb": loss_bits[0],
                "heads_bpb": loss_bits,
                "lr_scale": scale,
                "grad_norm": norm,
                "elapsed_s": round(self.elapsed_s, 3),
                "bytes_per_s": round(
                    self.options.batch * self.options.block / (time.monotonic() - begun), 1
                ),
            }

    def _batch(self) -> Batch:
        batch = self.packing.batch_at(self.step)
        return Batch(batch.ids_BT.to(self.device), batch.labels_nBT.to(self.device))

    def _backward(self, batch: Batch) -> Tensor:
        try:
            losses = self.objective.backward(batch)
        except Exception as error:
            # Compilation happens at the first call; nothing has been learnt from it yet.
            if not self.compiled or self._proven:
                raise
            say(f"training without compiled code: {why(error)}")
            self.compiled = False
            self.objective = self._objective()
            self.optimizers.zero()
            losses = self.objective.backward(batch)
        self._proven = True
        return losses

    def _record(self) -> None:
        """Complete the pending row and write it."""
        row = self._pending
        assert row is not None
        if row["step"] % self.cadence.eval_steps == 0:
            score = self.evaluate()
            row["held_out_bpb"] = score.heads_bpb()
            row["forecast"] = {str(k): value for k, value in score.forecast.items()}
        with self.stopping.protected():
            self.metrics.append(row)
            self._last, self._pending = row, None

    def evaluate(self) -> Score:
        """Score the held-out sample as it stands."""
        return score_documents(self.model, self.sample, dtype=self.dtype)

    def _save_due(self, saved_at: float) -> bool:
        if self.cadence.save_steps:
            return self.step % self.cadence.save_steps == 0
        return time.monotonic() - saved_at >= 60 * self.cadence.save_minutes

    def save(self) -> None:
        """Write a checkpoint, then drop the oldest ones. Raises NotFiniteError for NaN weights.

        They would outlive the good ones, which rotate out.
        """
        weights = self.model.state_dict()
        for name, weight in weights.items():
            if not torch.isfinite(weight).all():
                raise NotFiniteError(f"step {self.step}: {name} holds values that are not finite")
        tensors, numbers = self.optimizers.tensors()
        progress = {
            "bytes": self.bytes,
            "elapsed_s": self.elapsed_s,
            "optimizer_numbers": numbers,
        }
        with self.stopping.protected():
            save_checkpoint(self.checkpoints, self.step, self.config, weights, tensors, progress)
            self._saved_step = self.step
        prune_checkpoints(self.checkpoints, self.cadence.keep)

    def _bar(self, budget: Budget) -> "tqdm[Any]":
        return tqdm(
            total=100,
            initial=round(100 * min(1, budget.spent(self.bytes, self.elapsed_s)), 1),
            desc="training",
            bar_format="{desc}: {percentage:3.0f}%|{bar}| {elapsed}, {remaining} left{postfix}",
            dynamic_ncols=True,
            mininterval=0.5,
        )

    def _show(self, bar: "tqdm[Any]", budget: Budget) -> None:
        row = self._last
        share = 100 * min(1.0, budget.spent(self.bytes, self.elapsed_s))
        bar.set_postfix_str(
            f"step {row['step']}, {row['bytes'] / 1e6:.2f} MB, "
            f"{row['bytes_per_s'] / 1e3:.1f} KB/s, {row['bpb']:.2f} bpb",
            refresh=False,
        )
        bar.update(share - bar.n)


def read_config(folder: Path) -> dict[str, Any]:
    """config.json of a run folder."""
    try:
        values: dict[str, Any] = json.loads((folder / "config.json").read_bytes())
    except ValueError as error:
        raise DamagedError(f"{folder / 'config.json'} is damaged: {error}") from error
    return values
