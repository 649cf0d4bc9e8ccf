"""Which walls hold is tried out; where none holds, nothing is run."""

from pathlib import Path
from typing import Any

import pytest
from sandboxes import works
from support import eval_command, one_line, write_rows

from eval.sandbox import probe
from eval.sandbox.probe import find_backend, why_not
from eval.sandbox.runner import Backend, Limits, Program, RefusedError, Runner
from eval.sandbox.verdict import Verdict
from eval.sandbox.walls import landlock, seccomp


class Fake(Runner):
    """A runner whose start fails, or whose programs have these verdicts."""

    started: list[Backend] = []  # noqa: RUF012  # of all

    def __init__(self, backend: Backend, refused: str = "", verdict: str = "passed") -> None:
        super().__init__(backend)
        self._refused, self._verdict = refused, verdict
        Fake.started.append(backend)

    def run(self, program: Program, limits: Limits, stop: Any = None) -> Verdict:
        if self._refused:
            raise RefusedError(self._refused)
        return Verdict(self._verdict)


@pytest.fixture(autouse=True)
def _machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with everything."""
    monkeypatch.setattr(Fake, "started", [])
    monkeypatch.setattr(landlock, "version", lambda: 7)
    monkeypatch.setattr(seccomp, "supported", lambda: "")


def refuses(**reasons: str) -> Any:
    """Starts fakes that refuse for these reasons, by backend."""
    return lambda backend: Fake(backend, reasons.get(backend, ""))


def test_namespaces_come_first_and_are_enough() -> None:
    assert find_backend(start=Fake) == "namespaces"
    assert find_backend("namespaces", Fake) == "namespaces"
    assert Fake.started == ["namespaces"] * 2


def test_landlock_comes_second() -> None:
    assert find_backend(start=refuses(namespaces="unshare: no")) == "landlock"
    assert Fake.started == ["namespaces", "landlock"]
    assert find_backend("landlock", Fake) == "landlock"


def test_what_every_backend_lacks_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landlock, "version", lambda: 2)
    with pytest.raises(RefusedError) as raised:
        find_backend(start=refuses(namespaces="unshare: Operation not permitted"))
    text = str(raised.value)
    assert raised.value.status == 3
    assert text.startswith("no sandbox works on this machine, so no program is run (")
    assert "namespaces: unshare: Operation not permitted" in text
    assert "landlock: Landlock is of version 2, and version 3 (Linux 6.2) is needed" in text
    for help_ in ("--security-opt seccomp=unconfined", "SYS_ADMIN", "Linux 6.2 or newer",
                  "--unsafe-no-sandbox"):  # fmt: skip
        assert help_ in text
    assert Fake.started == ["namespaces"]


def test_a_wanted_backend_has_no_substitute(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RefusedError, match=r"\(namespaces: no\)"):
        find_backend("namespaces", refuses(namespaces="no"))
    monkeypatch.setattr(landlock, "version", lambda: 0)
    with pytest.raises(RefusedError, match="Landlock is not in this kernel"):
        find_backend("landlock", Fake)
    assert Fake.started == ["namespaces"]


def test_another_machine_or_system_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seccomp, "supported", lambda: "the list is for others")
    with pytest.raises(RefusedError, match="namespaces: the list is for others; landlock: the"):
        find_backend(start=Fake)
    monkeypatch.setattr("sys.platform", "darwin")
    with pytest.raises(RefusedError, match="on Linux only, not on darwin") as raised:
        find_backend(start=Fake)
    assert "\n" not in str(raised.value)
    assert Fake.started == []


@pytest.mark.parametrize("verdict", ["failed: ['read files']", "timed out", "infra error: hm"])
def test_walls_that_do_not_hold_are_refused(verdict: str) -> None:
    def start(backend: Backend) -> Runner:
        return Fake(backend, verdict=verdict)

    assert why_not("namespaces", start)
    with pytest.raises(RefusedError, match="a program behind these walls could"):
        find_backend(start=start)


def test_no_walls_are_seen_to_be_none() -> None:
    """The real programs, without walls: they must find every hole."""
    found = why_not("namespaces", lambda _: Runner("none"))
    for hole in ("read files", "list files", "write files", "use the network", "start processes",
                 "send signals"):  # fmt: skip
        assert hole in found
    with pytest.raises(RefusedError, match="could"):
        find_backend(start=lambda _: Runner("none"))


@pytest.mark.parametrize("backend", ["namespaces", "landlock"])
def test_real_walls_hold(backend: Backend) -> None:
    if not works(backend):
        pytest.skip("these walls cannot be put up here")
    assert why_not(backend) == ""


def test_the_command_refuses_in_one_line_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(self: Runner) -> None:
        raise RefusedError("unshare: Operation not permitted")

    monkeypatch.setattr(Runner, "start", refused)
    monkeypatch.setattr(landlock, "version", lambda: 1)
    rows = [{"task_id": "micro/0", "completion": "    return x\n"}]
    samples = write_rows(tmp_path / "samples.jsonl", rows)
    words = ["grade", "--samples", str(samples), "--suite", "micro", "--partial"]
    status, figures, said = eval_command(capsys, *words)
    assert (status, figures) == (3, {})
    line = one_line(said)
    assert line.startswith("error: no sandbox works on this machine")
    assert (
        "namespaces: unshare: Operation not permitted; landlock: Landlock is of version 1" in line
    )
    for sandbox in ("namespaces", "landlock"):
        status, _, said = eval_command(capsys, *words, "--sandbox", sandbox)
        assert status == 3
        assert f"({sandbox}: " in one_line(said)
    assert list(tmp_path.iterdir()) == [samples]


def test_the_tries_of_the_probe_name_what_they_could() -> None:
    names = [line.split('"')[1] for line in probe._TRIES.splitlines() if 'attempt("' in line]
    assert len(set(names)) == len(names) == 6
