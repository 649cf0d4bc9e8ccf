"""What of a folder of wheels becomes training text."""

import zipfile
from pathlib import Path

import pytest
from support import python


def wheel(folder: Path, name: str, metadata: str, files: dict[str, str]) -> None:
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / f"{name}-1-py3-none-any.whl", "w") as archive:
        archive.writestr(f"{name}-1.dist-info/METADATA", f"Name: {name}\n{metadata}\n\nAbout it.\n")
        for path, content in files.items():
            archive.writestr(path, content)


def unpack(tmp_path: Path) -> tuple[dict[str, str], str]:
    (tmp_path / "list.txt").write_text("")
    done = python("scripts/packages.py", str(tmp_path / "list.txt"), str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    texts = {str(path.relative_to(tmp_path / "out")): path.read_text() for path in files}
    return texts, done.stderr


def test_sources_are_kept_and_tests_and_copies_are_not(tmp_path: Path) -> None:
    files = ["a/__init__.py", "a/test_it.py", "a/tests/x.py", "a/_vendor/y.py", "a/data.txt"]
    wheel(tmp_path / "out.wheels", "a", "License-Expression: MIT", dict.fromkeys(files, "x = 1\n"))
    texts, _ = unpack(tmp_path)
    assert texts == {"a/__init__.py": "x = 1\n"}


@pytest.mark.parametrize(
    "metadata",
    [
        "License-Expression: LGPL-2.1-only",
        "License: GNU General Public License v3",
        "License: MIT\nClassifier: License :: OSI Approved :: Mozilla Public License 2.0 (MPL 2.0)",
    ],
)
def test_copyleft_is_left_out_and_said(tmp_path: Path, metadata: str) -> None:
    wheel(tmp_path / "out.wheels", "b", metadata, {"b.py": "y = 2\n"})
    # A licence text that only mentions another, below its first line, is what its first line says.
    wheel(tmp_path / "out.wheels", "c", "License: BSD\n  not GPL", {"c.py": "z = 3\n"})
    texts, said = unpack(tmp_path)
    assert set(texts) == {"c.py"}
    assert "left out b-1-py3-none-any.whl" in said


def test_a_large_package_gives_a_part(tmp_path: Path) -> None:
    files = {f"d/{index}.py": "v = 1\n" * 200_000 for index in range(8)}
    wheel(tmp_path / "out.wheels", "d", "License: MIT", files)
    texts, _ = unpack(tmp_path)
    # As many as there is room for.
    taken, size = sum(map(len, texts.values())), len("v = 1\n") * 200_000
    assert 6_000_000 - size < taken <= 6_000_000 < size * len(files)


def test_names_do_not_lead_out_of_the_folder(tmp_path: Path) -> None:
    wheel(tmp_path / "out.wheels", "e", "License: MIT", {"../e.py": "", "f/../../e.py": ""})
    assert unpack(tmp_path)[0] == {}


def test_wrong_arguments_are_told() -> None:
    done = python("scripts/packages.py", "nowhere.txt", "out")
    assert done.returncode == 2
    assert "usage" in done.stderr


def test_a_damaged_wheel_is_named_and_the_others_taken(tmp_path: Path) -> None:
    wheel(tmp_path / "out.wheels", "a", "License: MIT", {"a.py": "x = 1\n"})
    (tmp_path / "out.wheels" / "b-1-py3-none-any.whl").write_bytes(b"half a wheel")
    (tmp_path / "list.txt").write_text("")
    done = python("scripts/packages.py", str(tmp_path / "list.txt"), str(tmp_path / "out"))
    assert done.returncode == 1
    assert "b-1-py3-none-any.whl is damaged" in done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "out" / "a.py").exists()


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("")
    (tmp_path / "mine.txt").write_text("mine")
    done = python("scripts/packages.py", str(tmp_path / "list.txt"), str(tmp_path))
    assert done.returncode == 2
    assert "is there; give a folder that is not" in done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"list.txt", "mine.txt"}
