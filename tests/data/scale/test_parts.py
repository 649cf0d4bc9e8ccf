"""Parts of documents that datatrove's readers read: their order, groups and names."""

import json
import shutil
import sys
from pathlib import Path

import pytest
from datatrove.data import Document
from datatrove.pipeline.readers import JsonlReader
from scaling import contents, in_tasks, merged, names, program
from support import write_rows

from bytelm.shards import Split
from bytelm.toolkit import InputError
from data.scale import MergeParts, TakeSteps, WriteParts


def rows(path: Path, files: int = 2, each: int = 10) -> Path:
    """Files of rows as datatrove's reader takes them, of five repositories."""
    path.mkdir()
    for file in range(files):
        texts = [(f"{file}/{at}", program(each * file + at), f"r{at % 5}") for at in range(each)]
        keyed = [{"text": text, "id": name, "repo": repo} for name, text, repo in texts]
        write_rows(path / f"{file}.jsonl", keyed)
    return path


@pytest.mark.medium
def test_rows_of_a_repository_stay_together(tmp_path: Path) -> None:
    work, out = tmp_path / "work", tmp_path / "shards"
    folder = str(rows(tmp_path / "rows"))
    in_tasks(lambda: [JsonlReader(folder), TakeSteps(work, rows=True), WriteParts(work, "repo")], 2)
    merged(work, out, held_out_percent=30, source={"dataset": "rows"})
    sides = {name: {int(one[-1]) % 5 for one in Split(out, name).names()}
             for name in ("train", "held_out")}  # fmt: skip
    assert sides["train"]
    assert sides["held_out"]
    assert not sides["train"] & sides["held_out"]
    assert sorted(sides["train"] | sides["held_out"]) == [0, 1, 2, 3, 4]
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["source"] == {"dataset": "rows"}
    assert "max_file_bytes" not in manifest


def test_in_the_order_of_files_the_number_of_tasks_changes_nothing(tmp_path: Path) -> None:
    folder, found = str(rows(tmp_path / "rows", files=5, each=4)), []
    work, out = tmp_path / "work", tmp_path / "shards"
    for tasks in (1, 2, 3):
        in_tasks(lambda: [JsonlReader(folder), WriteParts(work, order_by="file_path")], tasks)
        found.append(contents(merged(work, out)))
        shutil.rmtree(work)
    assert found[0] == found[1] == found[2]


def test_a_column_names_no_place(tmp_path: Path) -> None:
    """A dataset may have columns of any name and value."""
    work = tmp_path / "work" / "inner"
    texts = [Document(text=program(at), id=str(at)) for at in range(4)]
    for at, one in enumerate(texts):
        one.metadata = dict.fromkeys(("part", "bytelm_part", "path"), "../../evil")
        one.metadata["name"] = f"../{at}"
    for order_by, parts in ((None, 1), ("name", 4)):
        list(WriteParts(work, order_by=order_by).run(texts))
        assert [path.name for path in tmp_path.iterdir()] == ["work"]
        assert len(list((work / "parts").iterdir())) == parts
    assert names(merged(work, tmp_path / "shards")) == {"0", "1", "2", "3"}


def test_texts_that_are_none_are_counted(tmp_path: Path) -> None:
    texts = [program(0), "", "\ud800", program(1)]
    documents = [Document(text=text, id=str(at)) for at, text in enumerate(texts)]
    assert len(list(WriteParts(tmp_path / "work").run(documents))) == 2
    out = merged(tmp_path / "work", tmp_path / "shards")
    rejected = json.loads((out / "manifest.json").read_text())["rejected"]
    assert {reason: one["documents"] for reason, one in rejected.items()} == {
        "empty": 1, "not UTF-8": 1,
    }  # fmt: skip


def test_groups_that_cannot_be_split(tmp_path: Path) -> None:
    documents = [Document(text=program(at), id=str(at), metadata={"repo": "r"}) for at in range(3)]
    list(WriteParts(tmp_path / "work", split_by="repo").run(documents))
    with pytest.raises(InputError, match=r"of one group \(r\)"):
        list(MergeParts(tmp_path / "work", tmp_path / "shards").run())
    # Without a value each goes by its own name.
    documents[0].metadata["repo"] = None
    list(WriteParts(tmp_path / "work", split_by="repo").run(documents[:1] + documents[:1]))
    with pytest.raises(InputError, match="one document alone"):
        list(MergeParts(tmp_path / "work", tmp_path / "shards").run())


def test_a_key_that_documents_lack(tmp_path: Path) -> None:
    """A misspelled key would spread each repository over both splits."""
    documents = [Document(text=program(0), id="a", metadata={"repo": "r", "stars": 1})]
    steps = {
        "split_by": WriteParts(tmp_path, split_by="repository"),
        "order_by": WriteParts(tmp_path, order_by="repository"),
    }
    for option, step in steps.items():
        with pytest.raises(InputError, match=f"{option}: .* no 'repository'; they have: repo, st"):
            list(step.run(documents))


def test_without_rensa(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Before any task is begun."""
    monkeypatch.setitem(sys.modules, "rensa", None)
    with pytest.raises(InputError, match="rensa"):
        WriteParts(tmp_path, signed=True)
