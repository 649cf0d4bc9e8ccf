"""Several sources together: shares hold, copies are left out, and each file is counted once."""

import os
import signal
import subprocess
import sys
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from clones import commit
from support import ROOT, data_command, wait_until
from wheels import code, many

from bytelm.shards import InputError, Split, read_manifest
from data.benchmarks import benchmark_texts
from data.build import Build
from data.recipes.mixture import Mixture, Weighed
from data.sources import Part, Source
from data.steps.judge import Choices, Steps
from data.walk import Found


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def documents(out: Path) -> dict[str, bytes]:
    return {
        name: text.tobytes()
        for split in (Split(out, "train"), Split(out, "held_out"))
        for name, text in zip(split.names(), split, strict=True)
    }


def folder(root: Path, count: int, begin: int) -> Path:
    """Files named by the folder, so that documents say where they are from."""
    for n in range(begin, begin + count):
        path = root / root.name / f"{n}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(code(n, 8 + n % 5))
    return root


def recipe(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


def bytes_by_source(out: Path) -> Counter[str]:
    sizes = Counter[str]()
    for name, text in documents(out).items():
        sizes[name.split("/")[0]] += len(text)
    return sizes


THREE = """
[[sources]]
kind = "path"
path = "one"
weight = 5
[[sources]]
kind = "git"
git = "two"
weight = 3
[[sources]]
kind = "packages"
wheels = "wheels"
weight = 2
[steps]
near_duplicates = "drop"
"""


def three(root: Path, text: str = THREE) -> str:
    """A recipe of a folder, a clone and wheels: of the clone there is too little."""
    folder(root / "one", 90, 1000)
    commit(root / "two", {f"{n}.py": code(n, 10).encode() for n in range(2000, 2030)})
    many(root / "wheels", 12)
    return recipe(root / "three.toml", text)


def test_shards_keep_their_splits(tmp_path: Path) -> None:
    folder(tmp_path / "one", 40, 1000)
    Build(out=tmp_path / "built", path=tmp_path / "one", held_out_percent=30).run()
    asked = recipe(
        tmp_path / "again.toml",
        '[[sources]]\nkind = "shards"\nshards = "built"\nweight = 3\n'
        '[[sources]]\nkind = "exercises"\nweight = 1\n',
    )
    Build(out=tmp_path / "out", recipe=asked, processes=1).run()
    for split in ("train", "held_out"):
        before = dict(
            zip(
                Split(tmp_path / "built", split).names(),
                Split(tmp_path / "built", split),
                strict=True,
            )
        )
        after = dict(
            zip(Split(tmp_path / "out", split).names(), Split(tmp_path / "out", split), strict=True)
        )
        assert len(before) > 5
        assert {name: after[name].tobytes() for name in before} == {
            name: text.tobytes() for name, text in before.items()
        }
    built, made = read_manifest(tmp_path / "out")["source"]["sources"]
    assert built["sha256"]["train"] == Split(tmp_path / "built", "train").sha256
    assert built["bytes"] == pytest.approx(3 * made["bytes"], rel=0.1)


def test_shards_that_cannot_be_read(tmp_path: Path) -> None:
    text = '[[sources]]\nkind = "shards"\nshards = "built"\n'
    asked = recipe(tmp_path / "mine.toml", text)
    with pytest.raises(InputError, match=r"mine.toml: source 1 \(shards\): .*built"):
        Build(out=tmp_path / "out", recipe=asked).run()
    folder(tmp_path / "one", 9, 1000)
    Build(out=tmp_path / "built", path=tmp_path / "one").run()
    with pytest.raises(InputError, match="is read, and cannot be written too"):
        Build(out=tmp_path / "built", recipe=asked).run()
    Build(out=tmp_path / "out", recipe=asked).run()
    assert documents(tmp_path / "out") == documents(tmp_path / "built")


@pytest.mark.medium
def test_the_shares_hold_and_the_scarce_source_is_used_up(tmp_path: Path) -> None:
    asked = three(tmp_path)
    figures = Build(out=tmp_path / "out", recipe=asked, processes=1).run()
    sizes = bytes_by_source(tmp_path / "out")
    packages = sum(size for name, size in sizes.items() if name.startswith("p"))
    assert sizes["two"] == sum(len(code(n, 10)) for n in range(2000, 2030))
    largest = max(map(len, documents(tmp_path / "out").values()))
    assert sizes["two"] * 5 / 3 - largest <= sizes["one"] <= sizes["two"] * 5 / 3
    assert sizes["two"] * 2 / 3 - largest <= packages <= sizes["two"] * 2 / 3
    manifest = read_manifest(tmp_path / "out")
    one, two, listed = manifest["source"]["sources"]
    assert manifest["source"]["recipe"] == "three"
    assert (one["weight"], two["weight"], listed["weight"]) == (5, 3, 2)
    assert (one["bytes"], two["bytes"], listed["bytes"]) == (sizes["one"], sizes["two"], packages)
    assert len(two["commit"]) == 40
    assert len(listed["packages"]) == 12
    # Each file is in exactly one count.
    assert figures["documents"] + sum(figures["rejected"].values()) == 90 + 30 + 12 * 4
    assert figures["rejected"].keys() == {"beyond its share"}
    rejected = manifest["rejected"]["beyond its share"]["bytes"]
    whole = sum(len(code(n, 8 + n % 5)) for n in range(1000, 1090)) + sizes["two"]
    whole += sum(len(code(one * 100 + n + 1)) for one in range(12) for n in range(4))
    assert sum(sizes.values()) + rejected == whole
    # A package is in one split, also beside other sources.
    train, held_out = (
        {name.split("/")[0] for name in Split(tmp_path / "out", split).names()}
        for split in ("train", "held_out")
    )
    assert not {name for name in train & held_out if name.startswith("p")}


@pytest.mark.medium
def test_a_limit_on_all_of_it(tmp_path: Path) -> None:
    asked = three(tmp_path)
    options: dict[str, Any] = {"recipe": asked, "processes": 1, "total_megabytes": 0.02}
    figures = Build(out=tmp_path / "out", **options).run()
    assert 20_000 - 3 * 2000 < figures["bytes"] <= 20_000
    sizes = bytes_by_source(tmp_path / "out")
    assert 6_000 - 2000 < sizes["two"] <= 6_000
    # The same files are taken first, whatever the limit is.
    more = Build(out=tmp_path / "more", **{**options, "total_megabytes": 0.03}).run()
    assert figures["bytes"] < more["bytes"] <= 30_000


@pytest.mark.medium
def test_without_weights_all_is_taken_and_copies_stay_once(tmp_path: Path) -> None:
    asked = three(tmp_path, THREE.replace("weight", "# weight"))
    (tmp_path / "one" / "copy.py").write_text(code(2003, 10))
    (tmp_path / "one" / "near.py").write_text(code(2004, 10) + "more = 1\n")
    (tmp_path / "one" / "long.py").write_text("x = 1  #" + "a" * 2000)
    figures = Build(out=tmp_path / "out", recipe=asked, processes=1).run()
    assert figures["rejected"] == {"duplicate": 1, "near duplicate": 1, "longest line": 1}
    found = documents(tmp_path / "out")
    # The first of two copies is kept, in the order of the recipe.
    assert {"copy.py", "near.py"} <= found.keys()
    assert not {"two/2003.py", "two/2004.py"} & found.keys()
    assert len(found) == 90 + 2 + 28 + 48


@pytest.mark.medium
def test_the_bytes_are_the_same_for_any_number_of_processes(tmp_path: Path) -> None:
    made = '[[sources]]\nkind = "exercises"\nmegabytes = 0.02\nseed = 2\nweight = 4\n[steps]'
    asked = three(tmp_path, THREE.replace("[steps]", made))
    for processes in (1, 2):
        Build(out=tmp_path / str(processes), recipe=asked, processes=processes).run()
    assert files_of(tmp_path / "1") == files_of(tmp_path / "2")
    manifest = read_manifest(tmp_path / "1")
    listed = manifest["source"]["sources"]
    assert [one["weight"] for one in listed] == [5, 3, 2, 4]
    whole = sum(split["bytes"] for split in manifest["splits"].values())
    assert sum(one["bytes"] for one in listed) == whole
    # Exercises are made in blocks of some 100 KB, of which no more is taken than fits.
    assert 20_000 - 500 < listed[3]["bytes"] <= 20_000
    assert listed[0]["bytes"] == pytest.approx(0.02e6 * 5 / 4, abs=2000)
    assert manifest["rejected"]["beyond its share"]["documents"] > 60


@pytest.mark.medium
def test_exercises_are_as_many_as_their_share_needs(tmp_path: Path) -> None:
    folder(tmp_path / "one", 60, 1000)
    text = THREE.split('[[sources]]\nkind = "git"')[0]
    text += '[[sources]]\nkind = "exercises"\nweight = 15\n'
    asked = recipe(tmp_path / "r.toml", text)
    Build(out=tmp_path / "out", recipe=asked, processes=1).run()
    one, made = read_manifest(tmp_path / "out")["source"]["sources"]
    assert one["documents"] == 60
    assert 3 * one["bytes"] - 500 < made["bytes"] <= 3 * one["bytes"]
    # Where it is said how many there are, the rest has no more than its share beside them.
    Build(out=tmp_path / "less", recipe=asked, processes=1, megabytes=0.03).run()
    one, made = read_manifest(tmp_path / "less")["source"]["sources"]
    assert 30_000 - 500 < made["bytes"] <= 30_000
    assert 10_000 - 1000 < one["bytes"] <= 10_000


@pytest.mark.medium
def test_shares_of_what_is_read_need_no_second_look(tmp_path: Path) -> None:
    folder(tmp_path / "one", 60, 1000)
    folder(tmp_path / "two", 60, 2000)
    asked = recipe(
        tmp_path / "r.toml",
        """
shares = "read"
[[sources]]
kind = "exercises"
megabytes = 0.01
weight = 50
[[sources]]
kind = "path"
path = "one"
weight = 30
[[sources]]
kind = "path"
path = "two"
weight = 20
""",
    )
    Build(out=tmp_path / "out", recipe=asked, processes=1).run()
    sizes = bytes_by_source(tmp_path / "out")
    assert 6_000 <= sizes["one"] < 6_000 + 2000
    assert 4_000 <= sizes["two"] < 4_000 + 2000
    source = read_manifest(tmp_path / "out")["source"]
    assert [one["weight"] for one in source["sources"]] == [50, 30, 20]
    Build(out=tmp_path / "more", recipe=asked, processes=1, share=80.0).run()
    assert 1_200 <= bytes_by_source(tmp_path / "more")["one"] < 1_200 + 2000


def test_a_source_that_gives_nothing_has_no_share(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = three(tmp_path)
    for path in (tmp_path / "one" / "one").iterdir():
        path.write_text("x = 1  #" + "a" * 2000)
    assert data_command("build", "--recipe", asked, "--out", str(tmp_path / "out")) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert f"recipe {asked}: source 1 (path) gives no document that the steps keep" in said
    assert not [path for path in tmp_path.iterdir() if path.name.startswith((".", "out"))]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('path = "one"', 'path = "none"', ["source 1 (path): path ", "none does not exist"]),
        ('git = "two"', 'git = "one"', ["source 2 (git): git ", "is no git repository"]),
        ('git = "two"', 'git = "two"\ncommit = "x"', ["source 2 (git): commit 'x': "]),
        ('wheels = "wheels"', 'wheels = "no"', ["source 3 (packages): wheels ", "does not exist"]),
        ('wheels = "wheels"', "", ["source 3 (packages): it needs packages FILE, or wheels FOLD"]),
    ],
)
def test_errors_name_the_source(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, words: list[str]
) -> None:
    asked = three(tmp_path, THREE.replace(old, new))
    assert data_command("build", "--recipe", asked, "--out", str(tmp_path / "out")) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    for part in [f"error: recipe {asked}: ", *words]:
        assert part in said


