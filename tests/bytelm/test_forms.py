"""JSON of the wrong form is damage, in one line with file and key; an unknown format is not."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import bytelm_command, one_line, random_model, small_config, write_rows

from bytelm.base.errors import InputError
from bytelm.base.options import check_names
from bytelm.checkpoint import (
    DamagedError,
    check_checkpoint,
    find_checkpoint,
    load_checkpoint,
    newest_whole,
    read_about,
    save_checkpoint,
)
from bytelm.config import ModelConfig
from bytelm.forms import UnknownFormatError
from bytelm.shards import ShardWriter, Split, read_manifest

Change = Callable[[Any], object]


def setting(*path: str | int, to: object) -> Change:
    """Set the value at `path`."""

    def change(value: Any) -> object:
        inner = value
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = to
        return value

    return change


def without(*path: str | int) -> Change:
    """Remove the value at `path`."""

    def change(value: Any) -> object:
        inner = value
        for key in path[:-1]:
            inner = inner[key]
        del inner[path[-1]]
        return value

    return change


def edit(path: Path, change: Change) -> Path:
    path.write_text(json.dumps(change(json.loads(path.read_bytes()))))
    return path


def save(run: Path, step: int) -> Path:
    model = random_model(small_config())
    state = model.state_dict()
    return save_checkpoint(run / "checkpoints", step, model.config, state, {}, {"bytes": step})


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("whole")
    save(run, 1)
    save(run, 2)
    return run


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Path:
    return shutil.copytree(whole, tmp_path / "run")


SHA = "0" * 64
WEIGHTS = ("files", "model.safetensors")
ENTRY = {"bytes": 1, "sha256": SHA}


@pytest.mark.parametrize(
    ("change", "key"),
    [
        (lambda _: [1], "a JSON object is needed"),
        (lambda _: None, "a JSON object is needed"),
        (without("model"), "'model' is missing"),
        (without("progress"), "'progress' is missing"),
        (without("files"), "'files' is missing"),
        (without("format"), "'format' is missing"),
        (setting("format", to=None), "'format' "),
        (setting("format", to=[]), "'format' "),
        (setting("step", to=None), "'step' "),
        (setting("step", to=-1), "'step' "),
        (setting("step", to=True), "'step' "),
        (setting("step", to=1.5), "'step' "),
        (setting("step", to="1"), "'step' "),
        (setting("step", to=10**30), "'step' "),
        (setting("model", to=[1]), "'model' "),
        (setting("progress", to=None), "'progress' "),
        (setting("progress", to=[]), "'progress' "),
        (setting("sharded", to="yes"), "'sharded' "),
        (setting("infilling", to=1.5), "'infilling' "),
        (setting("infilling", to=True), "'infilling' "),
        (setting("files", to=[]), "'files' "),
        (setting("files", to={}), "'files' "),
        (setting("files", to={"x": ENTRY}), "'files.model.safetensors' is missing"),
        (setting(*WEIGHTS, to=5), "'files.model.safetensors' "),
        (setting(*WEIGHTS, "bytes", to="x"), "'files.model.safetensors.bytes' "),
        (setting(*WEIGHTS, "bytes", to=-1), "'files.model.safetensors.bytes' "),
        (setting(*WEIGHTS, "sha256", to="x"), "'files.model.safetensors.sha256'"),
        (without(*WEIGHTS, "sha256"), "'files.model.safetensors.sha256' is miss"),
        (setting("files", "../model.safetensors", to=ENTRY), "'files.../model.safetensors"),
        (setting("files", "a/b", to=ENTRY), "'files.a/b"),
        (setting("files", "/etc/passwd", to=ENTRY), "'files./etc/passwd"),
        (setting("files", "..", to=ENTRY), "'files..."),
        (setting("files", "", to=ENTRY), "'files."),
    ],
)  # fmt: skip
def test_checkpoint_json(
    run: Path, change: Change, key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = run / "checkpoints" / "step-000000002"
    path = edit(bad / "checkpoint.json", change)
    for read in (read_about, check_checkpoint, find_checkpoint, load_checkpoint):
        with pytest.raises(DamagedError) as caught:
            read(bad)
        assert str(caught.value).startswith(f"{path} is damaged: {key}")
        assert "\n" not in str(caught.value)
    # In a run, the one before is taken, and this is said.
    good = run / "checkpoints" / "step-000000001"
    assert find_checkpoint(run) == good
    assert f"passing over a checkpoint: {path} is damaged: {key}" in capsys.readouterr().err
    assert newest_whole(run / "checkpoints") == (good, read_about(good))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)
FUNCTION_FIXTURE = settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.mark.parametrize("sign", ["\n", "\r", "\x1c", "\x85", "\u2028", "\x1b"])
def test_an_unknown_name_does_not_break_the_line(sign: str) -> None:
    with pytest.raises(InputError) as caught:
        check_names({f"wid{sign}th": 1}, ModelConfig, "model.")
    assert str(caught.value).isprintable()


@pytest.mark.medium
@FUNCTION_FIXTURE
@given(key=st.sampled_from(["format", "step", "model", "progress", "files", "sharded"]), value=JSON)
def test_any_value_of_a_key_is_whole_or_one_line(run: Path, key: str, value: object) -> None:
    folder = run / "checkpoints" / "step-000000002"
    text, lines = (folder / "checkpoint.json").read_text(), ["loaded"]
    try:
        edit(folder / "checkpoint.json", setting(key, to=value))
        load_checkpoint(folder)
    except InputError as error:
        lines = str(error).splitlines()
    finally:
        (folder / "checkpoint.json").write_text(text)
    assert len(lines) == 1


@pytest.mark.parametrize("name", ["bytelm-checkpoint-2", "other", 2])
@pytest.mark.parametrize("newest", [True, False])
def test_an_unknown_format_is_refused_with_its_name(
    run: Path, tmp_path: Path, name: str | int, newest: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = run / "checkpoints" / "step-000000002"
    # A newer format may have other keys, too.
    (folder / "checkpoint.json").write_text(json.dumps({"format": name, "tensors": []}))
    before = sorted(run.rglob("*"))
    where = run if newest else folder
    for read in (find_checkpoint, load_checkpoint):
        with pytest.raises(UnknownFormatError, match=f"has the format {name!r}"):
            read(where)
    with pytest.raises(UnknownFormatError, match="reads 'bytelm-checkpoint-1'"):
        newest_whole(run / "checkpoints")
    prompts = write_rows(tmp_path / "prompts.jsonl", [{"id": 1, "prompt": "x"}])
    export = ("export", "--format", "bytelm", "--out", str(tmp_path / "out"))
    generate = ("generate", "--prompts", str(prompts), "--max-bytes", "1")
    for words in (export, generate):
        assert bytelm_command(words[0], "--checkpoint", str(where), *words[1:]) == 2
        assert f"has the format {name!r}" in one_line(capsys.readouterr().err)
    assert sorted(run.rglob("*")) == before


def write_shards(folder: Path) -> Path:
    with ShardWriter(folder) as writer:
        for index in range(4):
            writer.add("held_out" if index == 3 else "train", f"{index}.py", b"ab" * (index + 1))
        writer.finish({})
    return folder


SHARD = ("splits", "train", "shards", 0)


@pytest.mark.parametrize(
    ("change", "key"),
    [
        (lambda _: [1], "a JSON object is needed"),
        (without("splits"), "'splits' is missing"),
        (setting("splits", to=[]), "'splits' "),
        (without("splits", "train"), "'splits.train' is missing"),
        (setting("splits", "more", to={}), "'splits.more' "),
        (setting("splits", "train", to=None), "'splits.train' "),
        (setting("splits", "train", "shards", to={}), "'splits.train.shards' "),
        (setting("splits", "train", "documents", to="3"), "'splits.train.documents' "),
        (setting("splits", "train", "documents", to=7), "'splits.train.documents' is not the sum"),
        (setting("splits", "train", "bytes", to=True), "'splits.train.bytes' "),
        (setting(*SHARD, to=5), "'splits.train.shards[0]' "),
        (without(*SHARD, "files"), "'splits.train.shards[0].files' is missing"),
        (without(*SHARD, "sha256"), "'splits.train.shards[0].sha256' is missing"),
        (setting(*SHARD, "files", to=[1]), "'splits.train.shards[0].files' "),
        (without(*SHARD, "files", "bin"), "'splits.train.shards[0].files.bin' is missing"),
        (without(*SHARD, "files", "offsets.npy"), "'splits.train.shards[0].files.offsets.npy' is"),
        (setting(*SHARD, "files", "bin", to="../x.bin"), "'splits.train.shards[0].files.bin' "),
        (setting(*SHARD, "files", "bin", to="/etc/passwd"), "'splits.train.shards[0].files.bin' "),
        (setting(*SHARD, "files", "names.json", to=1), "'splits.train.shards[0].files.names.json'"),
        (setting(*SHARD, "sha256", "bin", to="short"), "'splits.train.shards[0].sha256.bin' "),
        (setting(*SHARD, "documents", to=0), "'splits.train.shards[0].documents' "),
        (setting(*SHARD, "bytes", to=-12), "'splits.train.shards[0].bytes' "),
    ],
)  # fmt: skip
def test_manifest_json(tmp_path: Path, change: Change, key: str) -> None:
    folder = write_shards(tmp_path / "s")
    path = edit(folder / "manifest.json", change)
    for read in (read_manifest, lambda folder: Split(folder, "train")):
        with pytest.raises(DamagedError) as caught:
            read(folder)
        assert str(caught.value).startswith(f"{path} is damaged: {key}")
        assert str(caught.value).endswith("; build the shards again")
        assert "\n" not in str(caught.value)


def test_shards_of_a_newer_format_are_refused(tmp_path: Path) -> None:
    folder = write_shards(tmp_path / "s")
    edit(folder / "manifest.json", lambda _: {"format": "bytelm-shards-2", "parts": []})
    with pytest.raises(UnknownFormatError, match="'bytelm-shards-2', and this version"):
        Split(folder, "train")


@pytest.mark.parametrize(
    ("offsets", "words"),
    [
        (np.array([0, 2, 6, 12], dtype=np.int32), "int32 of shape"),
        (np.array([0, 2, 6, 12], dtype=np.float64), "float64 of shape"),
        (np.array([[0, 2], [6, 12]], dtype=np.int64), r"of shape \(2, 2\)"),
        (np.array(0, dtype=np.int64), r"of shape \(\)"),
        (np.array([], dtype=np.int64), r"of shape \(0,\)"),
        (np.array([0, 2, 12], dtype=np.int64), r"of shape \(3,\)"),
        (np.array([0, 6, 2, 12], dtype=np.int64), "do not rise"),
        (np.array([0, 2, 2, 12], dtype=np.int64), "do not rise"),
        (np.array([1, 2, 6, 12], dtype=np.int64), "do not rise"),
        (np.array([0, 2, 6, 13], dtype=np.int64), "do not rise"),
        # A difference of these does not fit 64 bits.
        (np.array([0, 2**63 - 1, -(2**63) + 1, 12], dtype=np.int64), "do not rise"),
    ],
)
def test_offsets(tmp_path: Path, offsets: np.ndarray[Any, Any], words: str) -> None:
    folder = write_shards(tmp_path / "s")
    path = folder / "train-00000.offsets.npy"
    np.save(path, offsets)
    with pytest.raises(
        InputError, match=f"^{path} is damaged: .*{words}.*; build the shards again"
    ):
        Split(folder, "train")


def _header(shape: str) -> bytes:
    text = f"{{'descr': '<i8', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


@pytest.mark.parametrize(
    "content",
    [b"", b"x" * 200, b"PK\x03\x04" + bytes(99), _header("(1" + "0" * 15 + ",)"), _header("(((")],
)
def test_offsets_that_are_no_array(tmp_path: Path, content: bytes) -> None:
    folder = write_shards(tmp_path / "s")
    path = folder / "train-00000.offsets.npy"
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"^{path} is damaged: .*; build the shards again$"):
        Split(folder, "train")


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"{}", b"5", b'["a"]', b'["a", "b", 3]'])
def test_names(tmp_path: Path, content: bytes) -> None:
    folder = write_shards(tmp_path / "s")
    path = folder / "train-00000.names.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"^{path} is damaged: .*; build the shards again$"):
        Split(folder, "train").names()
