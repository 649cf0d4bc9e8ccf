"""Verdicts and functions must be of each other; what passed becomes documents, by package."""

import json
from pathlib import Path
from typing import Any

import pytest
from support import data_command, write_rows

from bytelm.shards import InputError, Split, read_manifest
from data.benchmarks import humaneval_problems
from data.build import Build


def function(package: str, number: int, body: str = "") -> dict[str, Any]:
    name = f"f{number}"
    docstring = f'    """Add {number}.\n\n    >>> {name}(0)\n    {number}\n    """\n'
    return {
        "task_id": f"{package}/m.py:{number}",
        "prompt": f"def {name}(x):\n{docstring}",
        "canonical_solution": body or f"    return x + {number}\n",
        "package": package,
    }


def verdict(row: dict[str, Any], passed: object = True) -> dict[str, Any]:
    return {"task_id": row["task_id"], "completion": row["canonical_solution"], "passed": passed}


ROWS = [function(f"p{number % 4}", number) for number in range(12)]


def built(
    folder: Path, rows: list[dict[str, Any]], results: list[dict[str, Any]], **options: Any
) -> dict[str, Any]:
    functions = write_rows(folder / "functions.jsonl", rows)
    graded = write_rows(folder / "results.jsonl", results)
    return Build(out=folder / "out", functions=functions, results=graded, **options).run()


def packages(folder: Path, split: str) -> set[str]:
    return {name.split("/")[0] for name in Split(folder / "out", split).names()}


@pytest.mark.parametrize("percent", [0.001, 40, 99.999])
def test_a_package_is_all_in_one_split(tmp_path: Path, percent: float) -> None:
    figures = built(tmp_path, ROWS, [verdict(row) for row in ROWS], held_out_percent=percent)
    assert figures["documents"] == 12
    train, held_out = packages(tmp_path, "train"), packages(tmp_path, "held_out")
    assert train
    assert held_out
    assert not train & held_out


def test_functions_are_a_source_of_a_recipe(tmp_path: Path) -> None:
    """The licences of functions were looked at when they were found; those of others are here."""
    write_rows(tmp_path / "f.jsonl", ROWS)
    write_rows(tmp_path / "r.jsonl", [verdict(row) for row in ROWS])
    code = tmp_path / "code"
    code.mkdir()
    for number in range(6):
        text = f"# SPDX-License-Identifier: MIT\n\nvalue_{number} = {number}\n" * 4
        (code / f"m{number}.py").write_text(text)
    recipe = tmp_path / "both.toml"
    recipe.write_text(
        '[[sources]]\nkind = "functions"\nfunctions = "f.jsonl"\nresults = "r.jsonl"\n'
        '[[sources]]\nkind = "path"\npath = "code"\n[steps]\nlicences = "permissive"\n'
    )
    figures = Build(out=tmp_path / "out", recipe=str(recipe), held_out_percent=30).run()
    assert figures["documents"] == 18
    names = {"p0", "p1", "p2", "p3", *(f"m{number}.py" for number in range(6))}
    assert packages(tmp_path, "train") | packages(tmp_path, "held_out") == names


def test_what_does_not_pass_is_left_out(tmp_path: Path) -> None:
    problem = humaneval_problems()[0]
    copy = {**ROWS[0], "task_id": "z", "prompt": problem["prompt"],
            "canonical_solution": problem["canonical_solution"]}  # fmt: skip
    long = function("p1", 50, f"    return '{'a' * 2000}'\n")
    again = {**ROWS[3], "task_id": "p2/again"}
    secret = function("p1", 51, "    return 'someone@home.org'\n")
    rows = [*ROWS, copy, long, again, secret]
    results = [verdict(row, number != 5) for number, row in enumerate(rows)]
    results.reverse()
    figures = built(tmp_path, rows, results)
    assert figures["rejected"] == {
        "benchmark": 1, "duplicate": 1, "examples that do not hold": 1, "longest line": 1,
    }  # fmt: skip
    assert figures["documents"] == 12
    manifest = read_manifest(tmp_path / "out")
    assert manifest["replaced"] == {"e-mail address": 1}
    assert manifest["source"]["packages"] == {"p0": 3, "p1": 3, "p2": 3, "p3": 3}
    assert manifest["rejected"]["examples that do not hold"]["bytes"] > 50


