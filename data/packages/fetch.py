"""Wheels in a folder, and those that pip downloads into it. They are never built, and never run."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bytelm.toolkit import InputError, option, progress_bar, say
from data.packages.listed import Wanted

if TYPE_CHECKING:
    from packaging.version import Version

# pip spends most of its time waiting.
_AT_ONCE = 4


@dataclass(frozen=True)
class Wheel:
    """A wheel of a package, by the package's normal name."""

    package: str
    version: "Version"
    path: Path


def wheels_in(folder: Path) -> list[Wheel]:
    """The wheels in a folder by name, newest version first; files with other names are not."""
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename

    found = []
    for path in sorted(folder.glob("*.whl")):
        try:
            package, version, *_ = parse_wheel_filename(path.name)
        except InvalidWheelFilename:
            say(f"left out {path.name}: its name is no wheel's")
            continue
        found.append(Wheel(package, version, path))
    # Sorting is stable: of two wheels of one version, the first by name stays first.
    found.sort(key=lambda wheel: wheel.version, reverse=True)
    return sorted(found, key=lambda wheel: wheel.package)


def local(folder: Path) -> list[Wheel]:
    """The newest wheel of each package in a folder. Raises InputError if there is none."""
    if not folder.is_dir():
        what = "is not a folder" if folder.exists() else "does not exist"
        raise InputError(
            f"{option('wheels')} {folder} {what}; name wheels to fetch with {option('packages')}"
        )
    newest: dict[str, Wheel] = {}
    for wheel in wheels_in(folder):
        newest.setdefault(wheel.package, wheel)
    if not newest:
        raise InputError(f"{option('wheels')} {folder} holds no wheel (*.whl)")
    return list(newest.values())


def fetched(wanted: list[Wanted], folder: Path) -> tuple[list[Wheel], dict[str, str]]:
    """A wheel for each package of a list; those that are not in `folder` yet are downloaded.

    Returns the wheels in the order of the list, and why others cannot be had, by package. Raises
    InputError if none can.
    """
    folder.mkdir(parents=True, exist_ok=True)
    known = wheels_in(folder)
    missing = [one for one in wanted if _match(one, known) is None]
    whys: dict[str, str] = {}
    if missing:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            results = pool.map(lambda one: _fetch(one, folder), missing)
            bar = progress_bar(results, desc="fetching", unit=" wheels", total=len(missing))
            with bar as answers:
                for one, why in zip(missing, answers, strict=True):
                    if why:
                        whys[str(one)] = why
                        say(f"cannot be had: {one} ({why})")
        known = wheels_in(folder)
    found = [wheel for one in wanted if (wheel := _match(one, known)) is not None]
    if not found:
        first = next(iter(whys.items()), ("", "nothing was downloaded"))
        raise InputError(f"none of {len(wanted)} packages can be had; {first[0]}: {first[1]}")
    return found, whys


def _match(wanted: Wanted, wheels: Iterable[Wheel]) -> Wheel | None:
    """The newest of the wheels of a package that has its version."""
    from packaging.version import InvalidVersion, Version

    try:
        version = Version(wanted.version) if wanted.version else None
    except InvalidVersion:
        return None
    for wheel in wheels:
        if wheel.package == wanted.name and version in (None, wheel.version):
            return wheel
    return None


def _fetch(wanted: Wanted, folder: Path) -> str:
    """Download a wheel into `folder`. Returns why it cannot be had, or "" if it is there."""
    # Beside the others, and renamed when it is whole.
    with tempfile.TemporaryDirectory(prefix=".fetching-", dir=folder) as aside:
        command = [sys.executable, "-P", "-m", "pip", "download", "-q", "--no-deps"]
        command += ["--disable-pip-version-check", "--only-binary", ":all:", "-d", aside]
        done = subprocess.run(
            [*command, str(wanted)], check=False, capture_output=True, text=True, errors="replace"
        )
        if done.returncode:
            lines = [line for line in done.stderr.splitlines() if line.strip()]
            errors = [line for line in lines if line.startswith("ERROR")] or lines or ["pip failed"]
            return errors[-1].removeprefix("ERROR: ")
        for path in sorted(Path(aside).glob("*.whl")):
            shutil.move(path, folder / path.name)
    return ""
