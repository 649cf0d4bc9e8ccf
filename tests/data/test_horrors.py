"""A folder of horrors: nothing hangs, each file is counted once, and legal ones come out whole."""

import bz2
import gzip
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from bytelm.shards import Split, read_manifest
from data.build import Build

LINE = 20_000_000
TINY = 2_000
CODE = b"def function(value):\n    return [value, value + 1]\n"
# Files that have bytes and can be read: all of them are legal.
LEGAL = {
    "invalid.py": b"name = '\xff\xfe\x80'\n" + CODE,
    "utf16.py": ("name = 'ö'\n" * 20).encode("utf-16"),
    "utf16-odd.py": ("name = 'ö'\n" * 20).encode("utf-16-be") + b"\0",
    "bom.py": b"\xef\xbb\xbf" + CODE + b"# bom\n",
    "crlf.py": CODE.replace(b"\n", b"\r\n"),
    "cr.py": CODE.replace(b"\n", b"\r"),
    "nul.py": b"\0".join([CODE] * 3),
    "only-nul.py": b"\0" * 3000,
    "line.py": b"x" * LINE,
    "quote.py": b"'" * LINE,
    "brackets.py": b"(" * 100_000,
    "closed.py": b"[" * 100_000 + b"]" * 100_000,
    "nested.py": b"f(" * 100_000,
    "indented.py": b"".join(b" " * depth + b"if x:\n" for depth in range(600)),
    "strings.py": b"'''\"\"\"" * 1000,
    "one.py": b"x",
    "newline.py": b"\n",
    "end.py": CODE + b"# no end",
    "form\ffeed.py": CODE + b"\f\v\x1c\x1d\x85",
    "new\nline.py": CODE + b"# name\n",
    "\udcff\udcfe.py": CODE + b"# other name\n",
    "é.py": CODE + b"# accent\n",
    " .py": CODE + b"# space\n",
    "cut.py.gz": gzip.compress(CODE)[:-9],
    ".py": CODE + b"# hidden\n",
}


def legal(root: Path) -> dict[str, bytes]:
    found = {name: content for name, content in LEGAL.items() if name.endswith(".py")}
    found |= {f"tiny/{n}.py": b"x = %d\n" % n for n in range(TINY)}
    for name, content in {**LEGAL, **found}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return found


@pytest.fixture
def horrors(tmp_path: Path) -> Iterator[tuple[Path, dict[str, bytes]]]:
    """The folder, and the files in it that are legal."""
    root = tmp_path / "horrors"
    found = legal(root)
    (root / "empty.py").touch()
    os.mkfifo(root / "pipe.py")
    (root / "loop.py").symlink_to("loop.py")
    (root / "a.py").symlink_to("b.py")
    (root / "b.py").symlink_to("a.py")
    (root / "around").symlink_to("..")
    (root / "device.py").symlink_to("/dev/zero")
    (root / "folder.py").mkdir()
    (root / "folder.py" / "self").symlink_to(root)
    (root / "shut.py").write_bytes(b"shut = 1\n")
    (root / "shut.py").chmod(0)
    if os.access(root / "shut.py", os.R_OK):
        # Root may read it.
        found["shut.py"] = b"shut = 1\n"
    yield root, found
    (root / "shut.py").chmod(0o600)


def documents(out: Path) -> dict[str, bytes]:
    return {
        name: text.tobytes()
        for split in (Split(out, "train"), Split(out, "held_out"))
        for name, text in zip(split.names(), split, strict=True)
    }


@pytest.mark.medium
def test_legal_files_come_out_byte_for_byte(
    horrors: tuple[Path, dict[str, bytes]], tmp_path: Path
) -> None:
    root, found = horrors
    figures = Build(out=tmp_path / "out", path=root, filters=False, max_file_bytes=2 * LINE).run()
    # Of equal ones the first stays.
    assert documents(tmp_path / "out") == found
    expected = {"empty": 1, "link": 6, "not a file": 1}
    if "shut.py" not in found:
        expected["unreadable"] = 1
    assert figures["rejected"] == expected


