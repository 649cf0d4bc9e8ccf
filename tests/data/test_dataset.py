"""Datasets: every file and row is read or counted, and none decides how another is read."""

import bz2
import gzip
import json
import lzma
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet
from support import ROOT, data_command

from bytelm.shards import Split, read_manifest
from data.build import Build
from data.dataset import Dataset


def lines(*values: object) -> bytes:
    return b"".join(json.dumps(value).encode() + b"\n" for value in values)


def code(name: str) -> dict[str, Any]:
    return {"content": f"def {name}():\n    return 1\n"}


def text(name: str) -> bytes:
    return str(code(name)["content"]).encode()


def found(path: Path, column: str = "content") -> tuple[dict[str, bytes], dict[str, int]]:
    """The documents by name, and what was left out."""
    dataset = Dataset(path, column)
    documents = {document.name: document.content for document in dataset.files()}
    return documents, dict(dataset.rejected)


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def test_names_are_no_patterns(tmp_path: Path) -> None:
    names = [
        "a[1].jsonl",
        "a1.jsonl",
        "b*.jsonl",
        "bc.jsonl",
        "d?.jsonl",
        "de.jsonl",
        "x[/y].jsonl",
    ]
    names += ["**.jsonl", "s3::z.jsonl", "{f,g}.jsonl", "[!h].csv"]
    files = {name: lines(code(f"f{n}")) for n, name in enumerate(names)}
    files["[!h].csv"] = b"content\n" + b'"def f10():\n    return 1\n"\n'
    documents, rejected = found(write(tmp_path / "in[0]", files))
    assert documents == {f"{name}:0": text(f"f{n}") for n, name in enumerate(names)}
    assert rejected == {}


def test_every_ending_is_read_or_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    two = lines(code("one"), code("two"))
    files = {
        "a.jsonl": lines(code("a"), code("b")),
        "b.JSONL": lines(code("c")),
        "c.ndjson": lines(code("d")),
        "d.json": json.dumps([code("e"), code("f")]).encode(),
        "e.jsonl.gz": gzip.compress(lines(code("g"))) + gzip.compress(lines(code("h"))),
        "f.JSON.GZ": gzip.compress(json.dumps([code("i")]).encode()),
        "g.csv.gz": gzip.compress(b"content,n\n" + b'"' + text("j") + b'",1\n'),
        "h.tsv": b"n\tcontent\n1\t" + b'"' + text("k") + b'"\n',
        "i.ndjson.bz2": bz2.compress(lines(code("l"))),
        "j.jsonl.xz": lzma.compress(lines(code("m"))),
        "k.jsonl.zst": pa.compress(lines(code("n")), "zstd", asbytes=True),
        "m.txt": two,
        "n.TXT": two,
        "o": two,
        "p.parquet.gz": two,
        "q.gz": two,
        "r.000001": two,
        "sub/s.jsonl": lines(code("q")),
    }
    folder = write(tmp_path / "in", files)
    parquet.write_table(pa.table({"content": [code("o")["content"]]}), folder / "l.Parquet")
    assert data_command("build", "--dataset", str(folder), "--out", str(tmp_path / "out")) == 0
    said = capsys.readouterr()
    documents = {
        name: document.tobytes()
        for split in (Split(tmp_path / "out", "train"), Split(tmp_path / "out", "held_out"))
        for name, document in zip(split.names(), split, strict=True)
    }
    wanted = {
        "a.jsonl:0": "a", "a.jsonl:1": "b", "b.JSONL:0": "c", "c.ndjson:0": "d", "d.json:0": "e",
        "d.json:1": "f", "e.jsonl.gz:0": "g", "e.jsonl.gz:1": "h", "f.JSON.GZ:0": "i",
        "g.csv.gz:0": "j", "h.tsv:0": "k", "i.ndjson.bz2:0": "l", "j.jsonl.xz:0": "m",
        "k.jsonl.zst:0": "n", "l.Parquet:0": "o", "sub/s.jsonl:0": "q",
    }  # fmt: skip
    assert documents == {name: text(letter) for name, letter in wanted.items()}
    left_out = {
        "ending .txt": 2, "no ending": 1, "ending .parquet.gz": 1, "ending .gz": 1,
        "other ending": 1,
    }  # fmt: skip
    assert json.loads(said.out)["rejected"] == left_out
    manifest = read_manifest(tmp_path / "out")
    counts = {name: entry["documents"] for name, entry in manifest["rejected"].items()}
    assert counts == left_out
    assert manifest["rejected"]["ending .txt"]["bytes"] == 2 * len(two)
    assert "2 ending .txt" in said.err.splitlines()[-1]


