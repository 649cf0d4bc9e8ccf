"""Options in place of what a recipe says; those without a use are refused."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support import data_command

from bytelm.shards import InputError
from data.recipes.override import overridden
from data.recipes.read import find_recipe
from data.recipes.recipe import Exercises, Folder, Recipe, Repository, StandardLibrary


def test_options_come_before_the_recipe() -> None:
    mix = find_recipe("mix")
    changed = overridden(mix, {"megabytes": 2.0, "seed": 7, "share": 70.0, "syntax": "drop",
                               "held_out_percent": 9.0, "max_file_bytes": 5}, "it")  # fmt: skip
    assert changed.sources == (Exercises(70.0, 2.0, 7), StandardLibrary(30.0))
    assert changed.steps == replace(mix.steps, syntax="drop")
    assert (changed.held_out_percent, changed.max_file_bytes) == (9.0, 5)
    assert overridden(mix, {}, "it") == mix


def test_a_share_leaves_the_others_their_proportions() -> None:
    others = (Folder(Path("a"), 1.0), Folder(Path("b"), 3.0))
    recipe = Recipe("r", (*others, Exercises(5.0)))
    found = overridden(recipe, {"share": 60.0}, "it").sources
    assert [source.weight for source in found] == [10.0, 30.0, 60.0]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--recipe", "stdlib", "--share", "50"], "--share is for --recipe mix, not for --rec"),
        (["--recipe", "exercises", "--share", "50"], "--share is for --recipe mix, not for"),
        (["--recipe", "packages", "--share", "50"], "--share is for --recipe mix, not for"),
        (["--recipe", "stdlib", "--megabytes", "1"], "--megabytes is for --recipe exercises and"),
        (["--recipe", "stdlib", "--seed", "1"], "--seed is for --recipe exercises and mix, not"),
        (["--recipe", "stdlib", "--column", "x"], "--column is for --dataset, not for"),
        (["--recipe", "stdlib", "--suffixes", ".c"], "--suffixes is for --path and --git, not"),
        (["--recipe", "mix", "--commit", "x"], "--commit is for --git, not for --recipe mix"),
        (["--recipe", "mix", "--total-megabytes", "9"], "--total-megabytes is for recipes whose"),
        (["--recipe", "stdlib", "--total-megabytes", "9"], "--total-megabytes is for sources"),
        (["--recipe", "exercises", "--max-file-bytes", "9"], "--max-file-bytes is for files, wh"),
        (["--recipe", "exercises", "--no-filters"], "--no-filters is for sources beside exer"),
        (["--recipe", "exercises", "--syntax", "drop"], "--syntax is for sources beside exercises"),
        (["--recipe", "exercises", "--held-out-percent", "5"], "exercises hold out 20 %"),
        (["--path", ".", "--megabytes", "1"], "--megabytes is for --recipe exercises and mix"),
        (["--path", ".", "--commit", "x"], "--commit is for --git, not for --path"),
        (["--path", ".", "--split-by", "document"], "--split-by is for --git, not for --path"),
        (["--dataset", ".", "--suffixes", ".c"], "--suffixes is for --path and --git, not for"),
        (["--dataset", ".", "--max-file-bytes", "9"], "--max-file-bytes is for files, wheels"),
        (["--git", ".", "--column", "x"], "--column is for --dataset, not for --git"),
        (["--git", ".", "--wheels", "x"], "--wheels is for --recipe packages, not for --git"),
        (["--path", ".", "--most-error-percent", "1"], "--most-error-percent is for --syntax dro"),
        (
            ["--git", ".", "--path", "."],
            "give one of --recipe, --path, --dataset, --git and --functions",
        ),
    ],
)
def test_an_option_without_a_use_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], expected: str
) -> None:
    assert data_command("build", "--out", str(tmp_path / "out"), *words) == 2
    assert f"error: {expected}" in capsys.readouterr().err or expected.startswith("exercises")
    assert not (tmp_path / "out").exists()


def test_an_option_of_two_sources_is_refused() -> None:
    recipe = Recipe("r", (Repository(Path("a")), Repository(Path("b")), Folder(Path("c"))))
    given: dict[str, Any] = {"commit": "v1"}
    with pytest.raises(InputError, match="the recipe has 2 sources with commit; change it in"):
        overridden(recipe, given, "it")
    one = Recipe("r", (Repository(Path("a")), Folder(Path("c"))))
    assert overridden(one, given, "it").sources[0] == Repository(Path("a"), commit="v1")
