"""What both languages need to know is said once: a difference does not compile."""

import ctypes
import re
from pathlib import Path
from typing import ClassVar

import pytest

from bytelm import alphabet
from bytelm.native import build
from bytelm.native.headers import IDS, Struct

SOURCE = """
#include <cstdint>
#include "alphabet.h"
struct Pair { int64_t first; double second; };
#include "layouts.h"
extern "C" __attribute__((visibility("default"))) int64_t eod() { return EOD; }
"""


class Same(ctypes.Structure):
    _fields_: ClassVar = [("first", ctypes.c_int64), ("second", ctypes.c_double)]


class Swapped(ctypes.Structure):
    _fields_: ClassVar = [("second", ctypes.c_double), ("first", ctypes.c_int64)]


class Renamed(ctypes.Structure):
    _fields_: ClassVar = [("first", ctypes.c_int64), ("other", ctypes.c_double)]


class Short(ctypes.Structure):
    _fields_: ClassVar = [("first", ctypes.c_int64)]


class Narrow(ctypes.Structure):
    _fields_: ClassVar = [("first", ctypes.c_int64), ("second", ctypes.c_float)]


def compiled(struct: Struct, folder: Path, monkeypatch: pytest.MonkeyPatch) -> ctypes.CDLL:
    monkeypatch.setattr(build, "_folder", lambda: folder)
    source = folder / "pair.cpp"
    source.write_text(SOURCE)
    named = type("Pair", (ctypes.Structure,), {"_fields_": struct._fields_})
    return build.library(source, structs=(named,))


def test_structs_that_agree_compile(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert compiled(Same, tmp_path, monkeypatch).eod() == alphabet.EOD


@pytest.mark.parametrize("struct", [Swapped, Renamed, Short, Narrow])
def test_structs_that_differ_do_not_compile(
    struct: Struct, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(build.NoCompilerError, match="Pair"):
        compiled(struct, tmp_path, monkeypatch)


def test_another_alphabet_is_compiled_anew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    compiled(Same, tmp_path, monkeypatch)
    monkeypatch.setattr(alphabet, "EOD", 300)
    assert compiled(Same, tmp_path, monkeypatch).eod() == 300
    assert len(list(tmp_path.glob("pair-*.so"))) == 2


def test_no_header_types_an_id_of_its_own() -> None:
    values = {getattr(alphabet, name) for name in IDS}
    files = [file for kind in ("h", "cpp") for file in build.HERE.parent.rglob(f"*/*.{kind}")]
    ours = [file for file in files if "__pycache__" not in file.parts]
    assert "sampling.h" in {file.name for file in ours}
    for file in ours:
        # 256 is also a size of other things.
        numbers = set(re.findall(r"\b\d+\b", file.read_text(encoding="utf-8")))
        assert not {str(value) for value in values - {256}} & numbers, file
