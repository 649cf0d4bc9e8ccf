"""Recipes as files: what they say comes into the dataclasses, and what is wrong is named."""

from pathlib import Path

import pytest
from support import data_command

from bytelm.shards import InputError
from data.recipes.read import HERE, NAMES, find_recipe
from data.recipes.recipe import (
    KINDS,
    Exercises,
    Folder,
    Functions,
    PackageList,
    Repository,
    Rows,
    Shards,
    StandardLibrary,
)
from data.steps.judge import Choices

WHOLE = """
held_out_percent = 10
max_file_bytes = 1000
total_megabytes = 1.5
split_by = "repository"
shares = "kept"

[[sources]]
kind = "stdlib"
weight = 1
[[sources]]
kind = "exercises"
weight = 2.5
megabytes = 3
seed = 4
[[sources]]
kind = "packages"
weight = 1
packages = "list.txt"
wheels = "/wheels"
max_package_bytes = 9
[[sources]]
kind = "path"
path = "src"
weight = 1
suffixes = [".py", ".c"]
[[sources]]
kind = "dataset"
dataset = "rows.jsonl"
column = "text"
weight = 1
[[sources]]
kind = "git"
git = "../clone"
commit = "v1"
suffixes = []
weight = 1
[[sources]]
kind = "functions"
functions = "f.jsonl"
results = "r.jsonl"
weight = 1
[[sources]]
kind = "shards"
shards = "built"
weight = 1

[steps]
filters = false
syntax = "drop"
most_error_percent = 2
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(text)
    return path


def test_every_key_comes_through_and_paths_begin_at_the_file(tmp_path: Path) -> None:
    recipe = find_recipe(str(written(tmp_path, WHOLE)))
    assert recipe.sources == (
        StandardLibrary(1),
        Exercises(2.5, 3, 4),
        PackageList(1, tmp_path / "list.txt", Path("/wheels"), 9),
        Folder(tmp_path / "src", 1, (".py", ".c")),
        Rows(tmp_path / "rows.jsonl", 1, "text"),
        Repository(tmp_path / "../clone", 1, "v1", ()),
        Functions(tmp_path / "f.jsonl", tmp_path / "r.jsonl", 1),
        Shards(tmp_path / "built", 1),
    )
    assert {type(source) for source in recipe.sources} == set(KINDS.values())
    assert recipe.steps == Choices(filters=False, syntax="drop", most_error_percent=2)
    assert (recipe.name, recipe.held_out_percent, recipe.max_file_bytes) == ("mine", 10, 1000)
    assert (recipe.total_megabytes, recipe.split_by) == (1.5, "repository")


def test_the_shipped_recipes_are_the_files() -> None:
    assert {path.stem for path in HERE.glob("*.toml")} == set(NAMES)
    for name in NAMES:
        assert find_recipe(name).name == name


def test_the_manifest_has_the_numbers_of_before() -> None:
    [made, library] = find_recipe("mix").sources
    assert repr(made) == "Exercises(weight=62.0, megabytes=10.0, seed=1)"
    assert repr(library) == "StandardLibrary(weight=38.0)"
    assert repr(find_recipe("exercises").sources) == (
        "(Exercises(weight=None, megabytes=10.0, seed=1),)"
    )


SOURCE = '[[sources]]\nkind = "stdlib"\n'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["sources must be tables, each after a line [[sources]]"]),
        ("sources = []", ["sources is empty", "stdlib, exercises, packages, path, dataset, git"]),
        ("sources = 3", ["sources must be tables"]),
        ("sources = [3]", ["sources must be tables"]),
        ("[sources]", ["sources must be tables"]),
        ("sources = [", ["is no TOML", "at end of document"]),
        pytest.param("x = " + "[" * 100_000, ["is no TOML"], id="deep"),
        ("[[sources]]\nweight = 1", ["source 1", "kind is missing; allowed: stdlib, exercises"]),
        ('[[sources]]\nkind = "web"', ["source 1", "no kind 'web'; allowed: stdlib, exercises"]),
        ("[[sources]]\nkind = 3", ["source 1", "no kind 3; allowed"]),
        (SOURCE + "wieght = 1", ["source 1 (stdlib)", "'wieght'; did you mean weight?"]),
        (SOURCE + "seed = 1", ["source 1 (stdlib)", "no key 'seed'", "allowed: kind, weight"]),
        (SOURCE + "weight = 0", ["source 1 (stdlib)", "weight must be at least 1e-06", "not 0"]),
        (SOURCE + f"weight = 1{'0' * 400}", ["source 1 (stdlib)", "weight must be"]),
        (SOURCE + "weight = nan", ["source 1 (stdlib)", "weight must be a finite number"]),
        (SOURCE + "weight = true", ["source 1 (stdlib)", "weight must be a number, not True"]),
        (SOURCE + '[[sources]]\nkind = "path"', ["source 2 (path)", "key 'path' is missing"]),
        ('[[sources]]\nkind = "path"\npath = 3', ["source 1 (path)", "path must be a text"]),
        ('[[sources]]\nkind = "path"\npath = "a\\u0000b"', ["path must be a text"]),
        ('[[sources]]\nkind = "path"\npath = "a"\nsuffixes = ".py"', ["suffixes must be a list"]),
        ('[[sources]]\nkind = "git"\ngit = "a"\ncommit = 7', ["commit must be a text, not 7"]),
        (SOURCE * 2 + "weight = 1", ["the key 'weight' is missing for source 1"]),
        ('[[sources]]\nkind = "exercises"\n' * 2, ["exercises twice"]),
        (SOURCE + "[steps]\nsyntax = 'no'", ["[steps]", "syntax must be one of drop, keep"]),
        (SOURCE + "[steps]\nsintax = 'drop'", ["[steps]", "did you mean syntax?", "filters, gen"]),
        (SOURCE + "[steps]\nmost_error_percent = 101", ["most_error_percent must be 0 to 100"]),
        ("steps = 3\n" + SOURCE, ["steps must be a table"]),
        ("name = 'x'\n" + SOURCE, ["no key 'name'", "allowed: sources, steps, held_out_percent"]),
        ("file = 'x'\n" + SOURCE, ["no key 'file'"]),
        ("held_out_percent = 100\n" + SOURCE, ["held_out_percent must be above 0 and below 100"]),
        ("split_by = 'line'\n" + SOURCE, ["split_by must be one of document, repository"]),
        ("total_megabytes = 1\n" + SOURCE, ["total_megabytes is for sources with weights"]),
        ("shares = 'read'\n" + SOURCE + "weight = 1", ["shares", "one of them exercises"]),
        ("max_file_bytes = 1.5\n" + SOURCE, ["max_file_bytes must be a whole number, not 1.5"]),
        (
            "held_out_percent = 3\n[[sources]]\nkind = 'exercises'",
            ["held_out_percent: exercises hold out 20 %"],
        ),
        (
            "[[sources]]\nkind = 'exercises'\n[steps]\nnear_duplicates = 'drop'",
            ["exercises are alike on purpose"],
        ),
    ],
)
def test_what_is_wrong_is_one_line_with_file_and_key(
    tmp_path: Path, text: str, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, text)
    assert data_command("build", "--recipe", str(path), "--out", str(tmp_path / "out")) == 2
    said = capsys.readouterr()
    assert said.err.startswith(f"error: recipe {path}")
    assert len(said.err.splitlines()) == 1
    for part in words:
        assert part in said.err
    assert not (tmp_path / "out").exists()


def test_what_is_no_recipe(tmp_path: Path) -> None:
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    cases = {
        "stdlb": "there is no recipe 'stdlb'; did you mean stdlib[?]; known: stdlib, exercises",
        "recipe.json": "or give a file that ends in .toml",
        str(tmp_path / "none.toml"): "No such file",
        str(tmp_path / "bytes.toml"): "is not UTF-8",
        f"{tmp_path / 'bytes.toml'}/x.toml": "Not a directory",
    }
    for asked, words in cases.items():
        with pytest.raises(InputError, match=words):
            find_recipe(asked)
