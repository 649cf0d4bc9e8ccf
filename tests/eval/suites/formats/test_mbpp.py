"""MBPP in its three prompts: each prompt's reference passes, and nothing is put right."""

from typing import Any

import pytest

from bytelm.toolkit import InputError
from eval.suites.formats.mbpp import problem
from eval.suites.formats.problem import Problem
from eval.suites.formats.rows import Row

ROW: dict[str, Any] = {
    "task_id": 12,
    "text": "Write a function to add one.",
    "code": "import math\r\ndef helper(x):\r\n  return x\r\ndef plus(x, y=(1, 2)): \r\n"
    "  # one\r\n  return helper(x) + math.floor(y[0])\r\nBASE = 1",
    "test_setup_code": "",
    "test_list": ["assert abs(plus(1)) == 2", "assert plus(2) == 3"],
    "challenge_test_list": ["assert plus(-1) == 0"],
}


def made(row: Row, **options: Any) -> Problem:
    found = problem(row, **options)
    assert isinstance(found, Problem)
    return found


def test_the_papers_prompt_has_the_text_and_all_tests(row_of: Any, passes: Any) -> None:
    found = made(row_of(ROW))
    assert found.prompt == (
        "You are an expert Python programmer, and here is your task: Write a function to add one. "
        "Your code should pass these tests:\n\nassert abs(plus(1)) == 2\nassert plus(2) == 3\n"
        "[BEGIN]\n"
    )
    assert (found.task_id, found.entry_point, found.kind) == ("Mbpp/12", "plus", "asserts")
    assert found.canonical_solution == ROW["code"]
    # The words are no part of the program.
    assert found.program("x = 1") == "x = 1"
    assert passes(found, found.canonical_solution)
    assert not passes(found, "def plus(x):\n    return 2\n")


def test_evalplus_sends_a_docstring_with_the_first_test(row_of: Any, passes: Any) -> None:
    found = made(row_of(ROW), prompt="evalplus")
    assert found.prompt == '"""\nWrite a function to add one.\nassert abs(plus(1)) == 2\n"""\n'
    assert found.program("x = 1") == found.prompt + "x = 1"
    assert passes(found, found.canonical_solution)


def test_the_signature_is_the_references_own(row_of: Any, passes: Any) -> None:
    found = made(row_of(ROW), prompt="signature")
    assert found.prompt == 'def plus(x, y=(1, 2)):\n  """Write a function to add one."""\n'
    assert found.canonical_solution == (
        "  # one\r\n  return helper(x) + math.floor(y[0])\r\n"
        "import math\r\ndef helper(x):\r\n  return x\r\nBASE = 1"
    )
    assert passes(found, found.canonical_solution)
    assert not passes(found, "  return 1\n")


@pytest.mark.parametrize(
    ("code", "prompt"),
    [
        ("def f(x): return x + 1", 'def f(x):\n    """Add."""\n'),
        ("def f(x,\n      y={'a': 1},\n     ):  # why: so\n\treturn x + 1\n",
         "def f(x, y={'a': 1}):\n\t\"\"\"Add.\"\"\"\n"),
        ("@staticmethod\ndef f(x):\n\n    return x + 1\n", 'def f(x):\n    """Add."""\n'),
        ("def f(x):\n        def g(): return x\n        return g() + 1\n",
         'def f(x):\n        """Add."""\n'),
    ],
    ids=["one line", "several lines", "decorated", "wide"],
)  # fmt: skip
def test_heads_of_all_kinds(row_of: Any, passes: Any, code: str, prompt: str) -> None:
    row = row_of(ROW, text="Add.", code=code, test_list=["assert f(1) == 2"])
    found = made(row, prompt="signature")
    assert found.prompt == prompt
    assert passes(found, found.canonical_solution)


@pytest.mark.parametrize("text", ['Say "hi"', 'Three """ marks', "A \\n and \\x", 'All \\"""'])
def test_any_text_fits_into_the_docstring(row_of: Any, text: str) -> None:
    found = made(row_of(ROW, text=text), prompt="signature")
    names: dict[str, Any] = {}
    exec(found.program(found.canonical_solution), names)
    assert names["plus"].__doc__ == text


def test_setup_code_runs_after_the_program(row_of: Any, passes: Any) -> None:
    code = "class Node:\n    value = 3\ndef value_of(node):\n    return node.value\n"
    changes = {"test_setup_code": "root = Node()", "test_list": ["assert value_of(root) == 3"]}
    for prompt in ("paper", "evalplus", "signature"):
        found = made(row_of(ROW, code=code, **changes), prompt=prompt)
        assert found.test == "root = Node()\nassert value_of(root) == 3\n"
        assert passes(found, found.canonical_solution)


def test_only_the_challenge_runs_the_challenge_tests(row_of: Any, passes: Any) -> None:
    wrong = "def plus(x):\n    return abs(x) + 1\n"
    assert passes(made(row_of(ROW)), wrong)
    hard = made(row_of(ROW), challenge=True)
    assert not passes(hard, wrong)
    assert passes(hard, hard.canonical_solution)
    assert hard.prompt == made(row_of(ROW)).prompt


@pytest.mark.parametrize(("number", "kept"), [(10, False), (11, True), (510, True), (511, False)])
def test_the_test_split_is_11_to_510(row_of: Any, number: int, kept: bool) -> None:
    assert (problem(row_of(ROW, task_id=number), split="test") is not None) == kept
    assert problem(row_of(ROW, task_id=number)) is not None


def test_the_sanitized_file_and_mbpp_plus_are_read_too(row_of: Any, passes: Any) -> None:
    row = row_of(ROW, text=None, prompt=ROW["text"], test_imports=["import math"])
    found = made(row)
    assert found.prompt == made(row_of(ROW)).prompt
    assert found.test.startswith("import math\nassert ")
    whole = made(row_of(ROW, test="assert plus(5) == 6\n"))
    assert whole.test == "assert plus(5) == 6\n"
    assert passes(whole, whole.canonical_solution)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"text": None}, r"needs text under prompt \(MBPP's format\); mend the line"),
        ({"code": 1}, "needs text under code"),
        ({"test_list": "assert plus(1) == 2"}, "needs a list of texts under test_list"),
        ({"test_list": ["a", 1]}, "needs a list of texts under test_list"),
        ({"test_list": []}, "needs a test under test_list"),
        ({"challenge_test_list": "x"}, "a list of texts is needed under challenge_test_list"),
        ({"test_setup_code": 3}, "text is needed under test_setup_code"),
        ({"task_id": "12"}, "a whole number is needed under task_id"),
        ({"task_id": None}, "a whole number is needed under task_id"),
        ({"code": "def plus(:"}, "code holds no Python: "),
        ({"test_list": ["assert"]}, "test_list holds no Python: "),
        ({"test_list": ["assert minus(1) == 0"]}, "the first test calls no function of the code"),
    ],
)
def test_a_wrong_row_is_named(row_of: Any, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=rf"^f\.jsonl:7: .*{message}|^f\.jsonl:7: {message}"):
        problem(row_of(ROW, **changes), challenge=True)
