"""`python -m eval readme`: the tables of README and docs are made from sealed results."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bytelm.toolkit import InputError, say, write_text
from eval.report import tables

TRAINING = ("training-time.json", "gpu/training-time.json")
SPEED = ("small/speed.json", "gpu/speed.json")
# The table of each name: its maker, and the files in results/ that it is made from.
BLOCKS: dict[str, tuple[Callable[..., str], tuple[str, ...]]] = {
    "measured": (tables.measured, ("tiny.json",)),
    "speed": (tables.speed, SPEED),
    "speed-ranges": (tables.speed_ranges, (*SPEED, "small/speed-exercises.json")),
    "bench": (tables.bench, ("bench.json",)),
    "peers": (tables.peers, ("bench.json",)),
    "steps": (tables.steps, ("gpu/step-7b.json",)),
    "training": (tables.training, TRAINING),
    "training-heads": (tables.training_heads, TRAINING),
    "sweep": (tables.sweep, ("sweep.json",)),
    "bits": (tables.bits, ("small/bits.json",)),
    "agreement": (tables.agreement, ("agreement.json",)),
    "suites": (tables.suites, ("small/exercises.json", "small/humaneval.json", "small/micro.json")),
}


def marks(name: str) -> tuple[str, str]:
    """The lines of a page between which block `name` stands."""
    return f"<!-- {name}: begin -->", f"<!-- {name}: end -->"


def with_block(page: str, name: str, block: str) -> str:
    """`page` with what stands between the marks of `name` replaced by `block`.

    Raises InputError where the marks are not there, in this order.
    """
    begin_mark, end_mark = marks(name)
    begin, end = page.find(begin_mark), page.find(end_mark)
    if begin < 0 or end < begin:
        raise InputError(f"the page has no lines {begin_mark} and {end_mark} in this order")
    return f"{page[:begin]}{begin_mark}\n{block}\n{page[end:]}"


def made_block(name: str, results: Path) -> str:
    """The table `name`, made from its files in the folder `results`.

    Raises InputError where there is no such table, and where a file is missing or not what its
    command writes.
    """
    if name not in BLOCKS:
        raise InputError(f"there is no table {name!r}; the tables are {', '.join(BLOCKS)}")
    make, files = BLOCKS[name]
    paths = [results / file for file in files]
    try:
        return make(*(json.loads(path.read_bytes()) for path in paths))
    except OSError as error:
        raise InputError(f"{error.filename}: {error.strerror}") from error
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        said = ", ".join(map(str, paths))
        raise InputError(f"{said}: not what its command writes: {error!r}") from error


def filled(page: str, results: Path) -> str:
    """`page` with every table that it has a begin mark for made anew.

    Raises InputError where it has none.
    """
    names = re.findall(r"^<!-- ([a-z-]+): begin -->$", page, re.MULTILINE)
    if not names:
        raise InputError("the page has no mark of a table, such as <!-- speed: begin -->")
    for name in names:
        page = with_block(page, name, made_block(name, results))
    return page


@dataclass
class Readme:
    """Make the tables of pages anew, from sealed results, between their begin and end marks."""

    pages: tuple[Path, ...] = (
        Path("README.md"),
        Path("docs/results.md"),
        Path("docs/evaluation.md"),
    )
    """The pages to fill."""
    results: Path = Path("results")
    """The folder of sealed results."""

    def run(self) -> dict[str, list[str]]:
        changed = []
        for page in self.pages:
            try:
                text = page.read_text(encoding="utf-8")
            except OSError as error:
                raise InputError(f"{error.filename}: {error.strerror}") from error
            try:
                new = filled(text, self.results)
            except InputError as error:
                raise InputError(f"{page}: {error}") from error
            if new != text:
                write_text(page, new)
                changed.append(str(page))
            say(f"{page}: {'changed' if new != text else 'up to date'}")
        return {"pages": [str(page) for page in self.pages], "changed": changed}
