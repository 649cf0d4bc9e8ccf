"""CONTRIBUTING's map of the rooms is what the files import."""

import ast
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from support import ROOT

ROOMS = ("bytelm", "data", "eval")
TOOLKIT = "bytelm/toolkit.py"


def files() -> list[Path]:
    return [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]


def room_of(path: Path) -> str:
    """A file's folder; the face for the siblings stands for itself."""
    name = path.relative_to(ROOT).as_posix()
    return name if name == TOOLKIT else name.rpartition("/")[0]


def imported(path: Path) -> Iterator[Path]:
    """The project's files that a file imports."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            yield from _file(name.split("."))


def _file(parts: list[str]) -> Iterator[Path]:
    """The file of a module, or of the module that a name is in."""
    for length in (len(parts), len(parts) - 1):
        stem = ROOT.joinpath(*parts[:length])
        for path in (stem.with_suffix(".py"), stem / "__init__.py"):
            if length and parts[0] in ROOMS and path.is_file():
                yield path
                return


def table() -> list[str]:
    """A row for each room: its files, and the rooms that it imports from."""
    arrows: dict[str, set[str]] = defaultdict(set)
    counts = Counter(room_of(path) for path in files())
    for path in files():
        arrows[room_of(path)] |= {room_of(target) for target in imported(path)} - {room_of(path)}
    return [
        f"| `{room}` | {counts[room]} | {', '.join(f'`{to}`' for to in sorted(arrows[room]))} |"
        for room in sorted(counts)
    ]


def test_the_map_is_what_the_files_import() -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    after = page.split("<!-- map: begin -->\n")[1].split("<!-- map: end -->")[0]
    found = re.findall(r"^\| `.*$", after, re.MULTILINE)
    wanted = "\n".join(table())
    assert found == table(), f"CONTRIBUTING.md: the map is now\n{wanted}"


def test_no_two_rooms_of_eval_import_each_other() -> None:
    """But for a room and a room within it. test_house.py has the rules of the faces."""
    pairs = {
        (room_of(path), room_of(target))
        for path in files()
        for target in imported(path)
        if room_of(path).startswith("eval/") and room_of(path) != room_of(target)
    }
    apart = {(a, b) for a, b in pairs if not f"{a}/".startswith(f"{b}/")}
    assert not {pair for pair in apart if pair[::-1] in apart}
