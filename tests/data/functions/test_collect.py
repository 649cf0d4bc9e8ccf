"""Files of any kind to problems: counts, copies, licences, and what is hostile."""

from pathlib import Path
from typing import Any

import pytest
from wheels import wheel

from data.functions.collect import (
    Counts,
    files_of_folder,
    files_of_library,
    files_of_wheels,
    problems,
)
from data.packages.fetch import local

FUNCTION = 'def {name}(x):\n    """\n    >>> {name}(1)\n    {value}\n    """\n    return {value}\n'


def function(name: str, value: object) -> str:
    return FUNCTION.format(name=name, value=value)


def of_folder(folder: Path, limit: int = 1 << 20) -> tuple[list[dict[str, Any]], Counts]:
    counts = Counts()
    return list(problems(files_of_folder(folder, limit, counts), False, counts)), counts


@pytest.mark.medium
def test_hostile_files_hurt_nobody(tmp_path: Path) -> None:
    folder = tmp_path / "src"
    (folder / "pack").mkdir(parents=True)
    docstring = f'    """{"x" * 10_000_000}\n    >>> f(1)\n    1\n    """\n'
    hostile = {
        "brackets.py": "x = " + "[" * 100_000,
        "closed.py": "x = " + "[" * 100_000 + "]" * 100_000,
        "minus.py": "x = " + "-" * 100_000 + "1",
        "plus.py": "x = " + "1 + " * 100_000 + "1",
        "attributes.py": "x = a" + ".b" * 100_000,
        "elif.py": "if 1: pass\n" + "elif 1: pass\n" * 50_000,
        "python2.py": "print 'x'\n",
        "nul.py": "x = 1\0\n" + function("f", 1),
    }
    for name, text in hostile.items():
        (folder / name).write_text(text)
    (folder / "latin.py").write_bytes(b"# -*- coding: latin-1 -*-\nx = '\xe9'\n")
    (folder / "long.py").write_text(f"def f(x):\n{docstring}    return x\n")
    (folder / "deep.py").write_text(
        function("deep", 1).replace("return 1", f"return {' + '.join('1' * 2000)}")
    )
    (folder / "flat.py").write_text(f"{'a=1;' * 20_000}\n" + "".join(
        function(f"f{n}", n).replace("return", "return a +") for n in range(100)
    ))  # fmt: skip
    (folder / "empty.py").touch()
    (folder / "pack" / "good.py").write_text(
        # A file may be odd around its functions.
        "x = " + "[" * 80 + "]" * 80 + "\nfrom nowhere import *\n1 / 0\n" + function("good", 1)
    )
    rows, counts = of_folder(folder, 1 << 24)
    assert [row["task_id"] for row in rows] == ["src/pack/good.py:4"]
    assert rows[0]["prompt"].startswith("def good")
    assert counts.rejected == {"not Python": len(hostile), "not UTF-8": 1, "empty": 1}
    assert counts.left_out == {"too large": 1, "nested too deep": 1, "needs too much": 100}
    assert of_folder(folder)[1].rejected["too large"] == 1


def test_nothing_is_run(tmp_path: Path) -> None:
    reached = tmp_path / "reached"
    write = f"open({str(reached)!r}, 'w')"
    text = (
        f"{write}\nX = {write}\n@{write}\ndef f(x={write}):\n    '''\n    >>> f({write})\n    1\n"
    )
    (tmp_path / "a.py").write_text(f"{text}    '''\n    return X\n")
    rows, _ = of_folder(tmp_path)
    assert write in rows[0]["doctest"]
    assert not reached.exists()


def test_each_function_with_examples_is_in_one_count(tmp_path: Path) -> None:
    folder = tmp_path / "src"
    folder.mkdir()
    (folder / "a.py").write_text(
        function("one", 1)
        # Another name, docstring and layout.
        + function("again", 1).replace("    return 1", "    # one\n    return (1)")
        + function("two", 2)
        + "def plain(x):\n    return x\n"
        + "async " + function("later", 3)
        + "class C:\n    @staticmethod\n    " + function("m", 4).replace("\n", "\n    ") + "\n"
        + "def odd():\n    '''>>>odd()'''\n    return 1\n"
    )  # fmt: skip
    rows, counts = of_folder(folder)
    assert [row["entry_point"] for row in rows] == ["one", "two"]
    assert (counts.files, counts.functions) == (1, 6)
    assert counts.with_examples == {"src/a": 5}
    assert counts.left_out == {
        "duplicate": 1, "async function": 1, "method": 1, "broken examples": 1,
    }  # fmt: skip
    # The same input gives the same rows.
    assert of_folder(folder)[0] == rows


def test_packages_and_licences_of_wheels(tmp_path: Path) -> None:
    wheel(tmp_path, "one", {"one/a.py": function("a", 1), "one/test_a.py": function("t", 9)})
    wheel(tmp_path, "viral", {
        "v.py": function("v", 2),
        "mit.py": "# SPDX-License-Identifier: MIT\n" + function("m", 3),
    }, "License: GPLv3")  # fmt: skip
    wheel(tmp_path, "unknown", {"u.py": function("u", 4)}, "Summary: nothing")
    (tmp_path / "broken-1.0-py3-none-any.whl").write_bytes(b"half")
    counts = Counts()
    found = problems(files_of_wheels(local(tmp_path), 1000, counts), True, counts)
    assert [(row["task_id"], row["package"], row["licence"]) for row in found] == [
        ("one/one/a.py:1", "one", "MIT"), ("viral/mit.py:2", "viral", "MIT"),
    ]  # fmt: skip
    assert counts.left_out == {"licence": 1, "unknown licence": 1}
    assert counts.rejected == {"damaged wheel": 1, "test": 1}
    counts = Counts()
    rows = list(problems(files_of_wheels(local(tmp_path), 1000, counts), False, counts))
    assert {row["package"]: row["licence"] for row in rows if row["entry_point"] != "m"} == {
        "one": "MIT", "viral": "GPLv3", "unknown": "unknown",
    }  # fmt: skip


def test_the_library_has_a_package_for_each_module() -> None:
    counts = Counts()
    files = (
        file
        for file in files_of_library(1 << 20, counts)
        if file.home.name in ("stdlib/textwrap.py", "stdlib/email/utils.py")
    )
    # The walk reads a folder's own files first.
    file = next(files)
    assert (file.home.package, file.home.module) == ("stdlib/textwrap", "textwrap")
    assert file.licence.said == "PSF-2.0"
    file = next(files)
    assert (file.home.package, file.home.module) == ("stdlib/email", "email.utils")
