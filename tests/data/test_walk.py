"""Walking: links, FIFOs, sockets, unreadable and empty files are counted and harm nobody."""

import os
import socket
import subprocess
from pathlib import Path

import pytest

from data import walk as module
from data.walk import Walk


def names(walk: Walk) -> list[str]:
    return [found.name for found in walk.files()]


def tree(root: Path, **files: bytes) -> Path:
    for name, content in files.items():
        path = root / name.replace("__", "/").replace("_py", ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


def test_order_is_by_name_whatever_the_order_of_creation(tmp_path: Path) -> None:
    one = tree(tmp_path / "1", b_py=b"b", a_py=b"a", d__x_py=b"x", d__a__y_py=b"y", c__z_py=b"z")
    two = tree(tmp_path / "2", c__z_py=b"z", d__a__y_py=b"y", a_py=b"a", d__x_py=b"x", b_py=b"b")
    expected = ["a.py", "b.py", "c/z.py", "d/x.py", "d/a/y.py"]
    assert names(Walk(one, (".py",), 100)) == names(Walk(two, (".py",), 100)) == expected


def test_what_is_not_a_file_is_counted_and_not_opened(tmp_path: Path) -> None:
    tree(tmp_path, a_py=b"a", empty_py=b"", big_py=b"x" * 101, other=b"other")
    os.mkfifo(tmp_path / "pipe.py")
    (tmp_path / "link.py").symlink_to("a.py")
    (tmp_path / "folder").symlink_to(tmp_path)
    (tmp_path / "dangling.py").symlink_to("nowhere")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(tmp_path / "socket.py"))
        walk = Walk(tmp_path, (".py",), 100)
        assert names(walk) == ["a.py"]
    assert walk.rejected == {"link": 3, "not a file": 2, "empty": 1, "too large": 1}
    assert walk.passed_over == 1
    assert walk.rejected_bytes["too large"] == 101


def test_unreadable_and_vanished_files_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree(tmp_path, a_py=b"a", b_py=b"b", c_py=b"c")
    read = module._read

    def fails(path: bytes, limit: int) -> bytes:
        if path.endswith(b"a.py"):
            raise PermissionError(13, "Permission denied")
        if path.endswith(b"b.py"):
            raise FileNotFoundError(2, "No such file")
        return read(path, limit)

    monkeypatch.setattr(module, "_read", fails)
    walk = Walk(tmp_path, (), 100)
    assert names(walk) == ["c.py"]
    assert walk.rejected == {"unreadable": 2}


def test_a_fifo_put_in_a_files_place_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert module._read(os.fsencode(tmp_path / "pipe"), 10) == b""
    (tmp_path / "link").symlink_to("pipe")
    with pytest.raises(OSError, match="symbolic links"):
        module._read(os.fsencode(tmp_path / "link"), 10)


def test_a_file_that_grows_past_the_limit_is_too_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree(tmp_path, a_py=b"a")
    monkeypatch.setattr(module, "_read", lambda _, limit: b"x" * (limit + 1))
    walk = Walk(tmp_path, (), 100)
    assert names(walk) == []
    assert walk.rejected == {"too large": 1}


@pytest.mark.medium
def test_deep_folders_do_not_exhaust_a_stack(tmp_path: Path) -> None:
    """Deeper than Python's recursion limit; built with short relative steps, paths have limits."""
    start, depth = Path.cwd(), 1300
    os.chdir(tmp_path)
    try:
        for _ in range(depth):
            os.mkdir("d")  # noqa: PTH102
            os.chdir("d")
        Path("x.py").write_bytes(b"deep")
    finally:
        os.chdir(start)
    try:
        [found] = Walk(tmp_path, (), 100).files()
    finally:
        # pytest's own clean-up recurses, and would fail at this depth.
        subprocess.run(["rm", "-rf", str(tmp_path / "d")], check=True)
    assert found.content == b"deep"
    assert found.name.count("/") == depth


def test_names_that_are_not_utf8_survive(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/\xff.py"
    with open(path, "wb") as file:  # noqa: PTH123
        file.write(b"x")
    [found] = Walk(tmp_path, (".py",), 100).files()
    assert os.fsencode(found.name) == b"\xff.py"


def test_folders_that_are_skipped(tmp_path: Path) -> None:
    tree(tmp_path, test__a_py=b"a", out__b_py=b"b", src__test_py=b"c")
    walk = Walk(tmp_path, (".py",), 100, frozenset({"test"}), tmp_path / "out")
    assert names(walk) == ["src/test.py"]


def test_a_limit_takes_no_memory_of_its_size(tmp_path: Path) -> None:
    tree(tmp_path, a_py=b"x" * (3 << 20), b_py=b"y")
    sizes = [len(found.content) for found in Walk(tmp_path, (), 10**30).files()]
    assert sizes == [3 << 20, 1]
    assert len(module._read(os.fsencode(tmp_path / "a.py"), (1 << 20) + 5)) == (1 << 20) + 6


def test_the_output_below_a_root_without_a_name_is_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree(tmp_path, a_py=b"a", out__b_py=b"b")
    tree(tmp_path / ".out.ab_12cd3", c_py=b"being written")
    tree(tmp_path / ".out.backup", d_py=b"d")
    monkeypatch.chdir(tmp_path)
    assert names(Walk(Path(), (".py",), 100, skip=Path("out"))) == ["a.py", ".out.backup/d.py"]
