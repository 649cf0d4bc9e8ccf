"""One reader for all JSON lines: plain, packed, piped, with a byte order mark."""

import codecs
import gzip
import hashlib
import json
import os
import threading
from pathlib import Path

import pytest

from bytelm.base.errors import InputError
from bytelm.files.jsonl import read_jsonl, text_of

ROWS = b'{"a": 1}\n\n  {"a": "\xc3\xa9"}\r\n{"a": null}'
VALUES = [(1, {"a": 1}), (3, {"a": "é"}), (4, {"a": None})]


@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8])
@pytest.mark.parametrize("name", ["rows.jsonl", "rows.jsonl.gz"])
def test_rows_with_their_line_numbers_and_the_hash_of_the_file(
    tmp_path: Path, name: str, mark: bytes
) -> None:
    content = gzip.compress(mark + ROWS) if name.endswith(".gz") else mark + ROWS
    (tmp_path / name).write_bytes(content)
    lines = read_jsonl(tmp_path / name)
    assert lines.rows == VALUES
    assert lines.sha256 == hashlib.sha256(content).hexdigest()


def test_a_pipe_is_read_once_and_hashed_as_it_was_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    writer = threading.Thread(target=(tmp_path / "fifo").write_bytes, args=(ROWS,))
    writer.start()
    lines = read_jsonl(tmp_path / "fifo")
    writer.join()
    assert lines.rows == VALUES
    assert lines.sha256 == hashlib.sha256(ROWS).hexdigest()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b'{"a": 1}\n{"a": ', r"f.jsonl:2: not JSON .*cut off"),
        (b"[1]", r"f.jsonl:1: a JSON object is needed, this is list"),
        (b'{"a": "\xff"}', r"f.jsonl:1: not UTF-8"),
        ('{"a": 1}'.encode("utf-16"), r"f.jsonl:1: not UTF-8"),
        (b"[" * 100_000, r"f.jsonl:1: not JSON"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, content: bytes, why: str) -> None:
    (tmp_path / "f.jsonl").write_bytes(content)
    with pytest.raises(InputError, match=why):
        read_jsonl(tmp_path / "f.jsonl")


def test_damaged_gzip_and_missing_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "f.jsonl.gz"
    for content in (b"no gzip", gzip.compress(ROWS)[:-9], b"", gzip.compress(ROWS)[:12] + b"xyz"):
        path.write_bytes(content)
        if content:
            with pytest.raises(InputError, match="damaged gzip"):
                read_jsonl(path)
    with pytest.raises(InputError, match="No such file"):
        read_jsonl(tmp_path / "gone")
    with pytest.raises(InputError, match="Is a directory"):
        read_jsonl(tmp_path)


def test_half_of_a_surrogate_pair_is_no_text() -> None:
    row = json.loads('{"prompt": "ab\\ud800", "number": 1, "whole": "\\ud83d\\ude00"}')
    assert text_of(row, "whole", "f:1") == "😀"
    with pytest.raises(InputError, match=r"f:1: prompt holds half of a surrogate pair .*2"):
        text_of(row, "prompt", "f:1")
    for key in ("number", "missing"):
        with pytest.raises(InputError, match=f"f:1: text is needed under {key}"):
            text_of(row, key, "f:1")
