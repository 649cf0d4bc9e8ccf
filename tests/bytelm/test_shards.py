"""The shard format: what goes in comes out, and damage is named."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bytelm.shards import InputError, ShardWriter, Split, cuts, read_manifest


def write(folder: Path, documents: list[bytes], shard_bytes: int = 100) -> Path:
    with ShardWriter(folder, shard_bytes) as writer:
        for index, document in enumerate(documents):
            writer.add("train" if index % 3 else "held_out", f"{index}.py", document)
        writer.finish({"source": {"made": "here"}})
    return folder


@settings(max_examples=25, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=80), min_size=2, max_size=30))
def test_documents_come_back(
    tmp_path_factory: pytest.TempPathFactory, documents: list[bytes]
) -> None:
    folder = write(tmp_path_factory.mktemp("shards") / "s", documents)
    for split, chosen in (
        ("train", [d for i, d in enumerate(documents) if i % 3]),
        ("held_out", documents[::3]),
    ):
        found = Split(folder, split)
        assert [document.tobytes() for document in found] == chosen
        assert found.lengths_N.tolist() == [len(document) for document in chosen]
        assert found.bytes == sum(map(len, chosen))
        assert len(found.names()) == len(found) == len(chosen)


def test_several_shards_are_written_and_memory_mapped(tmp_path: Path) -> None:
    folder = write(tmp_path / "s", [bytes([n]) * 60 for n in range(12)])
    assert len(read_manifest(folder)["splits"]["train"]["shards"]) == 4
    assert isinstance(Split(folder, "train").document(0).base, np.memmap)


def test_the_same_documents_give_the_same_bytes(tmp_path: Path) -> None:
    one, other = (write(tmp_path / name, [b"a" * 70, b"bc", b"d" * 50]) for name in "xy")
    files = sorted(path.name for path in one.iterdir())
    assert files == sorted(path.name for path in other.iterdir())
    for name in files:
        assert (one / name).read_bytes() == (other / name).read_bytes()


def test_an_error_leaves_what_was_there_and_nothing_else(tmp_path: Path) -> None:
    folder = write(tmp_path / "s", [b"old", b"older"])
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def fail() -> None:
        with ShardWriter(folder) as writer:
            writer.add("train", "x", b"new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["s"]


def test_writing_again_replaces(tmp_path: Path) -> None:
    write(tmp_path / "s", [b"old", b"older"])
    folder = write(tmp_path / "s", [b"new", b"newer"])
    assert Split(folder, "held_out").document(0).tobytes() == b"new"
    assert [path.name for path in tmp_path.iterdir()] == ["s"]


def test_not_a_shard_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has no manifest.json.*make one with"):
        Split(tmp_path, "train")
    with pytest.raises(InputError, match="does not exist"):
        Split(tmp_path / "nowhere", "train")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"format": "other", "splits": {}}'])
def test_a_damaged_manifest(tmp_path: Path, content: bytes) -> None:
    folder = write(tmp_path / "s", [b"a", b"b"])
    (folder / "manifest.json").write_bytes(content)
    with pytest.raises(InputError, match="build the shards again"):
        Split(folder, "train")


@pytest.mark.parametrize("ending", ["bin", "offsets.npy"])
@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_a_damaged_shard(tmp_path: Path, ending: str, damage: str) -> None:
    folder = write(tmp_path / "s", [b"a" * 30, b"b" * 30])
    path = folder / f"train-00000.{ending}"
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-9])
    else:
        path.unlink()
    with pytest.raises(InputError, match="build the shards again"):
        Split(folder, "train")


def test_the_hash_says_which_data_it_is(tmp_path: Path) -> None:
    one = Split(write(tmp_path / "a", [b"1", b"22"]), "train").sha256
    assert one == Split(write(tmp_path / "b", [b"1", b"22"]), "train").sha256
    assert one != Split(write(tmp_path / "c", [b"1", b"23"]), "train").sha256


def test_the_manifest_is_plain_json(tmp_path: Path) -> None:
    manifest = json.loads((write(tmp_path / "s", [b"a", b"b"]) / "manifest.json").read_text())
    assert manifest["source"] == {"made": "here"}
    assert manifest["splits"]["train"]["documents"] == 1


@pytest.mark.medium
def test_cuts_are_spread_over_the_text(shards: Path) -> None:
    split = Split(shards, "held_out")
    text = b"".join(document.tobytes() for document in split)
    prompts = split.cuts(5, 100)
    assert prompts[0] == text[:100]
    assert text.index(prompts[4]) + 100 > len(text) - 5
    assert all(prompt in text for prompt in prompts)
    assert split.cuts(1, 100) == [text[:100]]
    assert len(set(split.cuts(len(text) - 99, 100))) > 1000
    with pytest.raises(InputError, match="too few for"):
        split.cuts(len(text) - 98, 100)
    with pytest.raises(InputError, match="less than one prompt"):
        split.cuts(5, len(text) + 1)


def test_a_writer_that_is_not_finished_says_so(tmp_path: Path) -> None:
    folder = write(tmp_path / "s", [b"old", b"older"])
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(InputError, match="were not finished"), ShardWriter(folder) as writer:
        writer.add("train", "x", b"new")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["s"]


def test_a_disk_that_is_full_at_the_end_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: ShardWriter) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ShardWriter, "_close_files", full)
    with pytest.raises(OSError, match="No space left"):
        write(tmp_path / "s", [b"a", b"b"])
    assert list(tmp_path.iterdir()) == []
    # What went wrong first is what is said.
    with pytest.raises(KeyError), ShardWriter(tmp_path / "s"):
        raise KeyError
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("other", ["notes.txt", ".hidden", "train-00001.bin", "folder/"])
def test_a_folder_that_holds_anything_else_is_not_replaced(tmp_path: Path, other: str) -> None:
    folder = write(tmp_path / "s", [b"old", b"older"])
    if other.endswith("/"):
        (folder / other).mkdir()
    else:
        (folder / other).write_text("mine")
    before = sorted(path.name for path in folder.iterdir())
    with pytest.raises(InputError, match=rf"not shards \({other.rstrip('/')}\)"):
        ShardWriter(folder).__enter__()
    assert sorted(path.name for path in folder.iterdir()) == before
    assert [path.name for path in tmp_path.iterdir()] == ["s"]


@pytest.mark.parametrize(
    "content",
    [b"", b"[1]", b'{"name": "a web app"}', b'{"format": "bytelm-shards-1"}',
     b'{"format": "bytelm-shards-1", "splits": {"train": {"shards": [{}]}}}'],
)  # fmt: skip
def test_a_manifest_of_others_makes_no_shard_folder(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "manifest.json").write_bytes(content)
    with pytest.raises(InputError, match=r"not shards \(manifest.json\)"):
        ShardWriter(tmp_path).__enter__()
    assert (tmp_path / "manifest.json").read_bytes() == content


@pytest.mark.medium
@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.binary(min_size=1, max_size=60), min_size=3, max_size=9),
    st.integers(1, 5), st.integers(1, 60),
)  # fmt: skip
def test_cuts_of_shards_are_those_of_the_joined_text(
    tmp_path_factory: pytest.TempPathFactory, documents: list[bytes], count: int, size: int
) -> None:
    folder = write(tmp_path_factory.mktemp("cuts") / "s", documents)
    split = Split(folder, "train")
    text = b"".join(document.tobytes() for document in split)
    if len(text) >= size + count - 1:
        assert split.cuts(count, size) == cuts(text, count, size, "text")


def test_stages_are_counted_and_are_part_of_the_identity(tmp_path: Path) -> None:
    def written(name: str, sizes: list[int]) -> Split:
        with ShardWriter(tmp_path / name, shard_bytes=5) as writer:
            writer.begin_stage("train")
            for size in sizes:
                for _ in range(size):
                    writer.add("train", "a", b"abc")
                writer.begin_stage("train")
            writer.add("held_out", "b", b"def")
            writer.finish({})
        return Split(tmp_path / name, "train")

    two, one = written("two", [2, 3]), written("one", [5])
    assert (two.stages, one.stages) == ([2, 3], [5])
    assert two.sha256 != one.sha256
    assert "stages" not in read_manifest(tmp_path / "one")["splits"]["train"]


@pytest.mark.parametrize("stages", ["[1, 2]", "[4]", '"all"', "[-1, 4]"])
def test_stages_that_are_not_those_of_the_documents(tmp_path: Path, stages: str) -> None:
    folder = write(tmp_path / "s", [b"a", b"b", b"c"])
    path = folder / "manifest.json"
    path.write_text(path.read_text().replace('"documents"', f'"stages": {stages}, "documents"', 1))
    with pytest.raises(InputError, match="stages"):
        Split(folder, "train")
