"""The files that a program behind namespaces sees: which they are, and that it sees no others."""

import os
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sandboxes import TRY, run_alone, run_function, works

from eval.sandbox.runner import Limits, Runner
from eval.sandbox.walls import root


def test_the_library_is_there_and_nothing_is_nested() -> None:
    found = root.library_paths()
    assert found == sorted(set(found))
    assert all(Path(path).exists() for path in found)
    for one in found:
        assert not [other for other in found if other.startswith(f"{one}/")]
    for needed in (os.__file__, sysconfig.get_paths()["platstdlib"]):
        assert [path for path in found if f"{needed}/".startswith(f"{path}/")], needed
    outside = {"/", "/usr", "/etc", "/home", "/root", "/var", "/tmp", "/opt", "/proc"}
    assert not outside & {*found}


def test_an_interpreter_of_the_system_shows_its_own_library_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stdlib = tmp_path / "lib" / "python3"
    (stdlib / "site-packages").mkdir(parents=True)
    (tmp_path / "lib" / "libpython3.so.1.0").touch()
    (tmp_path / "lib" / "libsecret.so").touch()
    monkeypatch.setattr(sys, "base_prefix", str(tmp_path))
    monkeypatch.setattr(root, "_SYSTEM", (str(tmp_path),))
    paths = {"stdlib": str(stdlib), "platstdlib": str(stdlib)}
    monkeypatch.setattr(sysconfig, "get_paths", lambda: paths)
    shown = {path for path in root.library_paths() if path.startswith(str(tmp_path))}
    assert shown == {str(stdlib), str(tmp_path / "lib" / "libpython3.so.1.0")}
    monkeypatch.setattr(root, "_SYSTEM", ())
    shown = {path for path in root.library_paths() if path.startswith(str(tmp_path))}
    assert shown == {str(tmp_path / "lib")}


def test_installed_packages_inside_the_library_are_hidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stdlib = tmp_path / "python3"
    (stdlib / "site-packages").mkdir(parents=True)
    monkeypatch.setattr(sysconfig, "get_paths", lambda: {"stdlib": str(stdlib)})
    wanted = [str(stdlib / "site-packages")]
    assert root.hidden_folders([str(stdlib)]) == wanted
    assert root.hidden_folders(["/usr", str(tmp_path)]) == wanted
    assert root.hidden_folders([str(tmp_path / "pyth")]) == []
    (stdlib / "dist-packages").mkdir()
    assert root.hidden_folders([str(stdlib)]) == [*wanted, str(stdlib / "dist-packages")]


@pytest.mark.parametrize(
    ("paths", "wanted"),
    [
        ([], []),
        (["/b", "/a", "/b"], ["/a", "/b"]),
        (["/a/b/c", "/a/b", "/a/bc"], ["/a/b", "/a/bc"]),
        (["/lib64", "/lib", "/lib/x", "/lib-x"], ["/lib", "/lib-x", "/lib64"]),
    ],
)
def test_paths_inside_others_are_left_out(paths: list[str], wanted: list[str]) -> None:
    assert root._without_nested(iter(paths)) == wanted


def test_links_of_the_old_root_are_followed_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    links = {"/old/lib": "usr/lib", "/old/usr/lib/a": "/etc/a", "/old/etc/a": "../srv/./a",
             "/old/loop": "loop"}  # fmt: skip
    monkeypatch.setattr(os.path, "islink", lambda path: path in links)
    monkeypatch.setattr(os, "readlink", lambda path: links[path])
    assert root._without_links("/usr/lib/python3") == "/usr/lib/python3"
    assert root._without_links("/lib/python3") == "/usr/lib/python3"
    assert root._without_links("/lib/a/b") == "/srv/a/b"
    with pytest.raises(OSError, match="too many links: /loop/x"):
        root._without_links("/loop/x")


def test_there_is_no_machine_around_the_program(namespaces: Runner) -> None:
    source = f"""{TRY}
def f():
    gone = ("/proc", "/sys", "/home", "/var", "/opt", "/run", "/etc/passwd", "/etc/hostname",
            "/dev/shm", "/dev/tty", "/dev/mem", "/bin", "/usr/bin/env", {__file__!r},
            {sys.executable!r}, os.path.expanduser("~"), "/old", "/tmp/..//old")
    assert errors(*(lambda p=p: posix.lstat(p) for p in gone)) == ["ENOENT"] * len(gone)
    closed = ("/etc", "/dev", "/usr")
    return errors(*(lambda p=p: posix.listdir(p) for p in closed if os.path.exists(p)))
"""
    test = 'assert set(candidate()) == {"EACCES"}, candidate()'
    assert run_function(namespaces, source, test) == "passed"


def test_what_there_is_cannot_be_written(namespaces: Runner) -> None:
    source = f"""{TRY}
def f():
    for path in ("/", "/dev", os.__file__, os.path.dirname(os.__file__), "/lib64"):
        assert os.statvfs(path).f_flag & (posix.ST_RDONLY | posix.ST_NOSUID) == \\
            posix.ST_RDONLY | posix.ST_NOSUID, path
    place = os.path.dirname(os.__file__)
    return errors(
        lambda: open("/new", "w"), lambda: open("/dev/new", "w"), lambda: open(os.__file__, "a"),
        lambda: open(place + "/new", "w"), lambda: posix.unlink(os.__file__),
        lambda: posix.rename(os.__file__, "/tmp/os.py"), lambda: posix.mkdir("/new"),
        lambda: posix.link(os.__file__, "/tmp/os.py"), lambda: posix.truncate(os.__file__, 0),
    )
"""
    test = 'assert not {"done"} & set(candidate()), candidate()'
    assert run_function(namespaces, source, test) == "passed"


