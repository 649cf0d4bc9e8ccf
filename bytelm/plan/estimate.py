"""The figures of a training run: memory of a GPU, time and traffic of a step, size on disk."""

from dataclasses import dataclass
from typing import Any

from bytelm.model.model import Model
from bytelm.plan.activations import (
    FLOAT32,
    MicroBatch,
    Precision,
    inputs_bytes,
    logits_bytes,
    loss_backward_bytes,
    trunk_bytes,
    working_bytes,
)
from bytelm.plan.fsdp import Sharded
from bytelm.training.optim.optimizer import parameters_by_optimizer

# Newton-Schulz iterations of torch.optim.Muon. Each has three matrix products.
NEWTON_SCHULZ = 5


@dataclass(frozen=True)
class Hardware:
    """The assumptions about a GPU. GB and TFLOPs are powers of ten."""

    memory_gb: float
    peak_tflops: float
    mfu: float
    bandwidth_gb_s: float

    def compute_s(self, flops: float) -> float:
        """Seconds that one GPU takes for `flops` operations of the model."""
        return flops / (self.mfu * self.peak_tflops * 1e12)


def muon_flops(model: Model) -> int:
    """Floating-point operations of Muon's iterations in one step, over all its matrices.

    For a matrix of m x n, m <= n: X X^T and B X take 2 m^2 n each, A A takes 2 m^3.
    """
    total = 0
    for matrix in parameters_by_optimizer(model)["muon"]:
        m, n = sorted(matrix.shape)
        total += NEWTON_SCHULZ * (4 * m * m * n + 2 * m**3)
    return total


def run_figures(model: Model, block: int, total_bytes: int, global_batch: int) -> dict[str, Any]:
    """The figures that do not depend on the number of GPUs.

    `block`: bytes of a row. `total_bytes`: bytes of training data. `global_batch`: bytes of a step.
    """
    parameters = model.parameters_by_part()
    # On average, a position of a causal block attends to half of it.
    flops_per_byte = model.flops_per_byte(block // 2, training=True)
    weights = FLOAT32 * parameters["total"]
    return {
        "params": parameters["total"],
        "parameters": parameters,
        "flops_per_byte": flops_per_byte,
        "bytes": total_bytes,
        "flops": flops_per_byte * total_bytes,
        "global_batch_bytes": global_batch,
        "steps": -(-total_bytes // global_batch),
        "muon_flops_per_step": muon_flops(model),
        "checkpoint_bytes": weights + Sharded(model, 1).optimizer_bytes(),
    }


def memory_figures(sharded: Sharded, micro: MicroBatch, precision: Precision) -> dict[str, int]:
    """Bytes on one GPU, by purpose.

    `total` is the peak without activation checkpointing, `total_recomputed` the peak with it.
    """
    model, config = sharded.model, sharded.model.config
    fixed = {
        "weights": sharded.weights_bytes(),
        "gradients": sharded.gradients_bytes(micro.positions * len(config.ngram_orders)),
        "optimizer": sharded.optimizer_bytes(),
        "copies": sharded.copies_bytes(),
        "reducing": sharded.reducing_bytes(),
    }
    ways = {
        "activations": trunk_bytes(config, micro, precision),
        "working": working_bytes(model, micro, precision, recompute=False),
        "activations_recomputed": inputs_bytes(config, micro, precision),
        "working_recomputed": working_bytes(model, micro, precision, recompute=True),
    }
    whole = ways["activations"] + ways["working"]
    recomputed = ways["activations_recomputed"] + ways["working_recomputed"]
    return {
        **fixed,
        **ways,
        "logits": logits_bytes(micro),
        "loss_backward": loss_backward_bytes(micro),
        "total": sum(fixed.values()) + whole,
        "total_recomputed": sum(fixed.values()) + recomputed,
    }


def gpus_figures(
    model: Model, run: dict[str, Any], gpus: int, micro: MicroBatch, hardware: Hardware
) -> dict[str, Any]:
    """The figures of training on `gpus` GPUs. `run`: the result of `run_figures`."""
    sharded = Sharded(model, gpus)
    memory = memory_figures(sharded, micro, Precision())
    micro_batches = run["global_batch_bytes"] // (gpus * micro.positions)
    step_s = hardware.compute_s(run["flops_per_byte"] * run["global_batch_bytes"] / gpus)
    traffic = micro_batches * sharded.micro_traffic_bytes() + sharded.step_traffic_bytes()
    room = hardware.memory_gb * 1e9
    return {
        "gpus": gpus,
        "rows": micro.rows,
        "block": micro.block,
        "micro_batches": micro_batches,
        "memory_bytes": memory,
        "fits": memory["total"] <= room,
        "fits_recomputed": memory["total_recomputed"] <= room,
        "step_s": step_s,
        "days": step_s * run["steps"] / 86400,
        "traffic_bytes_per_step": traffic,
        "traffic_s_per_step": traffic / (hardware.bandwidth_gb_s * 1e9),
        "muon_s_per_step": hardware.compute_s(run["muon_flops_per_step"] / gpus),
    }
