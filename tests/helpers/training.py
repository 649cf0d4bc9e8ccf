"""Training runs for tests, each in processes of its own: started, watched, stopped, compared."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from support import ROOT, TRAIN, wait_until

from bytelm.checkpoint import list_checkpoints
from bytelm.training.batches.packing import Batch

CLOCK = ("elapsed_s", "bytes_per_s", "flops_per_s")


def train(shards: Path, run: Path, *more: str) -> list[str]:
    # Not --run: torchrun would take it for the beginning of an option of its own.
    return ["train", "--data", str(shards), "--run-folder", str(run), *TRAIN, *more]


def rows_of(run: Path) -> list[dict[str, Any]]:
    """The metrics but for the clock's. Only what JSON knows: no NaN, no infinity."""
    lines = (run / "metrics.jsonl").read_text().splitlines()
    rows = [json.loads(line, parse_constant=refuse) for line in lines]
    return [{k: v for k, v in row.items() if k not in CLOCK} for row in rows]


def random_batch(heads: int, block: int = 40) -> Batch:
    """Two rows of random ids and labels: always the same."""
    generator = torch.Generator().manual_seed(5)
    ids_BT = torch.randint(0, 256, (2, block), generator=generator)
    return Batch(ids_BT, torch.randint(0, 256, (heads, 2, block), generator=generator))


def refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is not JSON")


def newest(run: Path) -> Path:
    return list_checkpoints(run / "checkpoints")[0]


def assert_same(run: Path, other: Path) -> None:
    """Two runs have left the same metrics, weights and optimizers' state, bit for bit."""
    assert rows_of(run) == rows_of(other)
    for name in ("model.safetensors", "optimizer.safetensors"):
        assert (newest(run) / name).read_bytes() == (newest(other) / name).read_bytes()


@dataclass
class Running:
    """A run that goes on; what it says lies in files, so that it can be read meanwhile."""

    process: "subprocess.Popen[bytes]"
    run: Path
    out: Path
    err: Path

    @property
    def said(self) -> str:
        """What stands on stderr; of a progress bar's lines the last one."""
        lines = self.err.read_text().split("\n")
        return "\n".join(line.rpartition("\r")[2] for line in lines)

    def wait_until(self, happened: Callable[[], bool]) -> None:
        """Look until it has happened; the run is to go on for so long."""

        def happened_or_ended() -> bool:
            # Looked at first: what has happened may be the last that the run did.
            return happened() or self.process.poll() is not None

        wait_until(happened_or_ended)
        assert happened(), self.said

    def wait_for(self, words: str) -> None:
        """Until it has said `words` on stderr."""
        self.wait_until(lambda: words in self.said)

    def wait_for_handlers(self) -> None:
        """Until it catches SIGTERM, and so SIGINT in its own way too."""
        status = Path(f"/proc/{self.process.pid}/status")

        def caught() -> bool:
            masks = [
                line.split()[1] for line in status.read_text().splitlines() if "SigCgt" in line
            ]
            return bool(int(masks[0], 16) >> (signal.SIGTERM - 1) & 1)

        self.wait_until(caught)

    def wait_for_rows(self, count: int) -> None:
        """Until metrics.jsonl has so many rows."""
        path = self.run / "metrics.jsonl"
        self.wait_until(lambda: path.exists() and path.read_bytes().count(b"\n") >= count)

    def ranks(self) -> list[int]:
        """The process ids of torchrun's workers."""
        found = subprocess.run(["pgrep", "-P", str(self.process.pid)], capture_output=True)
        return [int(pid) for pid in found.stdout.split()]

    def signal(self, number: signal.Signals) -> None:
        """To the whole group, as a terminal's Ctrl-C."""
        os.killpg(self.process.pid, number)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        self.process.wait()

    def end(self, patience_s: float = 120) -> int:
        """Wait for its end; the exit status as a shell would give it."""
        try:
            status = self.process.wait(patience_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"still running after {patience_s} s: {self.said}") from None
        return status if status >= 0 else 128 - status

    def figures(self) -> dict[str, Any]:
        """The JSON line."""
        found: dict[str, Any] = json.loads(self.out.read_text().splitlines()[-1])
        return found


def start(
    shards: Path,
    run: Path,
    *more: str,
    ranks: int = 1,
    torchrun: tuple[str, ...] = (),
    logs: Path | None = None,
) -> Running:
    """Begin or resume a run; with several `ranks`, under torchrun.

    Its stdout and stderr go to files in `logs`, by default beside the run folder.
    """
    command = [sys.executable, "-m"]
    if ranks > 1:
        command += ["torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}", *torchrun]
        command += ["-m"]
    command += ["bytelm", *train(shards, run, "--resume", *more)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    # Set in this process by runs in it: here each run has its own place for compiled code.
    environment.pop("TORCHINDUCTOR_CACHE_DIR", None)
    logs = logs or run.parent
    logs.mkdir(parents=True, exist_ok=True)
    out, err = (logs / f"{run.name}.{kind}" for kind in ("out", "err"))
    with out.open("wb") as stdout, err.open("wb") as stderr:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdout=stdout,
            stderr=stderr,
            env=environment,
            start_new_session=True,
        )
    return Running(process, run, out, err)
