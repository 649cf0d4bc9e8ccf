"""Tasks that share out a folder make the shards of one process."""

import json
import os
from pathlib import Path

import pytest
from scaling import (
    CHOICES,
    MAX_FILE_BYTES,
    contents,
    in_tasks,
    merged,
    names,
    program,
    scaled,
    steps_for,
)

from bytelm.toolkit import InputError
from data.build import Build
from data.scale import MergeParts, ReadFolder, WriteParts

pytestmark = pytest.mark.medium


@pytest.fixture
def plain(folder: Path, tmp_path: Path) -> dict[str, bytes]:
    """What one process makes of the folder."""
    Build(
        path=folder, out=tmp_path / "plain", max_file_bytes=MAX_FILE_BYTES,
        generated_files=CHOICES.generated_files, secrets=CHOICES.secrets, near_duplicates="drop",
    ).run()  # fmt: skip
    manifest = json.loads((tmp_path / "plain" / "manifest.json").read_text())
    assert set(manifest["rejected"]) >= {
        "duplicate", "near duplicate", "generated file", "too large", "empty", "link",
    }  # fmt: skip
    assert manifest["replaced"]
    return contents(tmp_path / "plain")


def test_two_tasks_make_the_shards_of_one_process(
    folder: Path, plain: dict[str, bytes], tmp_path: Path
) -> None:
    """In processes of their own, and byte for byte, the manifest included."""
    scaled(folder, tmp_path / "work", tmp_path / "scaled", tasks=2, workers=2)
    assert contents(tmp_path / "scaled") == plain


@pytest.mark.parametrize("tasks", [1, 3, 7])
def test_the_number_of_tasks_changes_nothing(
    folder: Path, plain: dict[str, bytes], tasks: int, tmp_path: Path
) -> None:
    """Seven tasks are more than there are blocks of files."""
    in_tasks(lambda: steps_for(folder, tmp_path / "work"), tasks)
    assert contents(merged(tmp_path / "work", tmp_path / "scaled")) == plain


def test_a_name_that_is_no_text(tmp_path: Path) -> None:
    root, work = tmp_path / "code", tmp_path / "work"
    root.mkdir()
    for number, name in enumerate((b"\xff\xe9.py", b"\xed\xa0\x80.py", b"a b\n.py", b"z.py")):
        Path(os.fsdecode(os.fsencode(root) + b"/" + name)).write_text(program(number))
    Build(path=root, out=tmp_path / "plain").run()
    in_tasks(lambda: [*steps_for(root, work)[:1], WriteParts(work)], 2)
    plain, found = contents(tmp_path / "plain"), contents(merged(work, tmp_path / "scaled"))
    del plain["manifest.json"], found["manifest.json"]
    assert found == plain


def test_a_work_folder_and_shards_below_the_folder_are_not_read(
    folder: Path, tmp_path: Path
) -> None:
    """Other tasks write there meanwhile, so that tasks would not see the same files."""
    work, out, found = folder / "a" / "work", folder / "a" / "shards", []
    expected = {path.relative_to(folder).as_posix() for path in folder.rglob("*")}
    for _ in range(2):
        in_tasks(lambda: [ReadFolder(folder, work, (), out=out), WriteParts(work)], 2)
        found.append(contents(merged(work, out)))
    assert found[0] == found[1]
    assert names(out) < expected


def test_tasks_that_saw_different_files(folder: Path, tmp_path: Path) -> None:
    """Blocks would move, and some files be read twice and others never."""
    work = tmp_path / "work"

    def steps(files_per_part: int = 12) -> list[object]:
        return [ReadFolder(folder, work, files_per_part=files_per_part), WriteParts(work)]

    in_tasks(steps, 2)
    (folder / "a.py").write_text(program(60))
    list(WriteParts(work).run(ReadFolder(folder, work, files_per_part=12).run(None, 1, 2), 1, 2))
    with pytest.raises(InputError, match="0 and 1 differ in files of the step 'read'"):
        list(MergeParts(work, tmp_path / "shards").run())
    list(WriteParts(work).run(ReadFolder(folder, work, files_per_part=9).run(None, 0, 2), 0, 2))
    with pytest.raises(InputError, match="differ in files_per_part of the step 'read'"):
        list(MergeParts(work, tmp_path / "shards").run())


def test_wrong_options(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="files_per_part must be at least 1, not 0"):
        ReadFolder(folder, tmp_path, files_per_part=0)
    with pytest.raises(InputError, match="nowhere is not a folder"):
        list(ReadFolder(tmp_path / "nowhere", tmp_path).run())
    with pytest.raises(InputError, match="ReadFolder must be the first step"):
        list(ReadFolder(folder, tmp_path).run(iter([])))


def test_one_suffix_may_stand_alone(folder: Path, tmp_path: Path) -> None:
    found = list(ReadFolder(folder, tmp_path, suffixes=".txt").run())
    assert [document.id for document in found] == ["notes.txt"]
