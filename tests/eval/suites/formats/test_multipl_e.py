from typing import Any

import pytest

from bytelm.toolkit import InputError
from eval.suites.formats.multipl_e import problem

ROW: dict[str, Any] = {
    "name": "Own_0_double",
    "language": "js",
    "prompt": "function double(x){\n",
    "tests": "if (double(2) != 4) { process.exit(1); }\n",
    "stop_tokens": ["\nfunction ", "\n//", ""],
    "doctests": "transform",
}


def test_program_and_tests_are_one_text(row_of: Any) -> None:
    found = problem(row_of(ROW))
    assert (found.task_id, found.kind, found.language) == ("Own_0_double", "program", "js")
    assert found.program("  return 2 * x;\n}") == "function double(x){\n  return 2 * x;\n}"
    assert found.test == ROW["tests"]
    # An empty stop would end everything.
    assert found.stops == ("\nfunction ", "\n//")
    assert (found.canonical_solution, found.entry_point) == ("", "")


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [("go_test.go", "go"), ("go", "go"), ("pl", "perl"), ("sh", "sh"), ("cpp", "cpp"),
     ("java", "java"), ("javascript", "js"), ("py", "python"), ("rs", "rs")],
)  # fmt: skip
def test_languages_have_one_name(row_of: Any, theirs: str, ours: str) -> None:
    assert problem(row_of(ROW, language=theirs)).language == ours


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tests": None}, r"a problem needs text under tests \(MultiPL-E's format\)"),
        ({"name": 1, "stop_tokens": None},
         "a problem needs text under name and a list of texts under stop_tokens"),
        ({"stop_tokens": [1]}, "a problem needs a list of texts under stop_tokens"),
    ],
)  # fmt: skip
def test_a_wrong_row_is_named(row_of: Any, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=rf"^f\.jsonl:7: {message}"):
        problem(row_of(ROW, **changes))
