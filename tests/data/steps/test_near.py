"""Near duplicates: copies with edits are found, other documents and tiny ones stay."""

import random
import re
import sysconfig
from pathlib import Path

import numpy as np
import pytest

from data.steps.near import (
    LEAST_WORDS,
    PERMUTATIONS,
    Signatures_ND,
    _without_licence,
    copies,
    signature,
)


def library() -> list[bytes]:
    """Files of the standard library that have enough words, and are not alike themselves."""
    root = Path(sysconfig.get_path("stdlib"))
    paths = sorted([*root.glob("*.py"), *root.glob("asyncio/*.py"), *root.glob("email/*.py")])
    contents = [path.read_bytes() for path in paths]
    contents = [content for content in contents if signature(content) is not None]
    alike = dict(copies(signed(contents)))
    return [content for index, content in enumerate(contents) if index not in alike]


def signed(contents: list[bytes]) -> Signatures_ND:
    found = [signature(content) for content in contents]
    return np.stack([one for one in found if one is not None])


def edited(content: bytes, kind: str, rng: random.Random) -> bytes:
    """A copy in which one line in ten is another one. Lines that are blank count too."""
    lines = content.split(b"\n")
    for at in rng.sample(range(len(lines)), max(1, len(lines) // 10)):
        number = rng.randrange(10**6)
        words = [*re.finditer(rb"\w+", lines[at])]
        if kind == "rename" and words:
            start, stop = rng.choice(words).span()
            lines[at] = lines[at][:start] + b"renamed_%d" % number + lines[at][stop:]
        elif kind == "replace":
            lines[at] = b"    new_%d = other_%d(value)" % (number, number + 1)
        elif kind == "delete":
            lines[at] = b""
        elif kind == "insert":
            lines[at] += b"\n    added_%d = %d" % (number, number)
    return b"\n".join(lines)


@pytest.mark.medium
@pytest.mark.parametrize("kind", ["rename", "replace", "delete", "insert"])
def test_copies_with_one_line_in_ten_edited_are_found(kind: str) -> None:
    rng = random.Random(1)
    originals = library()
    planted = [edited(content, kind, rng) for content in originals]
    found = dict(copies(signed([*originals, *planted])))
    count = len(originals)
    # Each is a copy of its own original, and the originals all stay.
    assert all(later == earlier + count for later, earlier in found.items())
    assert len(found) >= 0.95 * count


def test_the_first_stays_and_copies_of_copies_go() -> None:
    rng = random.Random(2)
    content = library()[3]
    once = edited(content, "rename", rng)
    contents = [content, once, content + b"\nmore = 1\n", library()[4]]
    assert dict(copies(signed(contents))) == {1: 0, 2: 0}


@pytest.mark.medium
@pytest.mark.parametrize(("mark", "quotes"), [(b"# ", b""), (b"", b'"""'), (b"", b"'''")])
def test_a_thousand_distinct_small_files_all_stay(mark: bytes, quotes: bytes) -> None:
    """Of few words more than the least, under the same long licence."""
    licence = b"".join(
        b"%swords of a licence that all files share, line %d\n" % (mark, n) for n in range(40)
    )
    if not mark:
        licence = quotes + b"\nCopyright (c) 2024 A. Person\n\n" + licence + quotes + b"\n"
    tiny = [
        b"from .part_%d import Name%d\n\n__all__ = ['Name%d']\n" % (n, n, n) for n in range(1000)
    ]
    assert all(signature(licence + content) is None for content in tiny)
    small = []
    for n in range(1000):
        rng = random.Random(n)
        words = [b"w%d" % rng.randrange(10**6) for _ in range(LEAST_WORDS + 10)]
        small.append(licence + b" ".join(words))
    assert [*copies(signed(small))] == []


def test_what_has_no_signature() -> None:
    few = b" ".join(b"w%d" % n for n in range(LEAST_WORDS - 1))
    assert signature(few) is None
    assert signature(b"") is None
    assert signature(b"\0" * 1000) is None
    found = signature(few + b" one_more")
    assert found is not None
    assert found.dtype == np.dtype(np.uint16)
    assert found.shape == (PERMUTATIONS,)


def test_documents_that_share_half_their_text_stay() -> None:
    one, two, three = (b"".join(library()[at].splitlines(True)[:200]) for at in (30, 60, 90))
    assert dict(copies(signed([one + two, one + three, two + three]))) == {}


def test_many_copies_of_one_file_are_one_file() -> None:
    rng = random.Random(3)
    content = library()[5]
    contents = [content, *(edited(content, "insert", rng) for _ in range(200))]
    kept = len(contents) - len(dict(copies(signed(contents))))
    assert kept < 5
    assert dict(copies(signed(contents[:1]))) == {}
    assert dict(copies(np.zeros((0, PERMUTATIONS), np.uint16))) == {}


@pytest.mark.parametrize(
    ("content", "kept"),
    [
        (b'"""Copyright A."""\nx = 1\n', b"\nx = 1\n"),
        (b'\n\nr"""All of it. COPYRIGHT B."""x = 1', b"x = 1"),
        (b"'''What it does.'''\nx = 1\n", None),
        (b'"""What it does."""\nx = """Copyright A."""\n', None),
        (b'"""Copyright, and no end', None),
        (b'x = """Copyright A."""\n', None),
        (b"", None),
    ],
)
def test_only_a_first_docstring_with_a_licence_is_left_out(
    content: bytes, kept: bytes | None
) -> None:
    assert _without_licence(content) == (content if kept is None else kept)
