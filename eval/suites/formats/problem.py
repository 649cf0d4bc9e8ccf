"""Problem: what a model completes, and how the completion becomes a program that is tested."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["check", "asserts", "doctest", "stdio", "program"]


@dataclass(frozen=True)
class Problem:
    """A model completes `prompt`; `program` makes a program of the completion.

    How the program is tested depends on `kind`:

        check    `test` defines check(), which is called with the function `entry_point`
        asserts  `test` is Python that is run after the program; `entry_point` is the function in it
        doctest  `test` is text with examples of the module doctest, which the program must show
        stdio    for each of `examples`, the program reads its input and must print its output
        program  program and `test` are one program in `language`; exit status 0 is a pass

    `level` and `family` group the problems of a suite that has such groups; otherwise empty.
    """

    task_id: str
    prompt: str
    canonical_solution: str
    """A completion that passes; empty where none is published."""
    test: str
    entry_point: str
    level: str = ""
    family: str = ""
    suffix: str = ""
    """Infilling: the text that follows the completion."""
    kind: Kind = "check"
    examples: tuple[tuple[str, str], ...] = ()
    """What the program reads from stdin, and what it must print to stdout."""
    language: str = "python"
    """The program's language: python, cpp, go, java, js, perl, sh, or another one by the name that
    its file has for it."""
    stops: tuple[str, ...] = ()
    """The problem's own stops: what ends a completion."""
    closing: str = ""
    """What belongs behind a completion that one of the own stops ended: a line's newline."""
    frame: tuple[str, str] | None = None
    """The program's text before and after the completion; None: `prompt` and `suffix`."""

    def program(self, completion: str) -> str:
        """The program without `test`: the text that the completion belongs into, with it."""
        before, after = (self.prompt, self.suffix) if self.frame is None else self.frame
        return before + completion + after


@dataclass(frozen=True)
class LeftOut:
    """What is said of a row that is a problem, but none that can be graded here."""

    reason: str
