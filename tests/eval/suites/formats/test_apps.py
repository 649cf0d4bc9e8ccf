import json
from typing import Any

import pytest

from bytelm.toolkit import InputError
from eval.suites.formats.apps import problem
from eval.suites.formats.problem import LeftOut, Problem
from eval.suites.formats.rows import Row

TESTS = {"inputs": ["1 2\n", ["3 4", ""]], "outputs": ["3\n", ["7"]]}
ROW: dict[str, Any] = {
    "problem_id": 4000,
    "question": "Add two numbers.",
    "solutions": json.dumps(["print(sum(map(int, input().split())))\n", "other"]),
    "input_output": json.dumps(TESTS),
    "difficulty": "introductory",
    "url": "x",
    "starter_code": "",
}


def made(row: Row, **options: Any) -> Problem:
    found = problem(row, **options)
    assert isinstance(found, Problem)
    return found


def test_a_question_is_answered_by_a_program(row_of: Any, passes: Any) -> None:
    found = made(row_of(ROW))
    assert found.prompt == "\nQUESTION:\nAdd two numbers.\nUse Standard Input format\nANSWER:\n"
    assert (found.task_id, found.kind, found.level) == ("APPS/4000", "stdio", "introductory")
    assert found.examples == (("1 2\n", "3\n"), ("3 4\n", "7"))
    assert found.program("x = 1") == "x = 1"
    assert passes(found, found.canonical_solution)
    assert not passes(found, "print(3)\n")


def test_the_files_own_name_of_the_number_and_starter_code(row_of: Any) -> None:
    found = made(row_of(ROW, problem_id=None, id=3, starter_code="\nN = 1", solutions=""))
    assert (found.task_id, found.canonical_solution) == ("APPS/3", "")
    assert "numbers.\nN = 1\nUse" in found.prompt


def test_another_difficulty_is_not_of_the_suite(row_of: Any) -> None:
    assert problem(row_of(ROW), difficulty="interview") is None
    assert made(row_of(ROW), difficulty="introductory") == made(row_of(ROW))


@pytest.mark.parametrize(
    ("tests", "reason"),
    [
        ({**TESTS, "fn_name": "add"}, "their tests call a function"),
        ({"inputs": [], "outputs": []}, "they have no tests"),
        (None, "they have no tests"),
        ({"inputs": ["1"], "outputs": []}, "their tests are not pairs of texts"),
        ({"inputs": ["\ud800"], "outputs": ["1"]}, "their tests are not pairs of texts"),
        ({"inputs": [{"a": 1}], "outputs": ["1"]}, "their tests are not pairs of texts"),
    ],
)
def test_what_cannot_be_run_is_left_out(row_of: Any, tests: Any, reason: str) -> None:
    text = json.dumps(tests) if tests else ""
    assert problem(row_of(ROW, input_output=text)) == LeftOut(reason)


def test_numbers_of_any_length_are_texts(row_of: Any) -> None:
    tests = '{"inputs": [%s], "outputs": [1.5]}' % ("7" * 5000)
    assert made(row_of(ROW, input_output=tests)).examples == (("7" * 5000, "1.5"),)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"question": None}, r"a problem needs text under question \(APPS's format\)"),
        ({"input_output": {}}, "a problem needs text under input_output"),
        ({"input_output": "{"}, "input_output holds no JSON: "),
        ({"input_output": "[1]"}, "input_output must hold an object with inputs and outputs"),
        ({"input_output": '{"inputs": "1"}'}, "input_output needs lists under inputs and outputs"),
        ({"solutions": "["}, "solutions holds no JSON: "),
        ({"problem_id": "4"}, "a whole number is needed under problem_id"),
        ({"problem_id": None}, "a whole number is needed under id"),
    ],
)
def test_a_wrong_row_is_named(row_of: Any, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=rf"^f\.jsonl:7: {message}"):
        problem(row_of(ROW, **changes))
