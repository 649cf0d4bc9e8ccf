"""Compiling C++ at first use: failures are quoted, headers count, old results go."""

import ctypes
import stat
from pathlib import Path

import pytest

from bytelm.native import build


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