def test_the_devices_work(namespaces: Runner) -> None:
    source = f"""{TRY}
def f():
    assert open("/dev/null").read() == "" and open("/dev/null", "w").write("a") == 1
    assert open("/dev/zero", "rb").read(3) == bytes(3)
    assert len(open("/dev/random", "rb").read(3) + open("/dev/urandom", "rb").read(3)) == 6
    full = open("/dev/full", "wb", 0)
    return errors(lambda: full.write(b"a"))
"""
    assert run_function(namespaces, source, 'assert candidate() == ["ENOSPC"]') == "passed"


def test_the_scratch_is_new_each_time_and_cannot_run_programs(namespaces: Runner) -> None:
    source = """
import os, posix, stat, tempfile
assert posix.getcwd() == tempfile.gettempdir() == "/tmp"
assert posix.listdir(".") == posix.listdir("/tmp") == []
flags = os.statvfs(".").f_flag
assert flags & posix.ST_NOEXEC and flags & posix.ST_NODEV and flags & posix.ST_NOSUID
assert stat.S_IMODE(os.stat(".").st_mode) == 0o700 and os.stat(".").st_uid == os.getuid()
os.makedirs("a/b")
open("a/b/c", "w").write("x")
with tempfile.NamedTemporaryFile() as file:
    file.write(b"a")
"""
    for _ in range(2):
        assert run_alone(namespaces, source) == "passed"


def test_the_scratch_holds_so_many_bytes_and_files(namespaces: Runner) -> None:
    limits = Limits(scratch_bytes=1 << 20, scratch_files=50)
    source = f"""{TRY}
def write(name, size):
    with open(name, "wb", 0) as file:
        assert file.write(bytes(size)) == size, "No space left"
def f():
    files = errors(*(lambda n=n: open(f"file{{n}}", "w").close() for n in range(60)))
    assert files.count("done") in range(40, 51) and set(files) == {{"done", "ENOSPC"}}
    write("file0", 600_000)
    assert errors(lambda: posix.truncate("file1", 2 << 20)) == ["EFBIG"]
    try:
        write("file2", 600_000)
    except (OSError, AssertionError) as error:
        assert "No space left" in str(error), error
        posix.unlink("file0")
        write("file3", 300_000)
        return True
"""
    assert run_function(namespaces, source, "assert candidate()", limits) == "passed"


def test_the_program_is_a_user_of_no_rights_and_a_name_of_its_own(namespaces: Runner) -> None:
    source = f"""{TRY}
def f():
    assert (os.getuid(), os.getgid(), os.getgroups()) == (1000, 1000, [])
    assert (os.getpid(), os.getppid()) == (1, 0)
    assert os.uname().nodename == "sandbox"
    return errors(
        lambda: posix.setuid(0), lambda: posix.chmod(".", 0o777), lambda: posix.mkfifo("fifo"),
        lambda: posix.chroot("/tmp"), lambda: posix.kill(1 + 1, 0), lambda: posix.nice(1),
        lambda: socket.sethostname("me"), lambda: posix.fork() or posix._exit(0),
    )
"""
    test = 'assert set(candidate()) <= {"EPERM", "EACCES"}, candidate()'
    assert run_function(namespaces, source, test) == "passed"


PACKAGE = f"""{TRY}
import shown, shown.later, single
try:
    import hidden
except ModuleNotFoundError:
    hidden = None
def f():
    assert (shown.x, shown.later.x, single.x, hidden) == (5, 6, 7, None)
    place = os.path.dirname(shown.__file__)
    assert posix.listdir(place)
    return errors(lambda: open(place + "/new", "w"), lambda: posix.lstat(place + "/../hidden"))
"""


# Not /tmp: the scratch lies there.
@pytest.fixture(params=["/var/tmp"])
def packages(request: pytest.FixtureRequest) -> Iterator[Path]:
    """A folder with modules. One may lie in /tmp, too, which behind the walls is the scratch."""
    with tempfile.TemporaryDirectory(dir=request.param, prefix="bytelm-test-") as name:
        folder = Path(name)
        for package in ("shown", "hidden"):
            (folder / package).mkdir()
            (folder / package / "__init__.py").write_text("from . import inner\nx = inner.x\n")
            (folder / package / "inner.py").write_text("x = 5\n")
            (folder / package / "later.py").write_text("x = 6\n")
        (folder / "single.py").write_text("x = 7\n")
        yield folder


@pytest.mark.parametrize("preload", [("shown", "single"), ()], ids=["preloaded", "not preloaded"])
def test_packages_are_shown_and_not_their_neighbours(
    packages: Path, preload: tuple[str, ...]
) -> None:
    if not works("namespaces"):
        pytest.skip("these walls cannot be put up here")
    paths = [str(packages / "shown"), str(packages / "single.py")]
    with Runner("namespaces", paths, preload) as runner:
        test = 'assert candidate() == ["EROFS", "ENOENT"], candidate()'
        assert run_function(runner, PACKAGE, test) == "passed"
