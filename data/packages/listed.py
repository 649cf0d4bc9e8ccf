"""A list of packages: NAME or NAME==VERSION, separated by white space, with comments after `#`."""

import re
from dataclasses import dataclass
from pathlib import Path

from bytelm.toolkit import InputError, option

# No options, addresses or paths: these words are given to pip.
_WORD = re.compile(r"([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)(?:==([A-Za-z0-9.!+_-]+))?")


@dataclass(frozen=True)
class Wanted:
    """A package of a list. `version`: "" if any will do."""

    name: str
    version: str = ""

    def __str__(self) -> str:
        return f"{self.name}=={self.version}" if self.version else self.name


def read_list(path: Path) -> list[Wanted]:
    """The packages of a list, by their normal names, in the order of the names.

    Raises InputError for a word that is no package, and for two versions of one.
    """
    from packaging.utils import canonicalize_name

    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise InputError(
            f"{option('packages')} {path}: {why}; give a file with a package a line"
        ) from error
    found: dict[str, tuple[Wanted, int]] = {}
    for number, line in enumerate(lines, 1):
        for word in line.partition("#")[0].split():
            match = _WORD.fullmatch(word)
            if match is None:
                raise InputError(
                    f"{path}:{number}: {word!r} is no package; write NAME or NAME==VERSION"
                )
            wanted = Wanted(canonicalize_name(match[1]), match[2] or "")
            known, before = found.setdefault(wanted.name, (wanted, number))
            if known != wanted:
                raise InputError(
                    f"{path}:{number}: {wanted}, but line {before} says {known}; keep one of them"
                )
    if not found:
        raise InputError(f"{option('packages')} {path} lists no package; write one a line")
    return [wanted for _, (wanted, _) in sorted(found.items())]
