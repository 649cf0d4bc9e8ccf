"""Completions, scores, speed, experiments and the report of it all: `python -m eval COMMAND`."""

import importlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from bytelm import Command, leave, main


class _Commands(Mapping[str, Callable[..., Command]]):
    """A command's module is imported when it is asked for: most need torch, or plots."""

    def __init__(self, classes: dict[str, str]) -> None:
        self._classes = classes

    def __getitem__(self, name: str) -> Any:
        command = self._classes[name]
        return getattr(importlib.import_module(f"eval.{name.replace('-', '_')}"), command)

    def __iter__(self) -> Iterator[str]:
        return iter(self._classes)

    def __len__(self) -> int:
        return len(self._classes)


COMMANDS = _Commands(
    {
        "complete": "Complete",
        "grade": "Grade",
        "bits": "Bits",
        "speed": "Speed",
        "bench": "Bench",
        "step": "Step",
        "sweep": "Sweep",
        "training-time": "TrainingTime",
        "peers": "Peers",
        "divergence": "Divergence",
        "induction": "Induction",
        "arithmetic": "Arithmetic",
        "report": "Report",
        "readme": "Readme",
    }
)

if __name__ == "__main__":
    leave(main("eval", __doc__, COMMANDS))