def test_what_is_no_file_is_counted(tmp_path: Path) -> None:
    folder = write(tmp_path / "in", {"a.jsonl": lines(code("a")), "sub/b.jsonl": lines(code("b"))})
    (folder / "c.jsonl").symlink_to("a.jsonl")
    (folder / "gone.jsonl").symlink_to("nowhere")
    (folder / "loop.jsonl").symlink_to("loop.jsonl")
    (folder / "round").symlink_to(folder)
    os.mkfifo(folder / "pipe.jsonl")
    documents, rejected = found(folder)
    # A link to a file is one: a downloaded dataset's folder consists of them.
    assert documents == {
        "a.jsonl:0": text("a"), "c.jsonl:0": text("a"), "sub/b.jsonl:0": text("b")
    }  # fmt: skip
    assert rejected == {"link": 3, "not a file": 1}


def test_unreadable_folders_and_files_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write(tmp_path, {n: lines(code("a")) for n in ("a.jsonl", "b.jsonl", "s/c.jsonl")})
    scan, start = os.scandir, Path.open

    def scandir(path: Any) -> Any:
        if str(path).endswith("s"):
            raise PermissionError(13, "Permission denied", path)
        return scan(path)

    def opens(path: Path, *rest: Any, **more: Any) -> Any:
        if path.name == "b.jsonl":
            raise PermissionError(13, "Permission denied", str(path))
        return start(path, *rest, **more)

    monkeypatch.setattr(os, "scandir", scandir)
    monkeypatch.setattr(Path, "open", opens)
    documents, rejected = found(folder)
    assert documents == {"a.jsonl:0": text("a")}
    assert rejected == {"unreadable": 1, "unreadable folder": 1}


def test_the_order_is_that_of_the_names(tmp_path: Path) -> None:
    names = ["a/z.jsonl", "a.jsonl", "a-b/c.jsonl", "B.jsonl", "a/b/c.jsonl"]
    folder = write(tmp_path, {name: lines(code("x")) for name in names})
    by_paths = [str(p.relative_to(folder)) for p in sorted(folder.rglob("*.jsonl"))]
    assert [name[:-2] for name in found(folder)[0]] == by_paths


def test_the_output_is_not_read_as_a_source(tmp_path: Path) -> None:
    folder = write(tmp_path / "in", {"a.jsonl": lines(code("a"), code("b"))})
    for _ in range(2):
        figures = Build(out=folder / "shards", dataset=folder).run()
        assert (figures["documents"], figures["rejected"]) == (2, {})


def test_bad_parts_are_counted_and_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # A newline in what can be unpacked of the noise would be one more row.
    noise = random.Random(0).randbytes(3000).replace(b"\n", b"")
    good, packed = lines(code("a")), gzip.compress(noise + lines(code("x")))
    files = {
        "._a.jsonl": b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        " + bytes(50),
        "a.jsonl": good
        + b'{"content": "\\ud800 x"}\n'
        + b'{"content": "caf\xe9"}\n'
        + b'{"caf\xe9": 1, "content": "kept as it is"}\n'
        + b'["no", "object"]\n\n'
        + b'{"other": "x"}\n{"content": null}\n{"content": 1e5}\n{"content": ""}\n'
        + b'{"content": "cut'
        + b"\n"
        + lines(code("b"))
        + b'{"content": "cut at the end',
        "empty.jsonl": b"",
        "blank.jsonl": b"\n \n",
        "bom.jsonl": b"\xef\xbb\xbf" + lines(code("c")),
        "cut.jsonl.gz": gzip.compress(lines(*(code(f"g{n}") for n in range(9))))[:-9],
        "headless.csv": b"",
        "not.jsonl.gz": packed[:40],
        "no.parquet": b"PAR1 not really",
        "zero.parquet": b"",
    }
    documents, rejected = found(write(tmp_path, files))
    said = capsys.readouterr().err.splitlines()
    assert {name for name in documents if "cut" not in name} == {
        "a.jsonl:0", "a.jsonl:3", "a.jsonl:10", "bom.jsonl:0",
    }  # fmt: skip
    assert documents["a.jsonl:3"] == b"kept as it is"
    assert documents["bom.jsonl:0"] == text("c")
    assert rejected == {
        "macOS metadata": 1, "not UTF-8": 2, "not an object": 1, "no column": 1, "not text": 2,
        "empty": 1, "not JSON": 2, "empty file": 4, "damaged file": 3,
    }  # fmt: skip
    assert "left out a.jsonl:1: not UTF-8 (at character 0)" in said
    assert any(line.startswith("left out a.jsonl:9: not JSON (") for line in said)
    assert any(line.startswith("left out no.parquet: damaged file (it cannot be") for line in said)
    assert "left out headless.csv: empty file" in said
    assert "left out zero.parquet too: empty file; from here on these are only counted" in said


