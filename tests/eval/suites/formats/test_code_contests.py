from typing import Any

import pytest

from bytelm.toolkit import InputError
from eval.suites.formats.code_contests import problem
from eval.suites.formats.problem import LeftOut, Problem
from eval.suites.formats.rows import Row

ROW: dict[str, Any] = {
    "name": "1_A. Double",
    "description": 'Double "it" \\ or """not""".',
    "public_tests": {"input": ["1\n"], "output": ["2\n"]},
    "private_tests": {"input": ["5\n"], "output": ["10\n"]},
    "generated_tests": {"input": [], "output": []},
    "solutions": {"language": [2, 3], "solution": ["int main() {}", "print(2 * int(input()))"]},
    "input_file": "",
    "output_file": "",
}


def made(row: Row, **options: Any) -> Problem:
    found = problem(row, **options)
    assert isinstance(found, Problem)
    return found


def test_all_tests_are_run_on_the_completion_alone(row_of: Any, passes: Any) -> None:
    found = made(row_of(ROW))
    assert found.prompt == f'"""\n{ROW["description"]}\n"""\n'
    assert (found.task_id, found.kind) == ("1_A. Double", "stdio")
    assert found.examples == (("1\n", "2\n"), ("5\n", "10\n"))
    # The first solution is C++.
    assert found.canonical_solution == "print(2 * int(input()))"
    assert passes(found, found.canonical_solution)
    assert not passes(found, "print(1 + int(input()))")


def test_tests_may_be_a_list_of_objects_or_missing(row_of: Any) -> None:
    listed = [{"input": "1\n", "output": "2\n"}]
    row = row_of(ROW, public_tests=listed, private_tests=None, generated_tests=[], solutions=None)
    found = made(row)
    assert (found.examples, found.canonical_solution) == ((("1\n", "2\n"),), "")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"input_file": "in.txt"}, "their programs read or write files"),
        ({"output_file": "out.txt"}, "their programs read or write files"),
        ({"public_tests": [], "private_tests": None}, "they have no tests"),
    ],
)
def test_what_cannot_be_run_is_left_out(row_of: Any, changes: dict[str, Any], reason: str) -> None:
    assert problem(row_of(ROW, **changes)) == LeftOut(reason)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"description": None}, r"a problem needs text under description \(CodeContests' format\)"),
        ({"public_tests": "x"}, "lists of one length are needed under input and output of public"),
        ({"public_tests": {"input": ["1"], "output": []}}, "lists of one length are needed"),
        ({"public_tests": {"input": ["1"]}}, "lists of one length are needed"),
        ({"private_tests": [1]}, "lists of one length are needed under .* of private_tests"),
        ({"public_tests": [{"input": 1, "output": "2"}]}, "inputs and outputs must be texts"),
        ({"public_tests": [{"input": "\ud800", "output": ""}]}, "inputs and outputs must be"),
        ({"solutions": {"language": 3}}, "lists .* under language and solution of solutions"),
    ],
)
def test_a_wrong_row_is_named(row_of: Any, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=rf"^f\.jsonl:7: {message}"):
        problem(row_of(ROW, **changes))
