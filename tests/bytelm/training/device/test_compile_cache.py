"""What a killed compiler leaves does not stand in the way of later runs."""

import math
import shutil
import subprocess
from pathlib import Path

import pytest
from filelock import FileLock
from training import assert_same, start

from bytelm.training.device import compile_cache
from bytelm.training.device.compile_cache import is_whole, remove_cut_code

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
    assert all(is_whole(path) for path in libraries)
    assert_same(tmp_path / "one", tmp_path / "two")
