"""`python -m bytelm plan`: estimate the costs of training a preset on several GPUs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from bytelm.base.errors import InputError
from bytelm.base.options import BatchSize, ByteCount, Positive, Range
from bytelm.commands.parsing import DefaultsByType
from bytelm.config import ModelConfig
from bytelm.files.streams import say, write_stdout
from bytelm.training.options import preset_defaults, read_preset

# The paper's byte models: 25,000 steps of 12 x 2^20 bytes (Table S14).
PAPER_BATCH = 12 * 2**20
PAPER_BYTES = 25_000 * PAPER_BATCH

Amount = Annotated[float, Range(0, above=True, most=10**12)]


@dataclass
class Plan:
    """Estimate the memory, time and traffic of training a preset on several GPUs.

    The plan is for FSDP2 in bfloat16 with float32 weights. Parameters, shards, optimizer state and
    traffic are counted exactly, activations by a formula (bytelm/plan/activations.py). No GPU is
    needed.
    """

    gpus: tuple[Positive, ...]
    """The number of GPUs; several numbers give several columns."""
    model: ModelConfig
    """The model; the defaults are those of the preset."""
    preset: str = "paper-7b"
    """The name of a preset, or the path of a .toml file of the same form."""
    batch: BatchSize | None = None
    """Rows of a micro batch on one GPU. Default: the batch of the preset."""
    block: Annotated[int, Range(1, most=2**30)] | None = None
    """Bytes of a row. Default: the block of the preset."""
    global_batch_bytes: ByteCount = PAPER_BATCH
    """Bytes of a step on all GPUs together. Default: the paper's 12 x 2^20."""
    bytes: ByteCount = PAPER_BYTES
    """Bytes of training data. Default: the paper's 314.6e9."""
    memory_gb: Amount = 80.0
    """Memory of a GPU to use, in 10^9 bytes. A card sold as 80 GB has 85; the default leaves the
    rest to CUDA, NCCL and fragmentation."""
    peak_tflops: Amount = 989.0
    """Peak of a GPU, in 10^12 operations per second. Default: an H100 in dense bfloat16."""
    mfu: Annotated[float, Range(0, 1, above=True)] = 0.4
    """Model FLOPs utilization: the share of the peak that the model's operations reach."""
    bandwidth_gb_s: Amount = 50.0
    """Bandwidth from a GPU to the others, in 10^9 bytes per second. Default: 400 Gbit/s."""
    markdown: bool = False
    """Print only the table, in Markdown, on stdout."""

    @staticmethod
    def defaults(words: Sequence[str]) -> DefaultsByType:
        """The defaults of the model, which depend on the preset."""
        return preset_defaults(words, Plan.preset)

    def run(self) -> dict[str, Any] | None:
        """Print the table. Returns the figures, or None with `markdown`."""
        import torch

        from bytelm.model.model import Model
        from bytelm.plan.activations import MicroBatch
        from bytelm.plan.estimate import Hardware, gpus_figures, run_figures
        from bytelm.plan.table import markdown_table, text_table

        if not self.gpus:
            raise InputError("--gpus: give at least one number of GPUs")
        config, (_, options) = self.model, read_preset(self.preset)
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
            write_stdout(f"{markdown_table(figures)}\n".encode())
            return None
        for line in text_table(figures):
            say(line)
        if config.ngram_orders:
            say(
                "the n-gram tables stand whole on every GPU; their gradients' traffic isn't counted"
            )
        return figures

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
