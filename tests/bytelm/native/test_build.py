"""Compiling C++ at first use: failures are quoted, headers count, old results go."""

import ctypes
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from support import ROOT, wait_until

from bytelm.native import build, toolchain


def test_a_compiler_that_fails_is_quoted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "broken-cxx"
    broken.write_text("#!/bin/sh\necho 'x.cpp:1: error: no such thing' >&2\nexit 1\n")
    broken.chmod(broken.stat().st_mode | stat.S_IXUSR)
    (tmp_path / "x.cpp").touch()
    monkeypatch.setenv("CXX", str(broken))
    build.library.cache_clear()
    try:
        with pytest.raises(build.NoCompilerError, match="no such thing"):
            build.library(tmp_path / "x.cpp")
    finally:
        build.library.cache_clear()


def test_a_changed_header_is_compiled_and_old_results_go(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(build, "_folder", lambda: tmp_path)
    source, header = tmp_path / "answer.cpp", tmp_path / "answer.h"
    source.write_text('#include "answer.h"\nextern "C" __attribute__((visibility("default"))) '
                      "int answer() { return ANSWER; }\n")  # fmt: skip
    answers = []
    for number in range(6):
        header.write_text(f"#define ANSWER {number}\n")
        build.library.cache_clear()
        answers.append(ctypes.CDLL(build.library(source)._name).answer())
    assert answers == list(range(6))
    assert len(list(tmp_path.glob("answer-*.so"))) == 4
    made = {path.stat().st_mtime_ns for path in tmp_path.glob("answer-*.so")}
    build.library.cache_clear()
    assert build.library(source).answer() == 5
    assert {path.stat().st_mtime_ns for path in tmp_path.glob("answer-*.so")} == made


EXPORT = 'extern "C" __attribute__((visibility("default"))) '


def answer_source(folder: Path, answer: int = 7) -> Path:
    source = folder / "answer.cpp"
    source.write_text(f"{EXPORT} int answer() {{ return {answer}; }}\n")
    return source


@pytest.mark.parametrize("damage", ["empty", "cut", "zeros", "changed", "another library", "gone"])
def test_a_library_that_is_not_what_was_written_is_compiled_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, damage: str
) -> None:
    """As after a power loss. An empty one used to be trusted, and decoding was eager for ever."""
    monkeypatch.setattr(build, "_folder", lambda: tmp_path)
    source = answer_source(tmp_path)
    made = build.compiled(source)
    content = made.read_bytes()
    made.unlink()
    middle = len(content) // 2
    damaged = {
        "empty": b"",
        "cut": content[:middle],
        "zeros": content[:middle] + bytes(len(content) - middle),
        "changed": content[:-1] + bytes([content[-1] ^ 1]),
        "another library": b"\x7fELF" + bytes(100),
    }
    if damage in damaged:
        made.write_bytes(damaged[damage])
    build.library.cache_clear()
    assert build.library(source).answer() == 7
    assert made.read_bytes() == content
    before = made.stat().st_mtime_ns
    build.library.cache_clear()
    assert build.library(source).answer() == 7
    assert made.stat().st_mtime_ns == before
    build.library.cache_clear()


def test_a_library_is_synced_before_it_is_renamed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(build, "_folder", lambda: tmp_path)
    synced: list[Path] = []

    def sync(path: Path) -> None:
        if not path.is_dir():
            assert list(tmp_path.glob("answer-*.so")) == []
        synced.append(path)

    monkeypatch.setattr(build, "sync", sync)
    build.compiled(answer_source(tmp_path))
    assert [path.is_dir() for path in synced] == [False, True]


def test_a_file_where_the_folder_should_be_leads_to_a_private_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(build, "HERE", tmp_path)
    monkeypatch.setattr(toolchain, "TEMPORARY", ())
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    (tmp_path / "__pycache__").write_text("a file")
    source = answer_source(tmp_path)
    private = tmp_path / "temporary" / f"bytelm-{os.getuid()}"
    assert build.compiled(source).parent == private
    # And if there is a file too, to another.
    shutil.rmtree(private)
    private.write_text("a file")
    assert build.compiled(source).is_file()
    assert (tmp_path / "__pycache__").read_text() == private.read_text() == "a file"


def test_a_full_disk_is_a_reason(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(build, "_folder", lambda: tmp_path)

    def full(_: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(build, "sync", full)
    with pytest.raises(build.NoCompilerError, match="No space left on device"):
        build.compiled(answer_source(tmp_path))


COMPILE = """
import sys, pathlib
from bytelm.native import build
build._folder = lambda: pathlib.Path(sys.argv[1])
build.compiled(pathlib.Path(sys.argv[1]) / "answer.cpp")
"""


def test_what_a_killed_compiler_leaves_is_removed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(build, "_folder", lambda: tmp_path)
    slow, log = tmp_path / "slow", tmp_path / "log"
    slow.write_text(f"#!/bin/sh\necho $$ > {log}\nexec sleep 60\n")
    slow.chmod(0o755)
    answer_source(tmp_path)
    environment = {**os.environ, "CXX": str(slow)}
    running = subprocess.Popen(
        [sys.executable, "-c", COMPILE, str(tmp_path)], cwd=ROOT, env=environment
    )
    wait_until(lambda: log.exists() and log.read_text().strip() != "")
    [folder] = tmp_path.glob(".compiling-*")
    build.compiled(answer_source(tmp_path, 1))
    assert folder.is_dir(), "its process goes on"
    running.kill()
    running.wait()
    os.kill(int(log.read_text()), signal.SIGKILL)
    assert folder.is_dir()
    # Nothing is compiled here: it is removed all the same.
    build.compiled(answer_source(tmp_path, 1))
    assert not folder.exists()


def test_what_older_versions_left_is_removed_when_it_is_old(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(build, "_folder", lambda: tmp_path)
    names = ("tmpabc", "tmpnew", "tmpother")
    for name in names:
        (tmp_path / name).mkdir()
        if name != "tmpother":
            (tmp_path / name / "alphabet.h").touch()
        if name != "tmpnew":
            os.utime(tmp_path / name, (0, 0))
    build.compiled(answer_source(tmp_path))
    assert [name for name in names if (tmp_path / name).exists()] == ["tmpnew", "tmpother"]
