"""`data functions`, `eval grade` and `data build --functions`, one after another."""

import json
from pathlib import Path

import pytest
from support import ROOT, data_command, eval_command, read_rows
from wheels import wheel

from bytelm.shards import Split, read_manifest

GOOD = '''\
import re
import time

WORDS = re.compile(r"\\w+")


def {name}_words(text):
    """Yield the words of a text.

    >>> from {name} import {name}_words
    >>> list({name}_words("a, b"))
    ['a', 'b']
    >>> next({name}_words(None))
    Traceback (most recent call last):
        ...
    TypeError: expected string or bytes-like object, got 'NoneType'
    """
    for word in WORDS.finditer(text):
        yield word[0 * {number}]  # {name}


def {name}_print(n):
    """
    >>> {name}_print({number})  # doctest: +NORMALIZE_WHITESPACE
    {number}     and more
    """
    print(n, "and more", end=" " * {number})
'''
BAD = '''\
import socket
from random import random


def wrong(x):
    """
    >>> wrong(1)
    2
    """
    return x


def endless(x):
    """
    >>> while True: endless(1)
    """
    return -x


def endless_too(x):
    """
    >>> while endless_too(1): pass
    2
    """
    return x + 0


def network(x):
    """
    >>> network(1)
    1
    """
    socket.create_connection(("localhost", 1))
    return x


def chance(x):
    """
    >>> chance(1)
    0.123
    """
    return random()


def opaque(x):
    """
    >>> opaque(1)
    <object object at 0x7f0000000000>
    """
    return object()


def files(x):
    """
    >>> files(1)
    1
    """
    with open("/etc/passwd") as file:
        return len(file.read())
'''


def made(folder: Path) -> tuple[Path, Path]:
    """Problems and samples of three wheels."""
    for number, name in enumerate(("one", "two", "three")):
        text = GOOD.format(name=name, number=number) + (BAD if name == "two" else "")
        wheel(folder / "wheels", name, {f"{name}.py": text})
    out, samples = folder / "functions.jsonl", folder / "samples.jsonl"
    words = ["--wheels", str(folder / "wheels"), "--out", str(out), "--samples", str(samples)]
    assert data_command("functions", *words) == 0
    return out, samples


@pytest.mark.medium
def test_from_wheels_to_shards(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    problems, samples = made(tmp_path)
    figures = json.loads(capsys.readouterr().out)
    assert (figures["with_examples"], figures["problems"]) == (13, 12)
    status, grades, _ = eval_command(
        capsys, "grade", "--problems", str(problems), "--samples", str(samples),
        "--timeout-s", "0.5", "--out", str(tmp_path / "grades.json"),
    )  # fmt: skip
    assert status == 0
    results = read_rows(tmp_path / "samples.jsonl_results.jsonl")
    names = {row["task_id"]: row["entry_point"] for row in read_rows(problems)}
    passed = {names[row["task_id"]] for row in results if row["passed"]}
    assert passed == {f"{name}_{what}" for name in ("one", "two", "three")
                      for what in ("words", "print")}  # fmt: skip
    words = {names[row["task_id"]]: row["result"] for row in results}
    assert words["endless_too"] == "timed out"
    assert grades["results"] == {"passed": 6, "failed": 5, "timed out": 1}
    shards = tmp_path / "shards"
    assert data_command(
        "build", "--functions", str(problems), "--results", str(samples) + "_results.jsonl",
        "--out", str(shards),
    ) == 0  # fmt: skip
    documents = {
        name: (split, text.tobytes().decode())
        for split in ("train", "held_out")
        for name, text in zip(Split(shards, split).names(), Split(shards, split), strict=True)
    }
    assert len(documents) == 6
    assert len({split for split, _ in documents.values()}) == 2
    by_package = {(name.split("/")[0], split) for name, (split, _) in documents.items()}
    assert len(by_package) == 3
    whole = GOOD.format(name="one", number=0)
    text = documents["one/one.py:7.py"][1]
    assert text == whole.replace("import time\n", "").partition("\n\n\ndef one_print")[0] + "\n"
    manifest = read_manifest(shards)
    assert manifest["rejected"]["examples that do not hold"]["documents"] == 6
    assert manifest["source"]["packages"] == {"one": 2, "three": 2, "two": 2}


def test_the_files_that_are_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    problems, samples = made(tmp_path)
    said = capsys.readouterr()
    assert (
        "12 problems of 13 functions with examples, in 3 files; left out: 1 no usable" in said.err
    )
    rows = read_rows(problems)
    assert read_rows(samples) == [
        {"task_id": row["task_id"], "completion": row["canonical_solution"]} for row in rows
    ]
    manifest = json.loads((tmp_path / "functions.jsonl.manifest.json").read_text())
    assert manifest["by_package"]["two"] == {"with_examples": 9, "problems": 8}
    assert manifest["left_out"] == {"no usable example": 1}
    assert (manifest["source"], manifest["licences"]) == ("wheels", "permissive")
    before = problems.read_bytes()
    made(tmp_path)
    assert problems.read_bytes() == before


def test_a_folder_of_ones_own_needs_no_licence(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "own.py").write_text(GOOD.format(name="own", number=1))
    out = tmp_path / "out.jsonl"
    words = ["functions", "--path", str(tmp_path / "src"), "--out", str(out)]
    assert data_command(*words) == 0
    assert [row["licence"] for row in read_rows(out)] == ["unknown"] * 2
    assert data_command(*words, "--licences", "permissive") == 2


def test_wrong_input_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, empty = str(tmp_path / "out.jsonl"), tmp_path / "empty"
    empty.mkdir()
    (empty / "a.py").write_text("x = 1\n")
    cases = [
        ([], "give one of --recipe stdlib, --wheels and --path"),
        (["--recipe", "stdlib", "--path", str(empty)], "give one of --recipe stdlib"),
        (["--path", str(empty)], "no function with examples in 1 files can be a problem"),
        (["--path", str(tmp_path / "nowhere")], "nowhere does not exist; give a folder"),
        (["--path", str(empty / "a.py")], "a.py is not a folder; give a folder"),
        (["--wheels", str(empty)], "holds no wheel"),
        (["--path", str(ROOT), "--samples", out], "is --out too; give it another name"),
    ]
    for words, expected in cases:
        assert data_command("functions", "--out", out, *words) == 2, words
        said = capsys.readouterr()
        assert expected in said.err.splitlines()[-1]
        assert said.out == ""
        assert not Path(out).exists()
