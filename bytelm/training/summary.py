"""The figures of a training run: summary.json, the JSON line on stdout, and a line for people."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from bytelm.base.sealing import seal
from bytelm.files.atomic import write_json
from bytelm.files.streams import say
from bytelm.forms import DamagedError, SummaryFile, read_form


@dataclass(frozen=True)
class TrainingSummary:
    """The figures of a run, as in its summary.json."""

    run: str
    """The run folder."""
    ended: str
    """Why the run ended: "budget", "SIGINT" or "SIGTERM"."""
    steps: int
    bytes: int
    """Bytes of training data that were read. Data read in several epochs counts several times."""
    train_s: float
    """Seconds of training, including earlier sessions of the run."""
    ranks: int
    compiled: bool
    dtype: str
    parameters: dict[str, int]
    """Number of parameters by part of the model, and the `total`."""
    flops_per_byte: int
    matmul_flops_per_s: int
    """FLOP/s of a large matrix product on one device."""
    mfu: float | None
    """Model FLOPs utilisation: the median step's share (0 to 1) of `matmul_flops_per_s` times the
    number of ranks. None if no step was taken."""
    peak_bytes: int
    """Peak memory of the process, in bytes."""
    skipped: int
    """Steps that the guard against spikes skipped."""
    held_out_bpb: list[float] | None
    """Bits per byte of each head on a sample of the held-out text. None if a signal ended the run,
    or if a value is not finite."""
    infilling_bpb: list[float] | None
    """The same of what belongs into gaps of this text. None without infilling."""
    forecast: dict[str, float] | None
    """By number of heads k: bytes per forward that decoding would accept on the held-out text."""
    checkpoint: str
    """The newest checkpoint, relative to the run folder."""
    checkpoint_sha256: str
    trained_now: bool = True
    """False if the budget was already spent, so that nothing was trained."""
    provenance: Mapping[str, object] = field(default_factory=dict)
    """The other entries of a summary.json that was read: machine, versions, command."""

    def to_dict(self) -> dict[str, Any]:
        """The figures for the JSON line, in the order of the file."""
        return {**self._figures(), **self.provenance, "trained_now": self.trained_now}

    def write(self, folder: Path) -> None:
        """Write summary.json, sealed."""
        write_json(folder / "summary.json", seal(self._figures()))

    def line(self) -> str:
        """The main figures in one line of text."""
        skipped = f", {self.skipped} steps skipped" if self.skipped else ""
        held_out = f", {self.held_out_bpb[0]:.3f} bpb held out" if self.held_out_bpb else ""
        if self.infilling_bpb:
            held_out += f" and {self.infilling_bpb[0]:.3f} in gaps"
        used, rate = "", self.matmul_flops_per_s / 1e9
        if self.mfu is not None:
            used = f"{100 * self.mfu:.0f}% MFU (of {rate:.0f} GFLOP/s, a matrix product's), "
        return (
            f"{self.steps} steps, {self.bytes / 1e6:.2f} MB{held_out}{skipped}; "
            f"{used}{self.peak_bytes / 1e6:.0f} MB peak memory"
        )

    def _figures(self) -> dict[str, Any]:
        values = asdict(self)
        del values["trained_now"], values["provenance"]
        return values


def read_summary(folder: Path, steps: int) -> TrainingSummary | None:
    """summary.json of a trained run, or None if there is no whole one with this number of steps."""
    try:
        values = read_form(folder / "summary.json", SummaryFile)
    except DamagedError as error:
        say(f"{error}; it is made again")
        return None
    except OSError:
        return None
    if values.get("steps") != steps:
        # The run was killed between its last checkpoint and its summary.
        return None
    names = [f.name for f in fields(TrainingSummary) if f.name not in ("trained_now", "provenance")]
    # Figures that older files do not have are None.
    figures: dict[str, Any] = {name: values.pop(name, None) for name in names}
    return TrainingSummary(**figures, trained_now=False, provenance=values)
