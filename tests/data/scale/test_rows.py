"""Tasks that share out a dataset's files make the shards of one process."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet
from scaling import contents, in_tasks, merged, program
from support import write_rows

from bytelm.toolkit import InputError
from data.build import Build
from data.scale import Choices, MergeParts, ReadRows, TakeSteps, WriteParts

pytestmark = pytest.mark.medium


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Good rows and bad ones, copies, a file of another column, and one of another format."""
    root = tmp_path / "rows"
    (root / "b").mkdir(parents=True)
    for file in range(3):
        write_rows(root / f"{file}.jsonl", ({"content": program(5 * file + at)} for at in range(6)))
    write_rows(root / "b" / "bad.jsonl", [{"content": None}, {"content": ""}, {"other": 1}])
    write_rows(root / "other.jsonl", [{"text": program(40)}])
    broken = {"content": f"def broken(:\n{program(41)}"}
    write_rows(root / "b" / "broken.jsonl", [broken, {"content": program(42)}])
    table: Any = pa.table({"content": [program(number) for number in range(50, 54)]})
    parquet.write_table(table, root / "b.parquet")
    (root / "notes.txt").write_text("no rows")
    (root / "empty.csv").write_text("")
    return root


@pytest.mark.parametrize("tasks", [1, 3, 9])
def test_the_shards_are_those_of_one_process(dataset: Path, tasks: int, tmp_path: Path) -> None:
    Build(dataset=dataset, out=tmp_path / "plain", syntax="drop").run()
    work = tmp_path / "work"
    choices = Choices(syntax="drop")
    in_tasks(lambda: [ReadRows(dataset, work), TakeSteps(work, choices), WriteParts(work)], tasks)
    plain, found = contents(tmp_path / "plain"), contents(merged(work, tmp_path / "scaled"))
    manifests = [json.loads(files.pop("manifest.json")) for files in (plain, found)]
    assert found == plain
    # Files have a limit, and rows another.
    del manifests[0]["max_file_bytes"]
    assert manifests[0] == manifests[1]
    assert set(manifests[0]["rejected"]) >= {
        "duplicate", "syntax", "no column", "empty", "not text", "ending .txt", "empty file",
    }  # fmt: skip


def test_a_column_that_no_file_has(dataset: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    in_tasks(lambda: [ReadRows(dataset, work, column="code"), WriteParts(work)], 2)
    with pytest.raises(InputError, match=r"no document to build shards of .* no column"):
        list(MergeParts(work, tmp_path / "shards").run())


def test_a_folder_without_rows(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no"):
        list(ReadRows(tmp_path, tmp_path / "work").run())
