"""The suites that --suite knows: named.toml, and where the file of each is found."""

import functools
import importlib.util
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bytelm.toolkit import InputError, option
from eval.suites.files import Rows, read_dataset, read_rows

HERE = Path(__file__).parent
FOLDER = "BYTELM_SUITES"
"""The environment variable with the folder of files that were fetched."""


@dataclass(frozen=True)
class NamedSuite:
    """A suite of named.toml, which explains the values."""

    name: str
    format: str
    prompt: str
    stops: str
    published: str
    licence: str
    options: dict[str, Any] = field(default_factory=dict)
    problems: int = 0
    beside: str = ""
    package: str = ""
    install: str = ""
    variable: str = ""
    files: tuple[str, ...] = ()
    dataset: str = ""
    config: str | None = None
    split: str = ""

    @property
    def has_file(self) -> bool:
        """Whether its file is always here or in a package, so that none may be given."""
        return bool(self.beside or self.package)

    def find(self) -> Path | None:
        """The suite's file; None where it is not on this machine.

        Raises InputError if its package is not installed, if BYTELM_SUITES is no folder, and if
        several files there have the same right to be this one.
        """
        if self.beside:
            return HERE / self.beside
        if self.package:
            return self._in_package()
        if os.environ.get(self.variable):
            return Path(os.environ[self.variable])
        folder = _folder()
        if folder is None:
            return None
        for name in self.files:
            found = sorted(folder.glob(name))
            if len(found) > 1:
                raise InputError(
                    f"suite {self.name}: {found[0]} and {found[1]} are both {name}; "
                    f"give {option('problems')} one of them"
                )
            if found:
                return found[0]
        return None

    def rows(self) -> Rows:
        """The rows of its file or data set. Raises InputError where there is none, or damage."""
        path = self.find()
        if path is not None:
            return read_rows(path)
        found = read_dataset(self.dataset, self.config, self.split) if self.dataset else ""
        if isinstance(found, str):
            raise self.missing(found)
        return found

    def missing(self, reason: str = "") -> InputError:
        """The error that says how to get the file. `reason`: why no data set has it."""
        folder = _folder()
        lacks = f"its file {self.files[0]} is not " + (f"in {folder}" if folder else "given")
        lacks += f", and {reason}" if reason else ""
        ways = [
            f"give {option('problems')} FILE",
            f"put it into {folder or 'a folder'}" + f" and set {FOLDER} to that" * (not folder),
        ]
        ways += [f"set {self.variable} to its path"] if self.variable else []
        return InputError(
            f"suite {self.name}: {lacks}; fetch it from {self.published} ({self.licence}), and "
            f"{', or '.join(ways)}"
        )

    def _in_package(self) -> Path:
        package, _, file = self.package.partition("/")
        found = importlib.util.find_spec(package)
        if found is None or found.origin is None:
            raise InputError(
                f"suite {self.name}: the package {self.install.partition('==')[0]} is not "
                f"installed; run `pip install {self.install}`, or give {option('problems')} FILE"
            )
        return Path(found.origin).parent / file


def _folder() -> Path | None:
    """The folder of fetched files, if one is named. Raises InputError if it is none."""
    value = os.environ.get(FOLDER)
    if not value:
        return None
    if not Path(value).is_dir():
        raise InputError(f"{FOLDER}: {value} is no folder; name the folder with the suites' files")
    return Path(value)


@functools.cache
def named_suites() -> Mapping[str, NamedSuite]:
    """The suites by name, in the table's order."""
    table: dict[str, dict[str, Any]] = tomllib.loads((HERE / "named.toml").read_text("utf-8"))
    whole: dict[str, dict[str, Any]] = {}
    for name, own in table.items():
        base = whole[own["like"]] if "like" in own else {}
        whole[name] = {**base, **own}
        whole[name].pop("like", None)
    return {
        name: NamedSuite(name, **{**values, "files": tuple(values.get("files", ()))})
        for name, values in whole.items()
    }


def named_suite(name: str) -> NamedSuite:
    """A suite by its name. Raises InputError, with all names, for one that is not known."""
    suites = named_suites()
    if name not in suites:
        known = ", ".join(suites)
        raise InputError(f"{option('suite')}: unknown suite {name!r}: the suites are {known}")
    return suites[name]