def test_a_cut_stream_keeps_its_rows(tmp_path: Path) -> None:
    content = lines(*({"content": os.urandom(40).hex()} for _ in range(4000)))
    packings = {"gz": gzip.compress(content), "bz2": bz2.compress(content, 1)}
    packings["zst"] = pa.compress(content, "zstd", asbytes=True)
    for name, packed in {**packings, "xz": lzma.compress(content, preset=0)}.items():
        documents, rejected = found(write(tmp_path / name, {f"a.jsonl.{name}": packed[:-20]}))
        assert len(documents) > 1000, name
        assert rejected == {"damaged file": 1}, name


@pytest.mark.parametrize("ending", ["jsonl", "json", "csv", "parquet"])
def test_a_column_that_nothing_has(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], ending: str
) -> None:
    path, out = tmp_path / f"a.{ending}", tmp_path / "out"
    rows = [{"code": "x = 1", "stars": 3}, {"code": "y = 2", "stars": 4}]
    if ending == "parquet":
        parquet.write_table(pa.Table.from_pylist(rows), path)
    else:
        content = {"jsonl": lines(*rows), "json": json.dumps(rows).encode()}
        path.write_bytes(content.get(ending, b"code,stars\nx = 1,3\n"))
    assert data_command("build", "--dataset", str(path), "--out", str(out)) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    wanted = f"error: {path} has no column 'content'; it has: code, stars; choose one with --column"
    assert error == wanted
    assert not out.exists()


def test_a_file_without_the_column_among_others(tmp_path: Path) -> None:
    files = {"a.csv": b"x,y\n1,2\n", "b.jsonl": lines(code("b"), {"x": 1}, code("c"))}
    parquet.write_table(pa.table({"x": ["text"]}), write(tmp_path, files) / "c.parquet")
    documents, rejected = found(tmp_path)
    assert documents == {"b.jsonl:0": text("b"), "b.jsonl:2": text("c")}
    assert rejected == {"no column": 3}


def test_a_wrong_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, {"in/a.txt": b"x", "in/b.txt": b"y", "in/c": b"z"})
    os.mkfifo(tmp_path / "pipe.jsonl")
    for name, words in (
        ("nowhere", "does not exist"),
        ("in", "or .tsv file (2 ending .txt, 1 no ending)"),
        ("in/a.txt", "is no .parquet, .jsonl, .ndjson, .json, .csv or .tsv file"),
        ("pipe.jsonl", "is no .parquet"),
    ):
        path = tmp_path / name
        assert data_command("build", "--dataset", str(path), "--out", str(tmp_path / "o")) == 2
        assert words in capsys.readouterr().err


@pytest.mark.medium
def test_nothing_is_written_to_the_home_folder(tmp_path: Path) -> None:
    home = tmp_path / "home"
    folder = write(tmp_path / "in", {"a.jsonl": lines(code("a"), code("b"))})
    home.mkdir()
    parquet.write_table(pa.table({"content": ["def c(): pass\n"]}), folder / "b.parquet")
    hidden = ("HF_HOME", "XDG_CACHE_HOME", "HF_DATASETS_CACHE")
    kept = {name: value for name, value in os.environ.items() if name not in hidden}
    done = subprocess.run(
        [sys.executable, "-m", "data", "build", "--dataset", folder, "--out", tmp_path / "out"],
        cwd=ROOT, env={**kept, "HOME": str(home)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert list(home.iterdir()) == []
    assert json.loads(done.stdout)["documents"] == 3


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)


@settings(max_examples=25, deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=8))
def test_every_format_gives_the_same_texts(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("in")
    rows = [{"content": entry, "n": n} for n, entry in enumerate(texts)]
    parquet.write_table(pa.table({"content": texts}), folder / "a.parquet")
    quoted = "".join('"' + entry.replace('"', '""') + '",1\n' for entry in texts)
    files = {
        "a.csv": f"content,n\n{quoted}".encode(),
        "a.jsonl": lines(*rows),
        "b.json": json.dumps(rows, ensure_ascii=False).encode(),
        "c.json": b"".join(json.dumps(row, indent=1).encode() for row in rows),
    }
    documents, rejected = found(write(folder, files))
    for name in ("a.parquet", *files):
        assert [documents[f"{name}:{n}"].decode() for n in range(len(texts))] == texts
    assert rejected == {}
