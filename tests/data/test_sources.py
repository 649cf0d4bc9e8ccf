"""Sources: a part of a source, and the mix of the library and exercises."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from support import data_command

from data.sources import Part, Source, Staged
from data.walk import Found


class Given:
    """Documents that are given, as `Walk` reads them."""

    def __init__(self, documents: list[Found]) -> None:
        self.documents = documents
        self.rejected = self.rejected_bytes = Counter[str]()
        self.passed_over = 0

    def files(self) -> Iterator[Found]:
        return iter(self.documents)


def part_of(documents: list[Found], wanted: float) -> list[Found]:
    source = Source({}, Given(documents))
    return list(Part(source, wanted).files())


@given(st.dictionaries(st.text(), st.binary(max_size=30), max_size=20), st.integers(0, 300))
def test_a_part_is_of_the_wanted_size_and_does_not_depend_on_the_order(
    contents: dict[str, bytes], wanted: int
) -> None:
    documents = [Found(name, content) for name, content in contents.items()]
    found = part_of(documents, wanted)
    sizes = [len(document.content) for document in found]
    whole = sum(map(len, contents.values()))
    assert sum(sizes) >= min(wanted, whole)
    assert not sizes or sum(sizes[:-1]) < wanted
    assert found == part_of(documents[::-1], wanted)
    assert all(document in documents for document in found)


@given(st.lists(st.integers(0, 2), max_size=8).map(sorted), st.integers(0, 4))
def test_the_library_comes_before_the_last_stage(stages: list[int], library: int) -> None:
    made = [Found(f"made {at}", b"", stage=stage) for at, stage in enumerate(stages)]
    files = [Found(f"library {at}", b"") for at in range(library)]
    sources = (Source({}, Given(found)) for found in (files, made))
    found = list(Staged(*sources).files())
    assert [one.name for one in found if one.name.startswith("made")] == [f.name for f in made]
    assert sum(one.name.startswith("library") for one in found) == library
    names = [one.name.partition(" ")[0] for one in found if one.stage < 2 or "lib" in one.name]
    assert names == sorted(names, reverse=True)


def test_a_mix_has_exercises_and_a_part_of_the_library(tmp_path: Path) -> None:
    out = tmp_path / "mix"
    words = ["--recipe", "mix", "--megabytes", "1.5", "--share", "60", "--out", str(out)]
    assert data_command("build", *words) == 0
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["source"]["recipe"] == "mix"
    assert manifest["source"]["share"] == 60
    whole = sum(split["bytes"] for split in manifest["splits"].values())
    # The last file of the library may be large, and filters leave some of the files out.
    assert 1.5e6 + 0.5e6 < whole < 1.5e6 + 2.2e6
