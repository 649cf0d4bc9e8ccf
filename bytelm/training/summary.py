"""What a training run came to: summary.json, the last line on stdout, and a line for people."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from bytelm.base.files import write_json
from bytelm.base.sealing import seal


@dataclass(frozen=True)
class TrainingSummary:
    """The figures of a run, as they stand in its summary.json."""

    run: str
    """The run folder."""
    ended: str
    """"budget", "SIGINT" or "SIGTERM"."""
    steps: int
    bytes: int
    """Bytes of training data that were read, again and again where the budget is larger."""
    train_s: float
    """Seconds of training, those of earlier sessions of the run included."""
    ranks: int
    compiled: bool
    dtype: str
    parameters: dict[str, int]
    """By part of the model, and their `total`."""
    flops_per_byte: int
    matmul_flops_per_s: int
    """Of a large matrix product on one device."""
    mfu: float | None
    """The median step's share of that rate, on as many devices; None where no step was taken."""
    peak_bytes: int
    """The most memory that the process held."""
    skipped: int
    """Steps that the guard against spikes did not apply."""
    held_out_bpb: list[float] | None
    """Bits per byte of each head on a sample of the held-out text; None for a run that was
    stopped, or where they are not finite."""
    forecast: dict[str, float] | None
    """By number of heads k, bytes per forward that decoding would accept on the held-out text."""
    checkpoint: str
    """The newest one, relative to the run folder."""
    checkpoint_sha256: str
    trained_now: bool = True
    """False where the budget was spent before, and there was nothing to do."""
    provenance: Mapping[str, object] = field(default_factory=dict)
    """What summary.json says besides (machine, versions, command), where it was read."""

    def to_dict(self) -> dict[str, Any]:
        """The figures for the JSON line, in the order of the file."""
        return {**self._figures(), **self.provenance, "trained_now": self.trained_now}

    def write(self, folder: Path) -> None:
        """Write summary.json, sealed."""
        write_json(folder / "summary.json", seal(self._figures()))

    def line(self) -> str:
        """For a person."""
        skipped = f", {self.skipped} steps skipped" if self.skipped else ""
        held_out = f", {self.held_out_bpb[0]:.3f} bpb held out" if self.held_out_bpb else ""
        used, rate = "", self.matmul_flops_per_s / 1e9
        if self.mfu is not None:
            used = f"{100 * self.mfu:.0f}% MFU (of {rate:.0f} GFLOP/s, a matrix product's), "
        return (
            f"{self.steps} steps, {self.bytes / 1e6:.2f} MB{held_out}{skipped}; "
            f"{used}{self.peak_bytes / 1e6:.0f} MB of memory at most"
        )

    def _figures(self) -> dict[str, Any]:
        values = asdict(self)
        del values["trained_now"], values["provenance"]
        return values


def read_summary(folder: Path, steps: int) -> TrainingSummary | None:
    """summary.json of a run that had been trained before; None without one of so many steps."""
    try:
        values = json.loads((folder / "summary.json").read_bytes())
    except (OSError, ValueError):
        return None
    if values.get("steps") != steps:
        # Killed after its last checkpoint and before its summary.
        return None
    names = [f.name for f in fields(TrainingSummary) if f.name not in ("trained_now", "provenance")]
    # A figure that came later is None in older files.
    figures: dict[str, Any] = {name: values.pop(name, None) for name in names}
    return TrainingSummary(**figures, trained_now=False, provenance=values)
