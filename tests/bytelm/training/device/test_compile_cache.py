"""What a killed compiler leaves does not stand in the way of later runs."""

import math
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from filelock import FileLock
from training import assert_same, start

from bytelm.training.device import compile_cache
from bytelm.training.device.compile_cache import (
    is_whole,
    place_cache,
    record_whole_code,
    remove_cut_code,
    remove_cut_headers,
)

KEY = "cabcdefg"


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("g++") is None:
        pytest.skip("g++ is not installed")
    folder = tmp_path_factory.mktemp("library")
    (folder / "a.cpp").write_text("int answer() { return 42; }\n")
    command = ["g++", "-shared", "-fPIC", "-o", f"{KEY}.so", "a.cpp"]
    subprocess.run(command, cwd=folder, check=True)
    return folder / f"{KEY}.so"


def cache_of(folder: Path, content: bytes, name: str = f"{KEY}.so") -> tuple[Path, Path]:
    path = folder / "ca" / name
    path.parent.mkdir()
    path.write_bytes(content)
    return folder, path


def test_a_whole_library_stays(library: Path, tmp_path: Path) -> None:
    cache, path = cache_of(tmp_path, library.read_bytes())
    assert is_whole(path)
    assert remove_cut_code(cache) == 0
    assert path.exists()


@pytest.mark.parametrize("share", [0, 1e-9, 0.001, 0.1, 0.5, 0.99, 1 - 1e-9])
def test_a_cut_library_goes(library: Path, tmp_path: Path, share: float) -> None:
    whole = library.read_bytes()
    size = min(math.ceil(share * len(whole)), len(whole) - 1)
    cache, path = cache_of(
        tmp_path, whole[:size], f"{KEY}.main.so" if share == 0.5 else f"{KEY}.so"
    )
    assert remove_cut_code(cache) == 1
    assert not path.exists()


def test_one_whose_header_is_not_written_yet_goes(library: Path, tmp_path: Path) -> None:
    whole = library.read_bytes()
    cache, _ = cache_of(tmp_path, bytes(64) + whole[64:])
    assert remove_cut_code(cache) == 1


def test_what_is_compiled_just_now_is_left_alone(tmp_path: Path) -> None:
    cache, path = cache_of(tmp_path, b"")
    (cache / "locks").mkdir()
    with FileLock(cache / "locks" / f"{KEY}.lock"):
        assert remove_cut_code(cache) == 0
    assert path.exists()
    assert remove_cut_code(cache) == 1


def test_what_another_rank_removes_first_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, _ = cache_of(tmp_path, b"")
    looks = 0

    def look(path: Path) -> bool:
        """As if the other rank had been between two looks."""
        nonlocal looks
        looks += 1
        if looks == gone_at:
            path.unlink()
        return is_whole(path)

    monkeypatch.setattr(compile_cache, "is_whole", look)
    for gone_at in (1, 2):
        looks = 0
        (cache / "ca" / f"{KEY}.so").write_bytes(b"")
        assert remove_cut_code(cache) == 0
        assert looks == gone_at


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    assert remove_cut_code(tmp_path / "none") == 0


@pytest.mark.slow
def test_a_run_whose_machine_code_was_cut_off_compiles_it_again(
    few_shards: Path, tmp_path: Path
) -> None:
    """It used to go on without compiled code, and to end with other bits."""
    options = ("--compile", "--bytes", str(512 * 4))
    first = start(few_shards, tmp_path / "one", *options)
    assert first.end() == 0, first.said
    libraries = list((tmp_path / ".cache" / "inductor").glob("*/*.so"))
    assert libraries
    for path in libraries:
        path.write_bytes(path.read_bytes()[:1000])
    second = start(few_shards, tmp_path / "two", *options)
    assert second.end() == 0, second.said
    assert "without compiled code" not in second.said
    assert all(map(is_whole, libraries))
    assert_same(tmp_path / "one", tmp_path / "two")


def test_a_library_that_changed_since_it_was_recorded_goes(library: Path, tmp_path: Path) -> None:
    """A power loss can leave other content in a file that has its whole length."""
    whole = library.read_bytes()
    cache, path = cache_of(tmp_path, whole)
    (cache / "locks").mkdir()
    record_whole_code(cache)
    assert remove_cut_code(cache) == 0
    middle = len(whole) // 2
    path.write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
    assert is_whole(path)
    assert remove_cut_code(cache) == 1
    assert list(path.parent.iterdir()) == []


def test_what_is_compiled_just_now_is_not_recorded(library: Path, tmp_path: Path) -> None:
    cache, path = cache_of(tmp_path, library.read_bytes())
    (cache / "locks").mkdir()
    with FileLock(cache / "locks" / f"{KEY}.lock"):
        record_whole_code(cache)
    assert [path.name for path in path.parent.iterdir()] == [f"{KEY}.so"]
    record_whole_code(cache)
    assert len(list(path.parent.iterdir())) == 2


def test_a_header_of_a_killed_compiler_goes(tmp_path: Path) -> None:
    cut, whole, busy = (tmp_path / f"{name}.h.gch" for name in ("cut", "whole", "busy"))
    (tmp_path / "locks").mkdir()
    for path in (cut, busy):
        path.write_bytes(b"gpch" * 1000)
    with whole.open("wb") as file:
        file.truncate(1 << 20)
    with FileLock(tmp_path / "locks" / "busy.lock"):
        assert remove_cut_headers(tmp_path) == 1
    assert (cut.exists(), whole.exists(), busy.exists()) == (False, True, True)
    assert remove_cut_headers(tmp_path / "none") == 0


@pytest.mark.parametrize(
    ("name", "beside"), [("run", True), ("my run/run", False), ("it's/run", False)]
)
def test_the_cache_lies_where_torch_can_compile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, beside: bool
) -> None:
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    place_cache(tmp_path / name)
    place = os.environ["TORCHINDUCTOR_CACHE_DIR"]
    private = tmp_path / f"bytelm-{os.getuid()}" / "inductor"
    assert place == str(tmp_path / ".cache" / "inductor" if beside else private)


@pytest.mark.parametrize("name", [".cache", ".cache/inductor"])
def test_a_file_where_the_cache_should_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("a file")
    place_cache(tmp_path / "run")
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"].startswith(str(tmp_path / "bytelm-"))


def test_a_cache_that_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "given"))
    place_cache(tmp_path / "my run" / "run")
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == str(tmp_path / "given")
    assert capsys.readouterr().err == ""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "my cache"))
    place_cache(tmp_path / "run")
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == str(tmp_path / ".cache" / "inductor")
    assert f"TORCHINDUCTOR_CACHE_DIR={tmp_path}/my cache is not used" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_run_folder_with_a_space_and_a_compiler_with_words(
    few_shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each used to train without compiled code; the result is that of any other folder."""
    options = ("--compile", "--bytes", str(512 * 4))
    first = start(few_shards, tmp_path / "one", *options)
    assert first.end(280) == 0, first.said
    monkeypatch.setenv("CXX", "env WORDS=1 g++")
    second = start(few_shards, tmp_path / "my runs" / "my run", *options)
    assert second.end(280) == 0, second.said
    for running in (first, second):
        assert "without compiled code" not in running.said
        assert running.figures()["compiled"]
    assert_same(tmp_path / "one", tmp_path / "my runs" / "my run")
