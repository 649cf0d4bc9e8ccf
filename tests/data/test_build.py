"""The build command end to end: deterministic shards, stable splits, clear refusals."""

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet
from support import ROOT, data_command, python, wait_until, write_rows

from bytelm.shards import ShardWriter, Split, read_manifest
from data.build import Build
from data.splits import split_of


def corpus(folder: Path, count: int = 60) -> Path:
    folder.mkdir(parents=True)
    for index in range(count):
        (folder / f"module{index}.py").write_text(f"def function_{index}():\n    return {index}\n")
    return folder


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.medium
def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    one = corpus(tmp_path / "src")
    for name in "ab":
        done = python(
            "-m", "data", "build", "--path", str(one), "--out", str(tmp_path / name),
            env={**os.environ, "PYTHONHASHSEED": str(ord(name))},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    assert files_of(tmp_path / "a") == files_of(tmp_path / "b")


def test_without_filters_only_copies_and_empty_files_are_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = corpus(tmp_path / "src")
    (source / "copy.py").write_bytes((source / "module7.py").read_bytes())
    (source / "long.py").write_text("x = 1  #" + "a" * 2000)
    arguments = ["--path", str(source), "--out", str(tmp_path / "out"), "--no-filters"]
    assert data_command("build", *arguments) == 0
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert figures["documents"] == 61
    assert figures["rejected"] == {"duplicate": 1}
    assert read_manifest(tmp_path / "out")["filters"] is False


def test_the_figures_and_the_manifest_agree(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = corpus(tmp_path / "src")
    (source / "copy.py").write_bytes((source / "module7.py").read_bytes())
    (source / "empty.py").touch()
    (source / "long.py").write_text("x = 1  #" + "a" * 2000)
    (source / "notes.txt").write_text("not Python")
    assert data_command("build", "--path", str(source), "--out", str(tmp_path / "out")) == 0
    said = capsys.readouterr()
    assert "passed over files of other endings: 1" in said.err
    figures = json.loads(said.out.splitlines()[-1])
    manifest = read_manifest(tmp_path / "out")
    assert figures["documents"] == 60
    assert figures["rejected"] == {"duplicate": 1, "empty": 1, "longest line": 1}
    assert manifest["rejected"]["longest line"] == {"documents": 1, "bytes": 2008}
    assert manifest["splits"]["train"]["documents"] == figures["train_documents"]
    assert 0 < figures["held_out_documents"] < 15
    assert manifest["source"] == {"path": str(source), "suffixes": [".py"]}


def test_a_new_file_moves_no_other(tmp_path: Path) -> None:
    source = corpus(tmp_path / "src")
    Build(out=tmp_path / "a", path=source).run()
    (source / "aaa.py").write_text("import this_is_new\n")
    Build(out=tmp_path / "b", path=source).run()
    for split in ("train", "held_out"):
        before, after = (set(Split(tmp_path / name, split).names()) for name in "ab")
        assert before <= after
        assert after - before <= {"aaa.py"}


def test_the_split_follows_the_share() -> None:
    held_out = sum(split_of(f"{n}.py", 20) == "held_out" for n in range(5000))
    assert 900 < held_out < 1100


@pytest.mark.medium
@settings(max_examples=15, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=60), min_size=2, max_size=10, unique=True))
def test_any_bytes_come_through(
    tmp_path_factory: pytest.TempPathFactory, contents: list[bytes]
) -> None:
    folder = tmp_path_factory.mktemp("any")
    (folder / "src").mkdir()
    for index, content in enumerate(contents):
        # Letters enough to pass the filters, whatever follows.
        (folder / "src" / f"{index}.txt").write_bytes(b"letters" * 8 + b"\n" + content)
    Build(out=folder / "out", path=folder / "src", suffixes=()).run()
    found = {
        name: document.tobytes()
        for split in map(lambda name: Split(folder / "out", name), ("train", "held_out"))  # noqa: C417
        for name, document in zip(split.names(), split, strict=True)
    }
    expected = {f"{n}.txt": b"letters" * 8 + b"\n" + content for n, content in enumerate(contents)}
    assert found == expected


