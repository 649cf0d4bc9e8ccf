"""The files that a program behind Landlock can use; it can still ask which there are."""

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from sandboxes import TRY, left_in, run_alone, run_function, works

from eval.sandbox.runner import Limits, Runner
from eval.sandbox.walls import kernel
from eval.sandbox.walls import landlock as rules


def test_what_is_not_shown_can_be_neither_read_nor_listed(landlock: Runner) -> None:
    source = f"""{TRY}
def f():
    files = ("/etc/passwd", "/proc/self/environ", "/proc/1/cmdline", {__file__!r})
    folders = ("/", "/proc", "/etc", "/dev", {str(Path(__file__).parent)!r}, "..")
    return errors(*(lambda p=p: open(p).read() for p in files),
                  *(lambda p=p: posix.listdir(p) for p in folders))
"""
    test = 'assert set(candidate()) == {"EACCES"}, candidate()'
    assert run_function(landlock, source, test) == "passed"


def test_what_it_cannot_hide_can_be_asked_for_and_no_more(landlock: Runner, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("12345")
    secret.chmod(0o666)
    source = f"""{TRY}
def f():
    secret = {str(secret)!r}
    return posix.stat(secret).st_size, errors(
        lambda: open(secret), lambda: open(secret, "w"), lambda: posix.truncate(secret, 0),
        lambda: posix.unlink(secret), lambda: posix.rename(secret, "mine"),
        lambda: posix.link(secret, "mine"), lambda: posix.symlink("a", secret + "2"),
        lambda: posix.mkdir(secret + "2"), lambda: posix.chmod(secret, 0),
        lambda: posix.utime(secret), lambda: posix.setxattr(secret, "user.a", b"1"),
    )
"""
    test = """
size, errors = candidate()
assert size == 5, size
assert set(errors) <= {"EACCES", "EPERM", "EXDEV"}, errors
"""
    before = secret.stat()
    assert run_function(landlock, source, test) == "passed"
    after = secret.stat()
    assert secret.read_text() == "12345"
    assert (before.st_mtime_ns, before.st_mode) == (after.st_mtime_ns, after.st_mode)
    assert list(tmp_path.iterdir()) == [secret]


def test_the_library_can_be_read_and_not_written(landlock: Runner) -> None:
    source = f"""{TRY}
import colorsys
def f():
    place = os.path.dirname(os.__file__)
    assert posix.listdir(place) and open(os.__file__).read()
    return errors(
        lambda: open(os.__file__, "a"), lambda: open(place + "/new", "w"),
        lambda: posix.truncate(os.__file__, 1), lambda: posix.unlink(os.__file__),
        lambda: posix.rename(os.__file__, "os.py"), lambda: posix.link(os.__file__, "os.py"),
    )
"""
    test = 'assert set(candidate()) <= {"EACCES", "EPERM", "EXDEV"}, candidate()'
    assert run_function(landlock, source, test) == "passed"


def test_the_scratch_is_new_each_time_and_goes_with_the_program(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if not works("landlock"):
        pytest.skip("these walls cannot be put up here")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    source = """
import os, posix, tempfile
assert posix.getcwd() == tempfile.gettempdir() and posix.listdir(".") == []
os.makedirs("a/b")
open("a/b/c", "w").write("x")
os.symlink("a", "link")
posix.rename("a/b/c", "d")
posix.truncate("d", 0)
posix.unlink("d")
with tempfile.NamedTemporaryFile() as file:
    file.write(b"a")
assert open("/dev/null", "w").write("a") and open("/dev/zero", "rb").read(1) == b"\\0"
"""
    with Runner("landlock") as runner:
        for _ in range(2):
            assert run_alone(runner, source) == "passed"
            assert left_in(tmp_path) == []
        assert run_alone(runner, "import os\nos.mkdir('a')\nos._exit(0)") == "timed out"
        assert left_in(tmp_path) == []


@pytest.mark.medium
@pytest.mark.parametrize(
    "fill",
    [
        "for n in range(60): open(f'file{n}', 'w').close()",
        "for n in range(3): open(f'file{n}', 'wb').write(bytes(600_000))",
        "for n in range(400):\n    os.mkdir('d'); posix.chdir('d')",
    ],
    ids=["files", "bytes", "depth"],
)
def test_a_program_that_fills_its_scratch_is_stopped(landlock: Runner, fill: str) -> None:
    limits = Limits(5.0, scratch_bytes=1 << 20, scratch_files=50)
    if "mkdir" in fill:
        limits = Limits(5.0)  # deep it may not be however few files it has
    verdict = run_alone(landlock, f"import os, posix\n{fill}\nwhile True: pass", limits)
    assert (verdict, verdict.kind) == ("failed: more output than is allowed", "output_limit")


def test_one_file_cannot_be_larger_than_the_scratch(landlock: Runner) -> None:
    source = "open('a', 'wb', 0).write(bytes(1000)) and open('a', 'r+b', 0).truncate(2_000_000)"
    verdict = run_alone(landlock, source, Limits(scratch_bytes=1 << 20))
    assert verdict == "failed: [Errno 27] File too large"


@pytest.mark.parametrize("preload", [("shown",), ()], ids=["preloaded", "not preloaded"])
def test_a_package_of_many_is_shown_alone(tmp_path: Path, preload: tuple[str, ...]) -> None:
    if not works("landlock"):
        pytest.skip("these walls cannot be put up here")
    for name in ("shown", "hidden"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("x = 5\n")
        (tmp_path / name / "later.py").write_text("x = 6\n")
    source = f"""{TRY}
import shown, shown.later
def f():
    assert (shown.x, shown.later.x) == (5, 6)
    return errors(lambda: open(shown.__file__, "a"),
                  lambda: open({str(tmp_path)!r} + "/hidden/later.py"))
"""
    with Runner("landlock", [str(tmp_path / "shown")], preload) as runner:
        test = 'assert candidate() == ["EACCES", "EACCES"], candidate()'
        assert run_function(runner, source, test) == "passed"


def test_a_kernel_without_landlock_has_version_0(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> int:
        raise OSError(38, "landlock: Function not implemented")

    monkeypatch.setattr(kernel, "syscall", missing)
    assert rules.version() == 0


def test_each_version_has_its_rights(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only rights that the kernel knows are asked for, and those of its networks and scopes."""
    asked = []

    def syscall(number: int, what: str, *words: Any) -> int:
        if number == kernel.LANDLOCK_CREATE:
            asked.append(words)
            return os.open(os.devnull, os.O_RDONLY)
        return 0

    monkeypatch.setattr(kernel, "syscall", syscall)
    sizes = {}
    for version in (3, 4, 5, 6, 7, 99):
        monkeypatch.setattr(rules, "version", lambda version=version: version)
        rules.restrict([sys.prefix, "/no/such/path"], tempfile.gettempdir(), ["/dev/null"])
        given, size = asked[-1][0]._obj, asked[-1][1].value
        sizes[version] = size, given.files.bit_length(), given.network, given.scopes
    assert sizes == {
        3: (8, 15, 0, 0), 4: (16, 15, 3, 0), 5: (16, 16, 3, 0), 6: (24, 16, 3, 3),
        7: (24, 16, 3, 3), 99: (24, 16, 3, 3),
    }  # fmt: skip