def test_sources_without_any_document(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
    (tmp_path / "a" / "long.py").write_text("x = 1  #" + "a" * 2000)
    text = "".join(f"[[sources]]\nkind = 'path'\npath = '{name}'\n" for name in "ab")
    asked = recipe(tmp_path / "r.toml", text)
    assert data_command("build", "--recipe", asked, "--out", str(tmp_path / "out")) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert "no document to build shards of (left out: 1 longest line)" in said


@pytest.mark.medium
def test_sigterm_leaves_nothing(tmp_path: Path) -> None:
    """Neither the texts that are chosen from, nor git and its folder."""
    commit(tmp_path / "clone", {f"{n}.py": code(n).encode() for n in range(2000)})
    asked = recipe(
        tmp_path / "r.toml",
        """
[[sources]]
kind = "git"
git = "clone"
[[sources]]
kind = "stdlib"
""",
    )
    (tmp_path / "tmp").mkdir()
    before = sorted(tmp_path.iterdir())
    command = [sys.executable, "-m", "data", "build", "--recipe", asked, "--out"]
    process = subprocess.Popen(
        [*command, str(tmp_path / "out")], cwd=ROOT, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "TMPDIR": str(tmp_path / "tmp")},
    )  # fmt: skip
    wait_until(
        lambda: any(tmp_path.glob(".out.*/.0.*/texts")) and any((tmp_path / "tmp").iterdir())
    )
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 143, err
    assert sorted(tmp_path.iterdir()) == before
    assert list((tmp_path / "tmp").iterdir()) == []