def test_neither_split_stays_empty(tmp_path: Path) -> None:
    for percent in (0.001, 99.999):
        out = tmp_path / str(percent)
        Build(out=out, path=corpus(tmp_path / f"src{percent}", 3), held_out_percent=percent).run()
        assert len(Split(out, "train")) + len(Split(out, "held_out")) == 3
        assert len(Split(out, "train")) >= 1
        assert len(Split(out, "held_out")) >= 1


def test_the_very_same_shards_are_left_as_they_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = corpus(tmp_path / "src")
    for _ in range(2):
        Build(out=tmp_path / "out", path=source).run()
        stamp = (tmp_path / "out" / "manifest.json").stat().st_mtime_ns
    assert "left as it is" in capsys.readouterr().err
    Build(out=tmp_path / "out", path=source).run()
    assert (tmp_path / "out" / "manifest.json").stat().st_mtime_ns == stamp
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_the_output_is_not_read_as_a_source(tmp_path: Path) -> None:
    source = corpus(tmp_path / "src")
    for _ in range(2):
        figures = Build(out=source / "shards", path=source, suffixes=()).run()
        assert figures["documents"] == 60


@pytest.mark.medium
@pytest.mark.parametrize("kind", ["jsonl", "parquet", "csv"])
def test_local_datasets(tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    texts = [f"def f{n}():\n    return 'é{n}'\n" for n in range(30)]
    rows = [{"content": text, "stars": n} for n, text in enumerate([*texts, ""])]
    path = str(tmp_path / f"code.{kind}")
    if kind == "jsonl":
        write_rows(Path(path), rows)
    elif kind == "csv":
        with Path(path).open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, ["content", "stars"])
            writer.writeheader()
            writer.writerows(rows)
    else:
        parquet.write_table(pa.Table.from_pylist(rows), path)
    figures = Build(out=tmp_path / "out", dataset=Path(path)).run()
    assert figures["documents"] == 30
    found = [d.tobytes() for s in ("train", "held_out") for d in Split(tmp_path / "out", s)]
    assert sorted(found) == sorted(text.encode() for text in texts)
    names = {name for s in ("train", "held_out") for name in Split(tmp_path / "out", s).names()}
    assert names == {f"code.{kind}:{n}" for n in range(30)}
    assert figures["rejected"] == {"empty": 1}
    assert data_command("build", "--dataset", path, "--column", "code", "--out", "x") == 2
    assert "has no column 'code'; it has: content, stars" in capsys.readouterr().err


def test_wrong_input_is_one_line_and_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, empty = corpus(tmp_path / "src"), tmp_path / "empty"
    empty.mkdir()
    one = corpus(tmp_path / "one", 1)
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 not really")
    out = tmp_path / "out"
    cases: list[tuple[list[str], str]] = [
        ([], "give one of"),
        (["--path", str(source), "--recipe", "stdlib"], "give one of"),
        (["--path", str(tmp_path / "nowhere")], "does not exist"),
        (["--path", str(source / "module1.py")], "is not a folder"),
        (["--path", str(empty)], "no document to build shards of"),
        (["--path", str(one)], "one document alone"),
        (["--dataset", str(empty)], "no .parquet"),
        (["--dataset", str(tmp_path / "broken.parquet")], "cannot be read as parquet"),
        (
            ["--path", str(source), "--held-out-percent", "100"],
            "must be above 0 and below 100, not 100.0",
        ),
    ]
    for arguments, words in cases:
        assert data_command("build", "--out", str(out), *arguments) == 2, arguments
        said = capsys.readouterr()
        assert words in said.err
        assert said.err.splitlines()[-1].lstrip().split("\r")[-1].strip().startswith("error: ")
        assert said.out == ""
        assert not out.exists()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_other_peoples_folders_are_not_replaced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = corpus(tmp_path / "src")
    before = files_of(source)
    assert data_command("build", "--path", str(source), "--out", str(tmp_path)) == 2
    assert "they are not replaced" in capsys.readouterr().err
    assert files_of(source) == before


