"""How many cores this process may use, and torch's number of threads.

Torch sees the cores that a process may run on, but no quota. A container or a job of a cluster
often has a quota: a share of the processor's time. More threads than that wait for each other, so
that two are slower than one.
"""

import math
import os
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

# Where the controller of the processor's time is mounted, with version 1 of cgroups.
MOUNTS_1 = ("cpu", "cpu,cpuacct", "cpuacct,cpu")

_limited = False


def usable_cores(root: Path = Path("/")) -> int:
    """The number of cores that this process may use: at least 1.

    It is the smallest of the cores that the process may run on (its affinity) and the quotas of its
    cgroups (version 1 or 2), rounded up. `root`: where /proc and /sys lie, for tests.
    """
    return max(1, min([_seen_cores(), *(math.ceil(share) for share in _quotas(root))]))


def _seen_cores() -> int:
    """The cores that torch sees: those that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quotas(root: Path) -> Iterator[float]:
    """The quotas of this process, in cores: of its cgroups, and of all above them."""
    mounted = root / "sys" / "fs" / "cgroup"
    for controllers, group in _groups(root / "proc" / "self" / "cgroup"):
        if controllers == "":
            for mount in (mounted, mounted / "unified"):
                for folder in _upwards(mount, group):
                    yield from _quota(*_words(folder / "cpu.max")[:2])
        elif "cpu" in controllers.split(","):
            for mount in (mounted / name for name in MOUNTS_1):
                for folder in _upwards(mount, group):
                    quota, period = (
                        "".join(_words(folder / f"cpu.cfs_{name}_us")[:1])
                        for name in ("quota", "period")
                    )
                    yield from _quota(quota, period)


def _groups(path: Path) -> list[tuple[str, str]]:
    """Controllers and folder of each cgroup of this process; version 2 names no controllers."""
    lines = [line.split(":", 2) for line in _text(path).splitlines()]
    groups = [(parts[1], parts[2]) for parts in lines if len(parts) == 3]
    # Without /proc/self/cgroup, the mounts' own files may still tell.
    return groups or [("", "/"), ("cpu", "/")]


def _upwards(mount: Path, group: str) -> Iterator[Path]:
    """The folder of a cgroup and all folders above it, up to the mount.

    In a container, `group` may be a path on the host, of which only the mount can be seen.
    """
    parts = [part for part in PurePosixPath(group).parts if part not in ("/", "..")]
    for length in range(len(parts), -1, -1):
        yield mount.joinpath(*parts[:length])


def _quota(quota: str = "max", period: str = "100000") -> Iterator[float]:
    """Nothing if there is no quota: "max" in version 2, -1 in version 1."""
    try:
        share = int(quota) / int(period)
    except (ValueError, ZeroDivisionError):
        return
    if share > 0:
        yield share


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _words(path: Path) -> list[str]:
    return _text(path).split()


def limit_threads(local_ranks: int = 1) -> None:
    """Let torch use no more threads than there are usable cores.

    `local_ranks`: the processes of this machine that share the cores. (If torch is imported
    already, `ranks.joined` divides them.) Nothing is changed if
    OMP_NUM_THREADS is set, and only the first call has an effect: later, the caller may have asked
    torch for another number.
    """
    global _limited
    if _limited or os.environ.get("OMP_NUM_THREADS"):
        return
    _limited = True
    cores = usable_cores()
    if cores >= _seen_cores():
        return
    # Two at least: with one, torch would compile in the thread that signals interrupt.
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", str(max(2, cores)))
    torch = sys.modules.get("torch")
    if torch is None:
        # Torch will read this when it is imported, and so will processes that are started here.
        os.environ["OMP_NUM_THREADS"] = str(max(1, cores // local_ranks))
    elif torch.get_num_threads() > cores:
        torch.set_num_threads(cores)
