"""One training step of a model: its objective, its optimizers, and its guard."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from bytelm.base.device import check_memory
from bytelm.base.errors import InputError, option, setting
from bytelm.base.ranks import is_lost, launched, local_rank, world_size
from bytelm.checkpoint import infilling_of, read_about
from bytelm.config import ModelConfig
from bytelm.files.streams import say
from bytelm.model.layers import Compute, Layer
from bytelm.model.model import Model
from bytelm.native.toolchain import TORCH_CACHE, why_failed
from bytelm.scoring import LN2
from bytelm.training.batches.packing import Batch
from bytelm.training.device.compile_cache import record_whole_code
from bytelm.training.device.fsdp import shard, sum_gradients
from bytelm.training.device.speedups import compiler
from bytelm.training.objective import Objective, label_counts
from bytelm.training.optim.guard import Guard
from bytelm.training.optim.optimizer import Optimizers
from bytelm.training.options import TrainOptions
from bytelm.training.transfer import begin_with


@dataclass(frozen=True)
class Execution:
    """How a run computes. This changes its speed and memory, and what it learns by rounding only.

    `micro` is the number of blocks that a rank processes at a time (0: all of its share). With
    `recompute`, layers recompute their activations in the backward pass instead of storing them.
    """

    device: str = "cpu"
    dtype: torch.dtype = torch.float32
    compiled: bool = True
    micro: int = 0
    recompute: bool = False


@dataclass(frozen=True)
class Gradients:
    """The result of a step's backward pass: the heads' losses in bits, and the gradient norm.

    The loss of a head that was not computed is None.
    """

    losses_bits: list[float | None]
    norm: float


def _check_memory(config: ModelConfig, options: TrainOptions, execution: Execution) -> None:
    """Raise InputError for a model and batch whose least memory exceeds that of the device."""
    # Weights, and their gradients or moments, which ranks divide; the input of each layer in bf16.
    weights_bytes = (4 if launched() else 8) * config.least_parameters
    rows = execution.micro or options.batch // world_size()
    inputs_bytes = 2 * rows * options.block * config.width * config.layers
    check_memory(
        weights_bytes + inputs_bytes, execution.device,
        f"training {config.least_parameters} parameters, {rows} blocks of {options.block} at once,",
        f"take a smaller model, shorter blocks, or fewer at a time by {option('micro_batch')}",
    )  # fmt: skip


def _as_it_is(function: Any) -> Any:
    return function


class Learner:
    """A model in training, on this rank and together with the other ranks.

    `init` is a checkpoint to start from. `drafts_only` freezes all parameters but those that belong
    to heads 2..n alone. `infilling`: the share of documents that are rearranged, here or in the
    training of `init`, whichever is more.
    """

    objective_kind: type[Objective] = Objective

    def __init__(
        self,
        config: ModelConfig,
        options: TrainOptions,
        execution: Execution,
        init: Path | None = None,
        drafts_only: bool = False,
    ) -> None:
        self.options, self.execution, self.compiled = options, execution, execution.compiled
        _check_memory(config, options, execution)
        self.model = Model(config, options.seed).to(execution.device)
        # Counted before sharding, which leaves a rank only parts of the parameters.
        self.parameters = self.model.parameters_by_part()
        attended = options.block // 2
        self.flops_per_byte = self.model.flops_per_byte(attended, training=True)
        self.flops_of_head_1 = self.model.flops_per_byte(attended, training=True, heads=1)
        self.infilling = options.infilling
        if init is not None:
            begin_with(self.model, init)
            self.infilling = max(self.infilling, infilling_of(read_about(init)))
        if drafts_only:
            self.model.requires_grad_(False)
            for parameter in self.model.heads.drafting_parameters():
                parameter.requires_grad_(True)
        if launched():
            shard(self.model, execution.device, execution.dtype)
        self.optimizers = Optimizers(self.model, options.optimizer, execution.dtype)
        self.guard = Guard(options.guard)
        self.objective = self._objective()
        self._has_run = False

    def _objective(self) -> Objective:
        """The objective, compiled if wanted. All layers share the compiled code of one layer."""
        wrap = compiler() if self.compiled else _as_it_is
        compute: Compute | None = wrap(Layer.compute) if self.compiled else None
        if self.execution.recompute:
            compute = partial(checkpoint, compute or Layer.compute, use_reentrant=False)
        weight, dtype = self.options.head_weight, self.execution.dtype
        return self.objective_kind(self.model, weight, dtype, compute, wrap)

    def compute_gradients(self, batches: Sequence[Batch], heads_scale: float = 1.0) -> Gradients:
        """Forward and backward over the micro batches of a step. Parameters do not change.

        `heads_scale` is a factor on the weight of heads 2..n; if it is 0, they may be left out.
        """
        counts_n = self._counts(batches)
        losses_n = self._backward(batches, counts_n, heads_scale)
        if launched():
            sum_gradients(self.model.parameters())
            dist.all_reduce(losses_n)
        heads = self.model.heads
        computed = heads.running(heads.n if heads_scale else 1)
        losses = [
            loss / LN2 if index in computed else None
            for index, loss in enumerate(losses_n.tolist())
        ]
        return Gradients(losses, self.optimizers.norm())

    def apply_gradients(self, found: Gradients, scale: float) -> None:
        """Apply the gradients `found`, at `scale` times the peak learning rates.

        The guard may skip the step. Raises NotFiniteError after too many skipped steps in a row.
        """
        losses = [loss for loss in found.losses_bits if loss is not None]
        if self.guard.admits(losses, found.norm):
            self.optimizers.step(scale, found.norm)
        else:
            self.optimizers.zero()

    def _counts(self, batches: Sequence[Batch]) -> Tensor:
        counts_n = torch.stack([label_counts(batch) for batch in batches]).sum(0)
        if launched():
            dist.all_reduce(counts_n)
        return counts_n.clamp(min=1)

    def _backward(self, batches: Sequence[Batch], counts_n: Tensor, heads_scale: float) -> Tensor:
        try:
            losses = [self.objective.backward(batch, counts_n, heads_scale) for batch in batches]
        except Exception as error:
            # Compilation happens in the first call, so no parameter has changed yet.
            other = isinstance(error, torch.OutOfMemoryError) or is_lost(error)
            if not self.compiled or self._has_run or other:
                raise
            if launched():
                instead = setting("compile", False)
                raise InputError(f"compiling failed: {why_failed(error)}; use {instead}") from error
            say(f"training without compiled code: {why_failed(error)}")
            losses = []
        cache = os.environ.get(TORCH_CACHE)
        if cache and not self._has_run and self.compiled and losses and local_rank() == 0:
            record_whole_code(Path(cache))
        if not losses:
            # Outside the handler, whose traceback would keep the failed attempt's tensors alive.
            self.compiled = False
            self.objective = self._objective()
            self.optimizers.zero()
            losses = [self.objective.backward(batch, counts_n, heads_scale) for batch in batches]
        self._has_run = True
        return torch.stack(losses).sum(0)
