"""The same shards from any number of processes, and from work that was killed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support import ROOT, wait_until
from wheels import code, many, wheel

import data.packages.work as module
from bytelm.base.errors import InputError
from bytelm.files.claims import claimed
from data.benchmarks import Benchmarks
from data.build import Build
from data.packages.fetch import local
from data.packages.part import Part
from data.packages.work import Limits, Task, make_part
from data.steps.judge import Choices, Steps


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def build(wheels: Path, out: Path, processes: int = 1) -> dict[str, bytes]:
    Build(out=out, recipe="packages", wheels=wheels, processes=processes).run()
    assert not out.with_name(f"{out.name}.parts").exists()
    return files_of(out)


@pytest.mark.medium
def test_the_bytes_are_the_same_for_any_number_of_processes(tmp_path: Path) -> None:
    wheels = many(tmp_path / "wheels")
    one = build(wheels, tmp_path / "1")
    assert build(wheels, tmp_path / "2", 2) == one
    assert build(wheels, tmp_path / "5", 5) == one


def test_parts_are_not_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheels, out = many(tmp_path / "wheels", 6), tmp_path / "out"
    whole = build(wheels, tmp_path / "whole")
    made: list[str] = []
    fill = module._fill

    def stops(part: object, sources: object, steps: object) -> None:
        made.append(sources.wheel.package)  # type: ignore[attr-defined]
        if len(made) == 4:
            raise KeyboardInterrupt
        fill(part, sources, steps)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "_fill", stops)
    with pytest.raises(KeyboardInterrupt):
        build(wheels, out)
    assert not out.exists()
    parts = tmp_path / "out.parts"
    assert sorted(path.name for path in parts.iterdir()) == sorted(made[:3])
    assert len(Part(parts / made[0])) == 4
    # A part that was begun and one that is damaged are made again.
    (parts / f".{made[3]}.0123abcd.unfinished").mkdir()
    (parts / f".{made[3]}.0123abcd.unfinished" / ".about.json.4567").touch()
    (parts / made[0] / "about.json").write_text("{")
    assert build(wheels, out) == whole
    assert len(made) == 4 + 4
    assert set(made) == {f"p{n}" for n in range(6)}


def test_other_wheels_and_other_steps_make_other_parts(tmp_path: Path) -> None:
    wheels, parts = many(tmp_path / "wheels", 3), tmp_path / "parts"

    def keys(choices: Choices) -> dict[str, str]:
        task = Task(parts, Steps(choices, Benchmarks([])), Limits(1 << 20))
        for one in local(wheels):
            make_part(one, task)
        return {path.name: Part(path).about["key"] for path in parts.iterdir()}

    first = keys(Choices())
    assert keys(Choices()) == first
    wheel(wheels, "p0", {"p0/new.py": code(9)})
    second = keys(Choices())
    assert {name for name in first if first[name] != second[name]} == {"p0"}
    assert Part(parts / "p0").names == ["p0/p0/new.py"]
    third = keys(Choices(secrets="replace"))
    assert not set(third.values()) & set(second.values())


def _is_free(folder: Path) -> bool:
    try:
        with claimed(folder):
            return True
    except InputError:
        return False


@pytest.mark.slow
@pytest.mark.parametrize("parts", [0, 1, 3, 7, 11])
def test_a_build_that_was_killed_goes_on_to_the_same_bytes(tmp_path: Path, parts: int) -> None:
    wheels, out = many(tmp_path / "wheels", files=60), tmp_path / "out"
    whole = build(wheels, tmp_path / "whole")
    command = [sys.executable, "-m", "data", "build", "--recipe", "packages", "--processes", "2"]
    command += ["--wheels", str(wheels), "--out", str(out)]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    place = tmp_path / "out.parts"

    def so_far() -> bool:
        done = len([*place.glob("p*")]) if place.exists() else -1
        return done >= parts or process.poll() is not None

    wait_until(so_far)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    # Its workers end when they see that it is gone. Until then the parts are claimed.
    wait_until(lambda: _is_free(place))
    # The folder that was written aside stays, as after every kill.
    assert build(wheels, out, 2) == whole
