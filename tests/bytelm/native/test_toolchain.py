"""The compiler that CXX names, with its arguments; private folders; paths that torch can take."""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest

from bytelm.native import build, toolchain
from bytelm.native.toolchain import (
    NoCompilerError,
    compiler_command,
    fits_torch,
    prepare_torch,
    private_folders,
    why_failed,
)

needs_gxx = pytest.mark.skipif(shutil.which("g++") is None, reason="g++ is not installed")


def program(path: Path, text: str = 'exec "$@"') -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@needs_gxx
def test_a_compiler_with_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gxx = str(shutil.which("g++"))
    ccache, spaced = program(tmp_path / "ccache"), program(tmp_path / "my tools/g++", f'{gxx} "$@"')
    cases = {
        "g++": [gxx],
        "  g++ ": [gxx],
        f"{ccache} g++": [str(ccache), "g++"],
        f"{ccache}  g++  -m64": [str(ccache), "g++", "-m64"],
        f"'{spaced}' -O1": [str(spaced), "-O1"],
        str(spaced): [str(spaced)],
        "env X=1 g++": [str(shutil.which("env")), "X=1", "g++"],
    }
    source = tmp_path / "one.cpp"
    source.write_text('extern "C" __attribute__((visibility("default"))) int one() { return 1; }')
    monkeypatch.setattr(build, "_folder", lambda: tmp_path)
    for asked, words in cases.items():
        monkeypatch.setenv("CXX", asked)
        assert compiler_command() == words
        build.library.cache_clear()
        assert build.library(source).one() == 1
    build.library.cache_clear()


@pytest.mark.parametrize("asked", ["nothing-here", "nothing-here g++", "ccache 'g++", "'' x"])
def test_a_command_that_is_not_there(asked: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", asked)
    with pytest.raises(NoCompilerError, match="no C\\+\\+ compiler") as caught:
        compiler_command()
    assert asked in str(caught.value)


@pytest.mark.parametrize(
    ("path", "fits"),
    [("/a/b", True), ("/a b", False), ("/a\tb", False), ("/it's", False), ('/"a"', False),
     ("/a\\b", False), ("/größe-1_2.x", True)],
)  # fmt: skip
def test_paths_that_torch_does_not_quote(path: str, fits: bool) -> None:
    assert fits_torch(path) == fits


def test_private_folders_are_our_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toolchain, "TEMPORARY", ())
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    own = tmp_path / f"bytelm-{os.getuid()}"
    assert next(private_folders()) == own
    assert own.stat().st_mode & 0o777 == 0o700
    for spoil in (
        lambda: own.write_text("a file"),
        lambda: own.symlink_to(tmp_path),
        lambda: own.mkdir(),
    ):
        if own.is_dir() and not own.is_symlink():
            own.rmdir()
        else:
            own.unlink()
        spoil()
        if own.is_dir() and not own.is_symlink():
            own.chmod(0o777)
        found = list(private_folders())
        assert own not in found
        assert found[-1].is_dir()
        assert found[-1].stat().st_mode & 0o777 == 0o700


@needs_gxx
def test_torch_gets_a_script_for_a_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch._inductor.config as config
    from torch._inductor.cpp_builder import cpp_compiler_search

    log = tmp_path / "log"
    ccache = program(tmp_path / "ccache", f'echo >> {log}; exec "$@"')
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    cpp: Any = config.cpp
    monkeypatch.setattr(cpp, "cxx", (None, f"{ccache} g++"))
    monkeypatch.setenv("CXX", f"{ccache} g++")
    monkeypatch.setenv("CC", f"{ccache} gcc -O1")
    prepare_torch()
    script = cpp.cxx[1]
    assert fits_torch(script)
    cpp_compiler_search.cache_clear()
    # Torch used to say that there is no C++ compiler.
    assert cpp_compiler_search(cpp.cxx) == script
    assert log.exists()
    assert Path(os.environ["CC"]).read_text().endswith(f'exec {ccache} gcc -O1 "$@"\n')
    prepare_torch()
    assert cpp.cxx[1] == script
    cpp_compiler_search.cache_clear()


def test_a_temporary_folder_with_white_space(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch._inductor.config as config

    spaced = tmp_path / "my tmp"
    spaced.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(spaced))
    monkeypatch.setattr(config, "cpp_cache_precompile_headers", True)
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "")
    prepare_torch()
    assert fits_torch(os.environ["TORCHINDUCTOR_CACHE_DIR"])
    assert config.cpp_cache_precompile_headers is False


def test_why_compiling_failed() -> None:
    quoted = (
        "C++ compile error\n\nCommand:\ng++ x.cpp\n\nOutput:\ng++: warning: x\ng++: error: no y\n"
    )
    assert why_failed(RuntimeError(quoted)) == "C++ compile error: g++: error: no y"
    assert why_failed(RuntimeError("\n one\ntwo")) == "one"
    assert why_failed(RuntimeError()) == "RuntimeError"
    assert toolchain.TORCH_CACHE == "TORCHINDUCTOR_CACHE_DIR"
