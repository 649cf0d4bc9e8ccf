"""`python -m bytelm plan`: what training a preset on G GPUs takes, before a GPU is touched."""

from dataclasses import dataclass
from typing import Annotated, Any

import tyro

from bytelm.base.cli import say
from bytelm.base.errors import InputError

# The paper's byte models: 25,000 steps of 12 x 2^20 bytes (Table S14).
PAPER_BATCH = 12 * 2**20
PAPER_BYTES = 25_000 * PAPER_BATCH


@dataclass
class Plan:
    """Say what training a preset on so many GPUs takes of memory, time and traffic.

    Counted for FSDP2 in bfloat16 with float32 weights; parameters, shards, optimizer state and
    traffic exactly, activations by a formula (bytelm/plan/activations.py). No GPU is needed.
    """

    gpus: tuple[int, ...]
    """GPUs; several numbers give several columns."""
    preset: str = "paper-7b"
    """A preset's name, or the path of a .toml file like one."""
    set: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """Override an option of the preset: model.OPTION=VALUE or train.OPTION=VALUE; repeatable."""
    batch: int | None = None
    """Rows of a micro batch on one GPU. Default: the preset's batch."""
    block: int | None = None
    """Bytes of a row. Default: the preset's block."""
    global_batch_bytes: int = PAPER_BATCH
    """Bytes of a step, all GPUs together. Default: the paper's 12 x 2^20."""
    bytes: int = PAPER_BYTES
    """Bytes of training data. Default: the paper's 314.6e9."""
    memory_gb: float = 80.0
    """Memory of a GPU, in 10^9 bytes. (A card sold as 80 GB has 85: the rest is left to CUDA,
    NCCL and fragmentation.)"""
    peak_tflops: float = 989.0
    """A GPU's peak, in 10^12 operations a second. Default: an H100's, bfloat16, dense."""
    mfu: float = 0.4
    """The share of the peak that the model's own operations reach."""
    bandwidth_gb_s: float = 50.0
    """What a GPU sends to others, in 10^9 bytes a second. Default: 400 Gbit/s each."""
    markdown: bool = False
    """Write the table to stdout, for a page, and nothing else."""

    def run(self) -> dict[str, Any] | None:
        import torch

        from bytelm.model.model import Model
        from bytelm.plan.activations import MicroBatch
        from bytelm.plan.estimate import Hardware, gpus_figures, run_figures
        from bytelm.plan.table import markdown_table, text_table
        from bytelm.train.options import resolve

        self._check()
        config, options = resolve(self.preset, self.set)
        rows = options.batch if self.batch is None else self.batch
        block = options.block if self.block is None else self.block
        if block > config.context:
            raise InputError(f"--block {block} exceeds the model's context of {config.context}")
        self._check_division(rows, block)
        with torch.device("meta"):
            model = Model(config)
        hardware = Hardware(self.memory_gb, self.peak_tflops, self.mfu, self.bandwidth_gb_s)
        run = run_figures(model, block, self.bytes, self.global_batch_bytes)
        micro = MicroBatch(rows, block)
        plans = [gpus_figures(model, run, gpus, micro, hardware) for gpus in self.gpus]
        assumed = {
            "memory_gb": self.memory_gb,
            "peak_tflops": self.peak_tflops,
            "mfu": self.mfu,
            "bandwidth_gb_s": self.bandwidth_gb_s,
        }
        figures = {"preset": self.preset, **run, **assumed, "plans": plans}
        if self.markdown:
            print(markdown_table(figures), flush=True)
            return None
        for line in text_table(figures):
            say(line)
        if config.ngram_orders:
            say(
                "the n-gram tables stand whole on every GPU; their gradients' traffic isn't counted"
            )
        return figures

    def _check(self) -> None:
        if not self.gpus:
            raise InputError("--gpus: give at least one number of GPUs")
        counts = [("gpus", gpus) for gpus in self.gpus]
        counts += [("batch", 1 if self.batch is None else self.batch)]
        counts += [("block", 1 if self.block is None else self.block)]
        counts += [("bytes", self.bytes), ("global-batch-bytes", self.global_batch_bytes)]
        for name, value in counts:
            if value < 1:
                raise InputError(f"--{name} must be at least 1, not {value}")
        for name in ("memory_gb", "peak_tflops", "bandwidth_gb_s"):
            value = getattr(self, name)
            if not 0 < value < float("inf"):
                option = name.replace("_", "-")
                raise InputError(f"--{option} must be a number above 0, not {value}")
        if not 0 < self.mfu <= 1:
            raise InputError(f"--mfu must be above 0 and at most 1, not {self.mfu}")

    def _check_division(self, rows: int, block: int) -> None:
        for gpus in self.gpus:
            if self.global_batch_bytes % (gpus * rows * block) == 0:
                continue
            share, rest = divmod(self.global_batch_bytes, gpus * block)
            fit = [n for n in range(1, min(rows, share) + 1) if share % n == 0 and rest == 0]
            other = "choose other --gpus, --block or --global-batch-bytes"
            raise InputError(
                f"a step of {self.global_batch_bytes} bytes is no whole number of micro batches of "
                f"{gpus} GPUs x {rows} rows x {block} bytes; "
                + (f"--batch {fit[-1]} would do" if fit else other)
            )