def test_a_benchmark_of_ones_own_is_looked_for(tmp_path: Path) -> None:
    body = "".join(f"    value_{n} = x * {n} + len(str({n}))\n" for n in range(20))
    rows = [*ROWS, function("p1", 60, body)]
    mine = write_rows(tmp_path / "mine.jsonl", [{"prompt": body, "canonical_solution": ""}])
    figures = built(tmp_path, rows, [verdict(row) for row in rows], benchmark=(mine,))
    assert figures["rejected"] == {"benchmark": 1}


GOOD = [verdict(row) for row in ROWS]


@pytest.mark.parametrize(
    ("rows", "results", "message"),
    [
        (ROWS, GOOD[:-1], r"functions\.jsonl:12: 'p3/m.py:11' has no verdict in .*results\.jsonl"),
        (ROWS[:-1], GOOD, r"results\.jsonl:12: 'p3/m.py:11' is not in .*functions\.jsonl"),
        (ROWS, [*GOOD, GOOD[2]], r"results\.jsonl:13: 'p2/m.py:2' comes a second time"),
        ([*ROWS, ROWS[1]], GOOD, r"functions\.jsonl:13: task_id 'p1/m.py:1' comes a second time"),
        (ROWS, [{**GOOD[0], "completion": "    return 1\n"}, *GOOD[1:]],
         r"results\.jsonl:1: the completion of 'p0/m.py:0' is not .*functions\.jsonl:1\)"),
        (ROWS, [*GOOD[:3], verdict(ROWS[3], None)], r"results\.jsonl:4: 'p3/m.py:3' has no"),
        (ROWS, [*GOOD[:3], verdict(ROWS[3], "yes")], r"results\.jsonl:4: .* has no verdict"),
        (ROWS, [{"task_id": "p0/m.py:0"}], r"results\.jsonl:1: text is needed under completion"),
        ([{**ROWS[0], "package": 5}], GOOD, r"functions\.jsonl:1: text is needed under package"),
        ([], GOOD, r"functions\.jsonl: no functions in it"),
        (ROWS[:1], GOOD[:1], r"functions of one package alone \(p0\) cannot be split"),
        (ROWS[:1], [verdict(ROWS[0], False)], r"no document to build shards of"),
    ],
)  # fmt: skip
def test_files_that_do_not_fit_are_refused(
    tmp_path: Path, rows: list[dict[str, Any]], results: list[dict[str, Any]], message: str
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        built(tmp_path, rows, results)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_options_that_do_not_fit_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_rows(tmp_path / "f.jsonl", ROWS)
    (tmp_path / "broken.jsonl").write_text(json.dumps(ROWS[0]) + "\n{")
    both = ["--functions", str(file), "--results", str(file)]
    cases = [
        (both[:2], "--functions needs --results FILE, which eval grade writes"),
        (["--recipe", "stdlib", *both[2:]], "--results is for --functions, not for --recipe"),
        ([*both, "--recipe", "stdlib"], "give one of --recipe, --path, --dataset, --git and --fun"),
        ([*both, "--suffixes", ".c"], "--suffixes is for --path and --git, not for --functions"),
        ([*both, "--licences", "permissive"], "functions were chosen by the licences of data"),
        ([*both, "--near-duplicates", "drop"], "functions are small"),
        ([*both[:3], str(tmp_path / "nowhere")], "nowhere: No such file or directory"),
        ([*both[:1], str(tmp_path / "broken.jsonl"), *both[2:]], "broken.jsonl:2: not JSON"),
    ]
    for words, expected in cases:
        assert data_command("build", "--out", str(tmp_path / "out"), *words) == 2, words
        assert expected in capsys.readouterr().err.splitlines()[-1]
