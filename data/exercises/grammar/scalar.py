"""A function that is written out in equal ways, not made of a meaning's parts."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from data.exercises.grammar.meaning import behaviour, split_by


@dataclass(frozen=True)
class Scalar:
    """A function whose bodies are given: `{a}` and `{b}` are its arguments, `{f}` its own name.

    `says`: how "Return ..." goes on, in equal wordings.
    """

    key: str
    family: str
    level: int
    types: tuple[str, ...]
    names: tuple[tuple[str, ...], ...]
    hint: str
    says: tuple[str, ...]
    bodies: tuple[str, ...]
    compute: Callable[..., Any] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        names = ("a", "b", "c")[: len(self.types)]
        lines = self.bodies[0].format(f="reference", **{name: name for name in names})
        inside = "".join(f"    {line}\n" for line in lines.splitlines())
        space: dict[str, Any] = {}
        exec(f"def reference({', '.join(names)}):\n{inside}", space)
        object.__setattr__(self, "compute", space["reference"])

    @cached_property
    def behaviour(self) -> str:
        return behaviour(self.compute, self.types)

    @cached_property
    def split(self) -> str:
        """See `Meaning.split`: functions that do the same are in the same split."""
        return split_by(self.behaviour)
