"""Make the parts of packages on several processes. Those that are there are not made again."""

import hashlib
import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from bytelm.toolkit import progress_bar, say, usable_cores
from data.packages.fetch import Wheel
from data.packages.part import PartWriter
from data.packages.wheel import DAMAGE, Sources
from data.steps.judge import Steps


@dataclass(frozen=True)
class Limits:
    """What a package may give."""

    max_file_bytes: int
    max_package_bytes: int | None = None


@dataclass(frozen=True)
class Task:
    """How parts are made. It is sent to the processes once."""

    folder: Path
    steps: Steps
    limits: Limits


def parts_of(wheels: Sequence[Wheel], task: Task, processes: int) -> Iterator[Path]:
    """The folders of the wheels' parts, in the order of the wheels, when all are made.

    A wheel that is damaged is named, and has a part without documents. `processes`: 0 for all
    cores. The parts are the same for any number.
    """
    # The largest first, so that no process is left with it at the end.
    todo = sorted(wheels, key=lambda wheel: wheel.path.stat().st_size, reverse=True)
    count = min(processes or usable_cores(), len(todo))
    with progress_bar(total=len(todo), desc="reading", unit=" packages", leave=False) as bar:
        for why in _made(todo, task, count):
            if why:
                say(why)
            bar.update(1)
    yield from (_folder(task, wheel) for wheel in wheels)


def _made(wheels: Sequence[Wheel], task: Task, processes: int) -> Iterator[str]:
    if processes == 1:
        yield from (make_part(wheel, task) for wheel in wheels)
        return
    begin = (os.getpid(), task)
    with ProcessPoolExecutor(processes, initializer=_begin_worker, initargs=begin) as pool:
        try:
            for one in as_completed([pool.submit(_make, wheel) for wheel in wheels]):
                yield one.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


_task: list[Task] = []


def _begin_worker(parent: int, task: Task) -> None:
    """Leave signals to the parent process, and end with it even if it is killed."""
    _task[:] = [task]
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.2)
    os._exit(1)


def _make(wheel: Wheel) -> str:
    return make_part(wheel, _task[0])


def _folder(task: Task, wheel: Wheel) -> Path:
    return task.folder / wheel.package


def make_part(wheel: Wheel, task: Task) -> str:
    """Make the part of a wheel, if it is not there. Returns what is to be said about it, or ""."""
    with wheel.path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    limits = [task.limits.max_file_bytes, task.limits.max_package_bytes]
    key = hashlib.sha256(json.dumps([sha256, limits, task.steps.key, _code()]).encode()).hexdigest()
    folder = _folder(task, wheel)
    if _is_made(folder, key):
        return ""
    package = {
        "name": wheel.package,
        "version": str(wheel.version),
        "wheel": wheel.path.name,
        "sha256": sha256,
    }
    about = {"key": key, "package": package}
    steps = replace(task.steps, replaced=Counter())
    with PartWriter(folder, steps.choices.near_duplicates == "drop") as part:
        try:
            sources = Sources(wheel, *limits)  # type: ignore[arg-type]
        except DAMAGE as error:
            part.finish({**about, "damaged": str(error)})
            return (
                f"left out {wheel.path.name}: it is damaged ({error}); delete it to fetch it anew"
            )
        with sources:
            _fill(part, sources, steps)
            package["licence"] = sources.licence.said or sources.licence.kind
            part.finish(
                {
                    **about,
                    "rejected": sources.rejected,
                    "rejected_bytes": sources.rejected_bytes,
                    "passed_over": sources.passed_over,
                    "replaced": steps.replaced,
                }
            )
    return ""


def _fill(part: PartWriter, sources: Sources, steps: Steps) -> None:
    for document in sources.files():
        reason = steps.reason(document, sources.licence)
        if reason is None:
            part.add(document.name, steps.text(document))
        else:
            sources.rejected[reason] += 1
            sources.rejected_bytes[reason] += len(document.content)


def _is_made(folder: Path, key: str) -> bool:
    try:
        return bool(json.loads((folder / "about.json").read_bytes())["key"] == key)
    except (OSError, ValueError, KeyError, TypeError):
        return False


@cache
def _code() -> str:
    """A hash of the code of this room: parts that other code made are made again."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parents[1].rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()
