"""Training runs as child processes, several at a time. They end when the parent ends."""

import os
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from bytelm.toolkit import (
    InputError,
    progress_bar,
)

# Seconds between checks on the running processes.
POLL_S = 0.2


def child_environment() -> dict[str, str]:
    """The variables of a child that runs this bytelm, with one thread.

    It is started with -P, so that it runs no file bytelm.py or torch.py of the current folder.
    """
    # bytelm lies beside eval.
    root = str(Path(__file__).parents[2])
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    # Installed packages are found anyway. In PYTHONPATH they would come before Python's own.
    if root not in (sysconfig.get_path("purelib"), sysconfig.get_path("platlib")):
        paths.insert(0, root)
    # An empty path would be the current folder.
    found = os.pathsep.join(path for path in paths if path)
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": found}


def setting_words(settings: Mapping[str, object]) -> list[str]:
    """`settings` such as {"model.width": 64} as arguments for `python -m bytelm train`."""
    words = []
    for name, value in settings.items():
        table, dot, last = name.replace("_", "-").rpartition(".")
        if isinstance(value, bool):
            words.append(f"--{table}{dot}{last}" if value else f"--{table}{dot}no-{last}")
        else:
            values = value if isinstance(value, list | tuple) else [value]
            words += [f"--{table}{dot}{last}", *map(str, values)]
    return words


def train_all(
    arguments: Mapping[str, Sequence[str]], logs: Path, at_once: int, label: str
) -> Iterator[str]:
    """Run `python -m bytelm train` with each of `arguments`, `at_once` at a time.

    Yields each run's name when it has succeeded. Raises InputError for a run that failed. Each run
    has one thread, so that its rounding, and thus its model, does not depend on `at_once`. Its
    stderr goes to `logs/NAME.log`. At the end, runs that are still going are sent SIGTERM, save,
    and are waited for.
    """
    waiting = list(arguments)
    running: dict[str, subprocess.Popen[str]] = {}
    try:
        with progress_bar(total=len(waiting), desc=label, unit=" models") as bar:
            while waiting or running:
                while waiting and len(running) < at_once:
                    name = waiting.pop(0)
                    running[name] = _start(arguments[name], logs / f"{name}.log")
                    bar.set_postfix_str(", ".join(running))
                ended = [name for name, process in running.items() if process.poll() is not None]
                for name in ended:
                    _check(name, running.pop(name).returncode, logs / f"{name}.log")
                    bar.update()
                    yield name
                if not ended:
                    time.sleep(POLL_S)
    finally:
        for process in running.values():
            process.terminate()
        for process in running.values():
            process.wait()


def _start(arguments: Sequence[str], log: Path) -> "subprocess.Popen[str]":
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a") as file:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "bytelm", "train", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=file,
            env=child_environment(),
            text=True,
        )


def _check(name: str, status: int, log: Path) -> None:
    if status == 0:
        return
    said = log.read_text(encoding="utf-8", errors="replace").split("\n")
    words = [line.split("\r")[-1].strip() for line in said if line.strip()]
    raise InputError(
        f"training {name} ended with status {status}: "
        f"{words[-1] if words else 'no output'} (its full output: {log})"
    )
