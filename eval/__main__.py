"""Completions, scores, speed, studies and the report of it all: `python -m eval COMMAND`."""

import importlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from bytelm.toolkit import Command, leave, main


class _Commands(Mapping[str, Callable[..., Command]]):
    """A command's module is imported when it is asked for: most need torch, or plots."""

    def __init__(self, homes: dict[str, str]) -> None:
        self._homes = homes

    def __getitem__(self, name: str) -> Any:
        module, command = self._homes[name].split(":")
        return getattr(importlib.import_module(f"eval.{module}"), command)

    def __iter__(self) -> Iterator[str]:
        return iter(self._homes)

    def __len__(self) -> int:
        return len(self._homes)


COMMANDS = _Commands(
    {
        "complete": "suites.complete:Complete",
        "grade": "grading.grade:Grade",
        "agreement": "agreement.command:Agreement",
        "table1": "grading.table1:Table1",
        "bits": "measure.bits:Bits",
        "speed": "measure.speed:Speed",
        "bench": "measure.bench:Bench",
        "step": "measure.step:Step",
        "sweep": "study.sweep:Sweep",
        "training-time": "measure.training_time:TrainingTime",
        "peers": "measure.peers.command:Peers",
        "divergence": "measure.divergence:Divergence",
        "induction": "study.induction:Induction",
        "arithmetic": "study.arithmetic:Arithmetic",
        "report": "report.command:ReportCommand",
        "readme": "report.readme:Readme",
    }
)

if __name__ == "__main__":
    leave(main("eval", __doc__, COMMANDS))
