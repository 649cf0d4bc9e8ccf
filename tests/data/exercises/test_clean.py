"""Exercises that are a benchmark's problem in other words are found by running its test."""

import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from bytelm.toolkit import InputError
from data.exercises.clean import Checks, benchmark_checks, checks_of, shape_of
from data.exercises.documents import block
from data.exercises.grammar.meaning import draw, named


def strlen(s: str) -> int:
    return sum(1 for _ in s)


def make_palindrome_question(text: str) -> bool:
    return list(text) == list(reversed(text))


def biggest(values: list[int]) -> int:
    best = values[0]
    for value in values:
        best = value if value > best else best
    return best


@pytest.mark.parametrize(
    ("function", "types", "problem"),
    [
        (strlen, ("str",), "HumanEval/23"),
        (make_palindrome_question, ("str",), "HumanEval/48"),
        (biggest, ("list[int]",), "HumanEval/35"),
    ],
)
def test_solutions_in_other_words_are_caught(
    function: Callable[..., Any], types: tuple[str, ...], problem: str
) -> None:
    assert benchmark_checks().passed_by(function, types)[0] == problem


def test_a_meaning_that_is_a_problem_is_left_out() -> None:
    tests = benchmark_checks()
    meaning = named("numbers", [], [], "max or error")
    assert tests.passed_by(meaning.compute, meaning.types)[0] == "HumanEval/35"
    found = [block(11, number, tests) for number in range(1, 4)]
    assert sum(one.tests_run for one in found) > 1000
    for one in found:
        for document in one.documents:
            assert b"HumanEval" not in document.content
    left_out = {key: name for one in found for key, name in one.left_out.items()}
    assert all(name.startswith("HumanEval/") for name in left_out.values())


def test_most_meanings_pass_no_test() -> None:
    tests, rng = benchmark_checks(), Random(4)
    found = [draw(rng, 4) for _ in range(100)]
    assert sum(bool(tests.passed_by(one.compute, one.types)[0]) for one in found) < 5


def test_both_formats_are_read(tmp_path: Path) -> None:
    path = tmp_path / "problems.jsonl"
    rows: list[dict[str, Any]] = [
        {"task_id": 5, "code": "def double(n): ...",
         "test_list": ["assert double(2) == 4", "assert double(-3) == -6"]},
        {"task_id": "x/1", "test": "def check(candidate):\n    assert candidate([1, 2]) == 3\n"},
        {"task_id": "x/2", "test": "def check(candidate):\n    assert candidate(unknown) == 3\n"},
    ]  # fmt: skip
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    # No argument of the third is a literal, so its type is not known.
    found = list(checks_of(rows))
    assert [(test.name, test.types) for test in found] == [
        ("MBPP/5", ("int",)), ("x/1", ("list[int]",)),
    ]  # fmt: skip
    tests = Checks(found)
    assert tests.passed_by(lambda n: n + n, ("natural",)) == ("MBPP/5", 1)
    assert tests.passed_by(lambda n: n + 2, ("natural",)) == ("", 1)
    assert tests.passed_by(sum, ("list[int]",)) == ("x/1", 1)
    assert len(benchmark_checks([path])) == len(benchmark_checks()) + 2


def test_a_file_without_tests_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "none.jsonl"
    path.write_text('{"a": 1}\n')
    with pytest.raises(InputError, match=r"none\.jsonl: no problem with a test"):
        benchmark_checks([path])


def test_types_of_literals() -> None:
    assert shape_of([]) == "list[]"
    assert shape_of([1, 2]) == "list[int]"
    assert shape_of([[1], [2]]) == "list[list[int]]"
    assert shape_of({"a": 1}) == "dict"
    assert shape_of([("a", 1)]) == "list[tuple[str, int]]"