@pytest.mark.medium
def test_each_file_is_in_exactly_one_count(
    horrors: tuple[Path, dict[str, bytes]], tmp_path: Path
) -> None:
    """With every step, and without a limit on sizes."""
    root, found = horrors
    figures = Build(
        out=tmp_path / "out", path=root, suffixes=(), max_file_bytes=2 * LINE,
        generated_files="drop", secrets="replace", near_duplicates="drop", syntax="drop",
    ).run()  # fmt: skip
    entries = sum(len(files) for _, _, files in os.walk(root))
    # os.walk takes links to folders for folders.
    links_to_folders = 2
    assert figures["documents"] + sum(figures["rejected"].values()) == entries + links_to_folders
    rejected = figures["rejected"]
    assert rejected["longest line"] >= 5
    assert rejected["link"] == 6
    assert rejected["empty"] == 1
    kept = documents(tmp_path / "out")
    assert {name: found[name] for name in kept if name in found} == {
        name: text for name, text in kept.items() if name in found
    }
    # None of the tiny ones goes for being like another.
    assert sum(name.startswith("tiny/") for name in kept) == TINY
    assert read_manifest(tmp_path / "out")["rejected"]["not a file"]["documents"] == 1


@pytest.mark.medium
def test_syntax_of_horrors_is_checked_without_filters(
    horrors: tuple[Path, dict[str, bytes]], tmp_path: Path
) -> None:
    """Nested brackets are parsed; lines of 20 and of 50 MB are not, and are counted."""
    root, found = horrors
    (root / "huge.py").write_bytes(b"(" * 50_000_000)
    figures = Build(
        out=tmp_path / "out", path=root, filters=False, max_file_bytes=3 * LINE, syntax="drop"
    ).run()
    kept, rejected = documents(tmp_path / "out"), figures["rejected"]
    assert rejected["too large to parse"] == 3
    assert not kept.keys() & {"brackets.py", "nested.py", "nul.py", "only-nul.py", "utf16.py"}
    assert {"closed.py", "bom.py", "crlf.py", "end.py", "tiny/0.py"} <= kept.keys()
    assert {name: found[name] for name in kept} == kept
    left_out = rejected["too large to parse"] - 1 + rejected["syntax"]
    assert len(kept) + left_out == len(found)


@pytest.mark.medium
def test_datasets_that_were_cut(tmp_path: Path) -> None:
    """The rows before the cut come out, and each file that was cut is counted once."""
    root = tmp_path / "rows"
    root.mkdir()
    rows = b"".join(
        json.dumps({"content": f"row_{n} = {os.urandom(40).hex()!r}\n"}).encode() + b"\n"
        for n in range(4000)
    )
    zst = pa.compress(rows, codec="zstd", asbytes=True)
    table = pa.table({"content": [f"y_{n} = 1\n" for n in range(3000)]})
    parquet.write_table(table, root / "whole.parquet", row_group_size=100)
    whole = (root / "whole.parquet").read_bytes()
    cut = {
        "cut.jsonl.gz": gzip.compress(rows)[: -len(rows) // 8],
        "cut.jsonl.bz2": bz2.compress(rows)[: -len(rows) // 8],
        "cut.jsonl.zst": zst[: len(zst) // 2],
        "cut.parquet": whole[: len(whole) // 2],
        "noise.jsonl.gz": b"\x1f\x8b" + os.urandom(300),
        "noise.parquet": os.urandom(300),
    }
    for name, content in cut.items():
        (root / name).write_bytes(content)
    (root / "cut.jsonl").write_bytes(rows[:1000] + b'{"content": "never clo')
    (root / "empty.jsonl").touch()
    os.mkfifo(root / "pipe.jsonl")
    (root / "loop.jsonl").symlink_to("loop.jsonl")
    figures = Build(out=tmp_path / "out", dataset=root, filters=False).run()
    rejected = figures["rejected"]
    assert rejected["damaged file"] == len(cut)
    # The last line of a text that was cut, and the line before its last one.
    assert rejected["not JSON"] == 1
    assert rejected["empty file"] == 1
    assert rejected["not a file"] == 1
    assert rejected["link"] == 1
    kept = documents(tmp_path / "out")
    assert sum(name.startswith("whole.parquet:") for name in kept) == 3000
    texts = {json.loads(line)["content"].encode() for line in rows.splitlines()}
    assert {text for name, text in kept.items() if ".jsonl" in name} <= texts
    assert sum(name.startswith("cut.jsonl.gz:") for name in kept) > 1000