class Large:
    """Documents of a million bytes each, which are made when they are asked for."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.rejected = self.rejected_bytes = Counter[str]()

    def files(self) -> Iterator[Found]:
        for n in range(self.count):
            yield Found(f"{n}.txt", b"%09d\n" % n * 100_000, judged=True)


def peak_bytes(read: Part | Mixture) -> tuple[int, int]:
    """The most memory that was taken while documents were read, and their bytes together."""
    tracemalloc.start()
    try:
        whole = sum(len(document.content) for document in read.files())
        return tracemalloc.get_traced_memory()[1], whole
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_texts(tmp_path: Path) -> None:
    part = Part(Source({}, Large(60)), 30e6, tmp_path)
    peak, whole = peak_bytes(part)
    assert whole == 30_000_000
    assert peak < 8_000_000
    steps = Steps(Choices(), benchmark_texts())
    sources = [Weighed(Source({}, Large(count)), "it", 1.0) for count in (30, 40)]
    peak, whole = peak_bytes(Mixture(sources, None, steps, tmp_path / "out"))
    # The copies of the first are left out of the second.
    assert whole == 20_000_000
    assert peak < 8_000_000
    assert list(tmp_path.iterdir()) == []


@pytest.mark.medium
def test_repositories_are_split_as_a_whole(tmp_path: Path) -> None:
    text = "split_by = 'repository'\nheld_out_percent = 30\n"
    for n in range(12):
        commit(tmp_path / f"r{n}", {f"{m}.py": code(100 * n + m).encode() for m in range(3)})
        text += f"[[sources]]\nkind = 'git'\ngit = 'r{n}'\n"
    Build(out=tmp_path / "out", recipe=recipe(tmp_path / "r.toml", text)).run()
    train, held_out = (
        {name.split("/")[0] for name in Split(tmp_path / "out", split).names()}
        for split in ("train", "held_out")
    )
    assert train | held_out == {f"r{n}" for n in range(12)}
    assert not train & held_out
    assert held_out
    with pytest.raises(InputError, match=r"one repository alone \(r0\) cannot be split"):
        Build(out=tmp_path / "o", git=tmp_path / "r0", split_by="repository").run()


@pytest.mark.medium
def test_a_clone_on_the_command_line(tmp_path: Path) -> None:
    path = tmp_path / "clone"
    first = commit(path, {f"{n}.py": code(n).encode() for n in range(20)})
    commit(path, {"c.c": b"int x = 1;\n", "big.py": code(50, 200).encode()}, "two")
    arguments = ["--git", str(path), "--out", str(tmp_path / "out")]
    assert data_command("build", *arguments, "--commit", first[:10]) == 0
    manifest = read_manifest(tmp_path / "out")
    assert manifest["source"] == {"git": "clone", "commit": first, "suffixes": [".py"]}
    assert documents(tmp_path / "out") == {f"clone/{n}.py": code(n).encode() for n in range(20)}
    assert data_command("build", *arguments, "--suffixes", "--max-file-bytes", "3000") == 0
    assert documents(tmp_path / "out").keys() == {f"clone/{n}.py" for n in range(20)} | {
        "clone/c.c"
    }
    assert read_manifest(tmp_path / "out")["rejected"]["too large"]["documents"] == 1
