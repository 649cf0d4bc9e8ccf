"""Callbacks of a training run (progress bar, TensorBoard, profiler), and peak memory."""

import resource
import sys
from pathlib import Path
from typing import Any, Protocol

import torch

from bytelm.base.ranks import rank
from bytelm.files.streams import progress_bar, say


class Callback(Protocol):
    """Called before the first step, after every step, and at the end."""

    def on_begin(self, compiling: bool) -> None:
        """Before the first step, which may take much longer than the others if `compiling`."""

    def on_step(self, row: dict[str, Any], share: float) -> None:
        """After a step: its row of metrics, and the share of the budget spent (0 to 1 or above)."""

    def close(self) -> None:
        """At the end of the run, also after an error."""


def peak_bytes(device: str) -> int:
    """Peak memory of this process in bytes: allocated on a GPU, or resident on a CPU."""
    if device.startswith("cuda"):
        return int(torch.cuda.max_memory_allocated(device))
    status = Path("/proc/self/status")
    if status.exists():
        # Preferred, because ru_maxrss includes the peak of the process that started this one.
        [line] = [line for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
        return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def forget_peak(device: str) -> None:
    """Reset `peak_bytes` on a GPU, so that it leaves out the measurement of the GPU's rate."""
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats(device)


class Bar:
    """A progress bar with rate, loss, FLOPs utilisation and time left."""

    def __init__(self, share: float, matmul_flops_per_s: float) -> None:
        self._most = matmul_flops_per_s
        self._bar = progress_bar(
            total=100,
            initial=round(100 * min(1, share), 1),
            desc="training",
            bar_format="{desc}: {percentage:3.0f}%|{bar}| {elapsed}, {remaining} left{postfix}",
            mininterval=0.5,
            disable=rank() > 0,
        )

    def on_begin(self, compiling: bool) -> None:
        if compiling:
            self._bar.set_description_str("compiling")

    def on_step(self, row: dict[str, Any], share: float) -> None:
        self._bar.set_description_str("training", refresh=False)
        loss = f"{row['bpb']:.2f} bpb" if row["bpb"] is not None else "not finite"
        skipped = f", {row['skipped']} skipped" if row["skipped"] else ""
        used = row["flops_per_s"] / self._most
        self._bar.set_postfix_str(
            f"step {row['step']}, {row['bytes'] / 1e6:.2f} MB, "
            f"{row['bytes_per_s'] / 1e3:.1f} KB/s, {100 * used:.0f}% MFU, {loss}{skipped}",
            refresh=False,
        )
        self._bar.update(100 * min(1.0, share) - self._bar.n)

    def close(self) -> None:
        self._bar.close()


class TensorBoard:
    """Scalars of every step, for `tensorboard --logdir RUN`."""

    def __init__(self, folder: Path, step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        # Hide steps that an earlier session wrote after the checkpoint being resumed.
        self._writer = SummaryWriter(str(folder), purge_step=step + 1)

    def on_begin(self, compiling: bool) -> None:
        pass

    def on_step(self, row: dict[str, Any], share: float) -> None:
        for name in ("bpb", "grad_norm", "lr_scale", "bytes_per_s", "skipped"):
            if row[name] is not None:
                self._writer.add_scalar(f"train/{name}", row[name], row["step"])
        for name in ("heads_bpb", "held_out_bpb", "infilling_bpb"):
            for head, bits in enumerate(row.get(name) or [], start=1):
                if bits is not None:
                    self._writer.add_scalar(f"{name}/head_{head}", bits, row["step"])

    def close(self) -> None:
        self._writer.close()


class Profiler:
    """A trace of a few steps for Perfetto or chrome://tracing, and a table of the slowest calls."""

    # The first steps compile and warm up.
    WAIT, STEPS = 5, 3

    def __init__(self, folder: Path, device: str) -> None:
        self._folder = folder
        kinds = [torch.profiler.ProfilerActivity.CPU]
        if device.startswith("cuda"):
            kinds.append(torch.profiler.ProfilerActivity.CUDA)
        self._sort = "self_device_time_total" if len(kinds) > 1 else "self_cpu_time_total"
        self._profile = torch.profiler.profile(
            activities=kinds,
            schedule=torch.profiler.schedule(wait=self.WAIT, warmup=1, active=self.STEPS, repeat=1),
            on_trace_ready=self._write,
            profile_memory=True,
        )
        self._profile.start()

    def _write(self, profile: "torch.profiler.profile") -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        trace = self._folder / f"trace-rank{rank()}.json.gz"
        profile.export_chrome_trace(str(trace))
        table = profile.key_averages().table(sort_by=self._sort, row_limit=40)
        (self._folder / f"table-rank{rank()}.txt").write_text(table + "\n")
        say(f"profile of {self.STEPS} steps: {trace} (open it at https://ui.perfetto.dev)")

    def on_begin(self, compiling: bool) -> None:
        pass

    def on_step(self, row: dict[str, Any], share: float) -> None:
        self._profile.step()

    def close(self) -> None:
        self._profile.stop()
        if not self._folder.exists():
            say(f"no profile: it begins after {self.WAIT + 1} steps, and the run had fewer")
