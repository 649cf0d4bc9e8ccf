"""How many cores a process may use: its affinity and its cgroups' quotas, on made-up trees."""

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support import ROOT

from bytelm.base import cores as module
from bytelm.base.cores import limit_threads, usable_cores


@pytest.fixture(autouse=True)
def sixteen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)))


def tree(root: Path, group: str, files: dict[str, str]) -> Path:
    """A machine's /proc/self/cgroup and files in its /sys/fs/cgroup."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(group)
    for name, text in files.items():
        path = root / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return root


QUOTA, PERIOD = "cpu.cfs_quota_us", "cpu.cfs_period_us"
BOTH = "cpu,cpuacct"


@pytest.mark.parametrize(
    ("group", "files", "cores"),
    [
        ("0::/\n", {}, 16),
        ("0::/\n", {"cpu.max": "max 100000"}, 16),
        ("0::/\n", {"cpu.max": "50000 100000"}, 1),
        ("0::/\n", {"cpu.max": "150000 100000"}, 2),
        ("0::/\n", {"cpu.max": "400000 100000"}, 4),
        ("0::/\n", {"cpu.max": "6400000 100000"}, 16),
        ("0::/\n", {"cpu.max": "what is this"}, 16),
        ("0::/\n", {"cpu.max": "100000 0"}, 16),
        ("0::/\n", {"cpu.max": ""}, 16),
        ("0::/\n", {"cpu.max": "300000"}, 3),
        # The quota of a job counts for each step in it.
        ("0::/job/step\n", {"job/step/cpu.max": "max 100000", "job/cpu.max": "200000 100000"}, 2),
        ("0::/job/step\n", {"job/step/cpu.max": "100000", "job/cpu.max": "800000 100000"}, 1),
        # A container sees the mount only, and not the folder on the host.
        ("0::/docker/abc\n", {"cpu.max": "300000 100000"}, 3),
        ("0::/../../other\n", {"cpu.max": "300000 100000"}, 3),
        ("4:cpu,cpuacct:/\n", {f"{BOTH}/{QUOTA}": "50000", f"{BOTH}/{PERIOD}": "100000"}, 1),
        ("4:cpu:/\n0::/\n", {f"cpu/{QUOTA}": "-1", f"cpu/{PERIOD}": "100000"}, 16),
        ("4:cpu:/a/b\n0::/\n", {f"cpu/a/{QUOTA}": "250000", f"cpu/a/{PERIOD}": "100000"}, 3),
        ("4:cpu:/docker/a\n", {f"cpu/{QUOTA}": "200000", f"cpu/{PERIOD}": "100000"}, 2),
        ("4:cpuset:/\n3:memory:/\n", {f"cpu/{QUOTA}": "100000", f"cpu/{PERIOD}": "100000"}, 16),
    ],
)  # fmt: skip
def test_the_smallest_quota_counts(
    tmp_path: Path, group: str, files: dict[str, str], cores: int
) -> None:
    assert usable_cores(tree(tmp_path, group, files)) == cores


def test_the_affinity_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5})
    assert usable_cores(tree(tmp_path, "0::/\n", {"cpu.max": "800000 100000"})) == 2
    assert usable_cores(tmp_path / "nowhere") == 2


@given(st.integers(-5, 10**12), st.integers(-5, 10**7))
def test_a_quota_is_rounded_up_and_never_zero(quota: int, period: int) -> None:
    [*shares] = module._quota(str(quota), str(period))
    cores = max(1, min([16, *map(math.ceil, shares)]))
    assert 1 <= cores <= 16
    if quota > 0 and period > 0:
        assert cores == 16 or cores >= quota / period


def test_torch_gets_as_many_threads_as_there_are_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[int] = []
    monkeypatch.setattr(module, "_limited", False)
    monkeypatch.setattr(module, "usable_cores", lambda: 3)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 16)
    monkeypatch.setattr(torch, "set_num_threads", given.append)
    monkeypatch.setenv("TORCHINDUCTOR_COMPILE_THREADS", "")
    monkeypatch.setenv("OMP_NUM_THREADS", "9")
    limit_threads()
    assert given == [], "the user has said how many"
    monkeypatch.delenv("OMP_NUM_THREADS")
    limit_threads()
    assert given == [3]
    limit_threads()
    assert given == [3], "later, the caller may have asked torch for another number"


COMMAND = """
import dataclasses, os, sys
os.sched_getaffinity = lambda _: set(range(16))
from bytelm.base import cores; from bytelm.commands import cli
cores.usable_cores = lambda: 1
@dataclasses.dataclass
class Command:
    def run(self):
        import torch
        return {"threads": torch.get_num_threads()}
sys.exit(cli.main("x", "", {"command": Command}, ["command"]))
"""


@pytest.mark.medium
@pytest.mark.parametrize(("asked", "threads"), [(None, 1), ("2", 2)])
def test_every_command_begins_so(asked: str | None, threads: int) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"}
    if asked is not None:
        environment["OMP_NUM_THREADS"] = asked
    done = subprocess.run(
        [sys.executable, "-c", COMMAND], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.stdout == f'{{"threads": {threads}}}\n', done.stderr
