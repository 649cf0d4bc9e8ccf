"""A model in training whose steps are measured, in time and memory."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from bytelm.base.errors import InputError, option
from bytelm.model.model import Model
from bytelm.shards import Split
from bytelm.training.batches.packing import Batch, Packing
from bytelm.training.learner import Learner
from bytelm.training.objective import Objective, label_counts
from bytelm.training.options import TrainOptions


class PlainObjective(Objective):
    """All heads forward, their losses added, one backward: the baseline without the memory saving.

    `Objective` runs the heads one after another instead and holds one head's activations at a time.
    """

    def backward(self, batch: Batch, counts_n: Tensor | None = None, scale: float = 1.0) -> Tensor:
        counts_n = label_counts(batch).clamp(min=1) if counts_n is None else counts_n
        heads, losses = self.model.heads, []
        outputs: dict[int, Tensor] = {}
        with self._autocast(batch.ids_BT.device):
            place = self._place(batch)
            z_BTD = self._run_trunk(batch, place)
            for index in heads.running(heads.n):
                source = heads.source(index)
                read_BTD = z_BTD if source is None else outputs[source]
                outputs[index] = self._run(index, read_BTD, place)
            for index in range(heads.n):
                unembedding, labels_BT = heads.unembedding(index), batch.labels_nBT[index]
                loss = self._loss(outputs[index], unembedding, labels_BT, counts_n[index])
                losses.append(loss)
        del outputs
        torch.autograd.backward(losses[0] + scale * self.weight * sum(losses[1:]))
        return torch.stack(losses).detach()


class PlainLearner(Learner):
    """A learner with the plain objective."""

    objective_kind = PlainObjective


class TorchObjective(Objective):
    """The objective with torch's attention instead of ours in C++."""

    def __init__(self, model: Model, *arguments: Any, **named: Any) -> None:
        super().__init__(model, *arguments, **named)
        self._attend = None


class TorchLearner(Learner):
    """A learner without our C++ code."""

    objective_kind = TorchObjective


WAYS: dict[str, type[Learner]] = {
    "sequential": Learner,
    "plain": PlainLearner,
    "eager": Learner,
    "torch": TorchLearner,
}
UNCOMPILED = ("eager", "torch")


@dataclass(frozen=True)
class StepTimes:
    """Seconds of one step. `cpu_s` is the CPU time of this process alone."""

    step_s: float
    forward_backward_s: float
    optimizer_s: float
    cpu_s: float


@dataclass
class Cell:
    """One model in training, with the times of its steps and its memory in bytes."""

    kind: str
    n: int
    way: str
    learner: Learner
    batches: Callable[[int], Batch]
    steps: list[StepTimes] = field(default_factory=list)
    activation_bytes: int = 0
    held_bytes: int = 0

    def step(self, index: int) -> StepTimes:
        """One training step on batch `index`, timed.

        Raises InputError if the step is skipped because its gradient is not finite.
        """
        device = self.learner.execution.device
        batch = self.batches(index)
        _wait(device)
        begun, cpu = time.perf_counter(), time.process_time()
        found = self.learner.compute_gradients([batch])
        between = time.perf_counter()
        self.learner.apply_gradients(found, 1.0)
        _wait(device)
        ended, cpu_ended = time.perf_counter(), time.process_time()
        if self.learner.guard.skipped:
            raise InputError(
                f"{self.kind} heads, n = {self.n}: the gradient is not finite; "
                f"lower the learning rates ({option('train.matrix_lr')})"
            )
        return StepTimes(ended - begun, between - begun, ended - between, cpu_ended - cpu)

    def prepare(self) -> None:
        """Compile and measure memory.

        The first step compiles and creates the optimizers' state. The second one is measured.
        """
        self.step(0)
        self.held_bytes = held_bytes(self.learner)
        self.activation_bytes = peak_above_start(
            lambda: self.step(1), self.learner.execution.device
        )


def _wait(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize()


def held_bytes(learner: Learner) -> int:
    """Bytes held between steps: parameters, buffers and the optimizers' state."""
    state, _ = learner.optimizers.tensors()
    model = learner.model
    held = [*model.parameters(), *model.buffers(), *state.values()]
    return sum(tensor.numel() * tensor.element_size() for tensor in held)


def peak_above_start(work: Callable[[], object], device: str) -> int:
    """The peak of torch's allocated bytes during `work`, above what was allocated before.

    On a CPU, the profiler's allocations and frees are summed in the order of their times. This
    includes allocations of compiled code, but not those that other libraries make by themselves.
    """
    if device.startswith("cuda"):
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        work()
        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated() - before
    # Else libkineto prints a greeting on stderr, across the progress bar.
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        work()
    assert profiled.profiler is not None
    assert profiled.profiler.kineto_results is not None
    events = [
        (event.start_ns(), event.nbytes())
        for event in profiled.profiler.kineto_results.events()
        if event.name() == "[memory]"
    ]
    now = peak = 0
    # Sorted by time alone: events of the same nanosecond keep their order.
    for _, change in sorted(events, key=lambda event: event[0]):
        now += change
        peak = max(peak, now)
    return peak


def random_batches(options: TrainOptions, heads: int, device: str) -> Callable[[int], Batch]:
    """A function from step to batch: random bytes, the same for any number of heads."""
    T = options.block

    def batch_at(step: int) -> Batch:
        generator = torch.Generator().manual_seed(step)
        bytes_BT = torch.randint(0, 256, (options.batch, T), generator=generator)
        # Each block is a ring: the labels after its last byte are its first bytes.
        labels = [bytes_BT.roll(-head - 1, dims=1) for head in range(heads)]
        return Batch(bytes_BT.to(device), torch.stack(labels).to(device))

    return batch_at


def shard_batches(
    options: TrainOptions, heads: int, device: str, split: Split
) -> Callable[[int], Batch]:
    """A function from step to batch: the batches of a training run on `split`."""
    packing = Packing(split, options.block, options.batch, heads, options.seed)

    def batch_at(step: int) -> Batch:
        batch = packing.batch_at(step)
        return Batch(batch.ids_BT.to(device), batch.labels_nBT.to(device))

    return batch_at
