"""Merging: parts that are missing, damaged, or of different runs, and what stays then."""

import json
import shutil
from pathlib import Path

import pytest
from datatrove.data import Document
from scaling import contents, in_tasks, merged, program

from bytelm.toolkit import InputError
from data.scale import Choices, MergeParts, ReadFolder, TakeSteps, WriteParts


@pytest.fixture
def work(folder: Path, tmp_path: Path) -> Path:
    """A work folder after two tasks."""
    path = tmp_path / "work"
    in_tasks(lambda: [ReadFolder(folder, path, files_per_part=12), WriteParts(path)], 2)
    return path


def refused(work: Path, why: str) -> None:
    """The parts are not merged, and the shards that were there stay."""
    out = work.with_name("shards")
    before = contents(out) if out.exists() else None
    with pytest.raises(InputError, match=why):
        merged(work, out)
    assert (contents(out) if out.exists() else None) == before
    # Nothing half written is left beside them.
    assert not [path for path in out.parent.iterdir() if path.name.startswith(".shards")]


def test_no_parts(tmp_path: Path) -> None:
    refused(tmp_path / "work", "holds no parts; run a pipeline with WriteParts first")


@pytest.mark.parametrize("damage", ["texts", "digests", "about.json", "cut", "folder"])
def test_a_part_that_is_missing_or_damaged(work: Path, damage: str) -> None:
    merged(work, work.with_name("shards"))
    part = work / "parts" / "00001-000001"
    if damage == "folder":
        shutil.rmtree(part)
    elif damage == "cut":
        (part / "texts").write_bytes((part / "texts").read_bytes()[:-1])
    else:
        (part / damage).unlink()
    refused(work, "00001-000001 is missing or damaged, as 1 of 5 parts are; remove the work")


def test_counts_that_do_not_go_together(work: Path) -> None:
    counts = work / "counts" / "parts-00001.json"
    whole = json.loads(counts.read_text())
    counts.unlink()
    refused(work, "1 of 2 tasks have not ended, the first of them task 1")
    counts.write_text(json.dumps({**whole, "tasks": 3}))
    refused(work, "counts of runs with 2 and 3 tasks")
    for damage in ("{", "[]", '{"tasks": 2}'):
        counts.write_text(damage)
        refused(work, "run its task again")


@pytest.mark.medium
def test_tasks_with_different_choices(folder: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    for rank, choices in enumerate((Choices(), Choices(secrets="replace"))):
        read = ReadFolder(folder, work).run(None, rank, 2)
        list(WriteParts(work).run(TakeSteps(work, choices).run(read, rank, 2), rank, 2))
    refused(work, "tasks 0 and 1 differ in choices of the step 'steps'")


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_documents(count: int, tmp_path: Path) -> None:
    documents = [Document(text=program(at), id=str(at)) for at in range(count)]
    list(WriteParts(tmp_path / "work").run(documents))
    refused(tmp_path / "work", "one document alone" if count else "no document to build")


def test_a_place_that_is_taken(work: Path, tmp_path: Path) -> None:
    """It is told before any part is read."""
    (tmp_path / "shards").mkdir()
    (tmp_path / "shards" / "mine").write_text("mine")
    shutil.rmtree(work / "parts")
    refused(work, "mine")


def test_wrong_options(work: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="takes one task, not 2"):
        list(MergeParts(work, tmp_path / "shards").run(None, 0, 2))
    for percent in (0, 100, 500, float("nan")):
        with pytest.raises(InputError, match="held_out_percent"):
            MergeParts(work, tmp_path / "shards", held_out_percent=percent)