def test_a_full_disk_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    source = corpus(tmp_path / "src")
    assert data_command("build", "--path", str(source), "--out", str(tmp_path / "out")) == 1
    assert f"error: {tmp_path / 'out'}: No space left on device" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["src"]


@pytest.mark.medium
def test_sigterm_leaves_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "data", "build", "--recipe", "stdlib", "--out"]
    process: subprocess.Popen[Any] = subprocess.Popen(
        [*command, str(tmp_path / "out")], cwd=ROOT, stderr=subprocess.PIPE, text=True
    )
    wait_until(lambda: any(tmp_path.iterdir()) or process.poll() is not None)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 143, err
    assert list(tmp_path.iterdir()) == []


def test_build_is_a_word_that_must_be_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert data_command("--recipe", "stdlib", "--out", "x") == 2
    said = "error: name a command before --recipe: build, suite, functions, prompts\n"
    assert capsys.readouterr().err == said


def test_a_shard_folder_with_other_things_in_it_is_not_replaced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = corpus(tmp_path / "src"), tmp_path / "out"
    Build(out=out, path=source).run()
    (source / "new.py").write_text("import this_is_new\n")
    (out / "notes.txt").write_text("a year's notes")
    (out / "mine").mkdir()
    before = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    assert data_command("build", "--path", str(source), "--out", str(out)) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said == (
        f"error: {out} holds files that are not shards (mine, notes.txt); they are not replaced: "
        "move them, or choose a new folder"
    )
    assert {path.name: path.stat().st_mtime_ns for path in out.iterdir()} == before
    (out / "notes.txt").unlink()
    (out / "mine").rmdir()
    assert data_command("build", "--path", str(source), "--out", str(out)) == 0
    assert read_manifest(out)["splits"]["train"]["documents"] > 0


def test_notes_that_come_while_it_builds_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = corpus(tmp_path / "src"), tmp_path / "out"
    Build(out=out, path=source).run()
    (source / "new.py").write_text("import this_is_new\n")
    finish = ShardWriter.finish

    def slowly(writer: ShardWriter, about: dict[str, Any]) -> dict[str, Any]:
        (out / "notes.txt").write_text("just written")
        return finish(writer, about)

    monkeypatch.setattr(ShardWriter, "finish", slowly)
    assert data_command("build", "--path", str(source), "--out", str(out)) == 2
    assert "notes.txt" in capsys.readouterr().err.splitlines()[-1]
    assert (out / "notes.txt").read_text() == "just written"
    assert Split(out, "train").documents + Split(out, "held_out").documents == 60


def test_damaged_shards_are_built_again(tmp_path: Path) -> None:
    source, out = corpus(tmp_path / "src"), tmp_path / "out"
    Build(out=out, path=source).run()
    whole = files_of(out)
    (out / "train-00000.bin").write_bytes(b"cut")
    (out / "held_out-00000.names.json").unlink()
    Build(out=out, path=source).run()
    assert files_of(out) == whole


@pytest.mark.parametrize("limit", [10**12, 2**63 - 1, 10**30])
def test_a_limit_is_no_buffer(tmp_path: Path, limit: int) -> None:
    source = corpus(tmp_path / "src")
    figures = Build(out=tmp_path / "out", path=source, max_file_bytes=limit).run()
    assert figures["documents"] == 60


def test_what_is_being_written_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = corpus(tmp_path / "src", 0)
    for index in range(60):
        body = "".join(f"    value_{n} = {index} + {n}\n" for n in range(60))
        (source / f"module{index}.py").write_text(f"def function_{index}():\n{body}")
    monkeypatch.chdir(source)
    for out in (Path("shards"), Path("..") / "src" / "other", source / "deep" / "er"):
        for _ in range(2):
            figures = Build(out=out, path=Path(), suffixes=(), filters=False).run()
            assert (figures["documents"], figures["rejected"]) == (60, {})
        for path in sorted(out.iterdir()):
            path.unlink()
        out.rmdir()
