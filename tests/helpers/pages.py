"""The pages that people read, taken apart: prose, links, code that can be copied, and HTML."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

from support import ROOT

README = ROOT / "README.md"
MANY_GPUS = ROOT / "docs" / "many-gpus.md"
# Run by a test of its own.
PYTHON = ROOT / "docs" / "python.md"
DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = [
    README,
    *DOCS,
    *(ROOT / name for name in ("CONTRIBUTING.md", "CHANGELOG.md", "LOG.md")),
    *sorted((ROOT / "weights").glob("*/README.md")),
]
# The line before a block that tests cannot run says why.
_BLOCK = re.compile(
    r"(?:^<!-- not run: (?P<reason>[^\n]+) -->\n)?^```(?P<language>\w+)\n(?P<text>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
_ROOMS = ("bytelm", "data", "eval")


@dataclass(frozen=True)
class Block:
    """Code on a page; `not_run` says why tests leave it alone."""

    language: str
    text: str
    not_run: str | None


def blocks(page: Path, language: str) -> list[Block]:
    """The page's blocks in one language, in order."""
    text = page.read_text(encoding="utf-8")
    found = [Block(m["language"], m["text"], m["reason"]) for m in _BLOCK.finditer(text)]
    return [block for block in found if block.language == language]


def calls(block: Block) -> Iterator[tuple[str, list[str]]]:
    """Of every `python -m ROOM ...` in a block of shell: the room, and the words after it."""
    for line in block.text.replace("\\\n", " ").splitlines():
        for room in _ROOMS:
            _, begin, rest = line.partition(f"python -m {room} ")
            if begin and "torchrun" not in line:
                yield room, shlex.split(re.split(r" [|>] ", rest)[0], comments=True)


def sentences(page: Path) -> Iterator[str]:
    """The page's sentences: no code, tables, headings or pictures."""
    text = page.read_text(encoding="utf-8")
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r"^```.*?^```$", "\n\n", text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"^(    .*|\|.*|#+ .*|!\[.*)$", "\n", text, flags=re.MULTILINE)
    text = re.sub(r"^\s*([-*]|\d+\.) ", "\n\n", text, flags=re.MULTILINE)
    for paragraph in re.split(r"\n\s*\n", text):
        yield from re.split(r"(?<=[.!?:])\s+(?=[\"`*(\[]*[A-Z0-9`])", " ".join(paragraph.split()))


def anchors(page: Path) -> set[str]:
    """The page's headings as GitHub names them in links."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    kept = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in kept}


class Tags(HTMLParser):
    """Every tag and attribute of a page, and whether what was opened was closed."""

    VOID = frozenset({"meta", "img", "br"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)
