"""What tests of datatrove's pipelines share: texts, pipelines of two steps, and what comes out."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from datatrove.executor import LocalPipelineExecutor

from bytelm.shards import Split
from data.scale import Choices, MergeParts, ReadFolder, TakeSteps, WriteParts

CHOICES = Choices(generated_files="drop", secrets="replace")
MAX_FILE_BYTES = 50_000


def program(number: int, count: int = 30) -> str:
    """A function of its own words: datatrove takes all numbers for the same."""
    rng = random.Random(number)
    words = ["".join(rng.choices("abcdefgh", k=6)) for _ in range(3 * count)]
    triples = zip(words[::3], words[1::3], words[2::3], strict=True)
    lines = [f"    {a} = {b}({c}, a)\n" for a, b, c in triples]
    return f"def function_{number}(a):\n{''.join(lines)}    return a\n"


def steps_for(folder: Path, work: Path) -> list[Any]:
    """The steps from a folder to parts, near duplicates included."""
    return [
        ReadFolder(folder, work, max_file_bytes=MAX_FILE_BYTES, files_per_part=12),
        TakeSteps(work, CHOICES),
        WriteParts(work, signed=True),
    ]


def run(steps: list[Any], logs: Path, tasks: int = 1, workers: int = 1) -> None:
    """Run a pipeline here."""
    LocalPipelineExecutor(steps, tasks=tasks, workers=workers, logging_dir=str(logs)).run()


def scaled(folder: Path, work: Path, out: Path, tasks: int, workers: int = 1) -> None:
    """Build shards of a folder with so many tasks."""
    run(steps_for(folder, work), work / "logs", tasks, workers)
    run([MergeParts(work, out)], Path(f"{work}-merge"))


def in_tasks(pipeline: Callable[[], list[Any]], tasks: int) -> None:
    """Run new steps for each task, without an executor's logs and signs."""
    for rank in range(tasks):
        data: Any = None
        for step in pipeline():
            data = step.run(data, rank, tasks)
        for _ in data:
            pass


def merged(work: Path, out: Path, **options: Any) -> Path:
    """The shards of the parts in a work folder."""
    for _ in MergeParts(work, out, **options).run():
        pass
    return out


def contents(folder: Path) -> dict[str, bytes]:
    """The files of a shard folder by name."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def names(folder: Path) -> set[str]:
    """The names of all documents of a shard folder."""
    return {name for split in ("train", "held_out") for name in Split(folder, split).names()}
