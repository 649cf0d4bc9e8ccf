"""What is run for a problem and a sample."""

import pytest

from bytelm.toolkit import InputError
from eval.grading.programs import (
    code_of,
    helpers_of,
    judge_modules,
    packages_of,
    program_of,
    reference_of,
)
from eval.suites.problems import Problem, load_problems

STDIO = Problem("a", "", "", "", "", kind="stdio", examples=(("1", "2"),))


def test_the_text_that_must_compile_is_human_evals() -> None:
    problem = load_problems("micro")[0]
    program = program_of(problem, code_of(problem, {"completion": "    return 5"}))
    assert program.joined == problem.prompt + "    return 5\n" + problem.test + "\ncheck(identity)"
    assert program.source == problem.prompt + "    return 5"
    assert problem.test not in program.source


def test_a_solution_replaces_the_prompt() -> None:
    problem = load_problems("micro")[0]
    assert code_of(problem, {"solution": "x = 1"}) == "x = 1"


def test_a_byte_order_mark_is_dropped_as_from_a_file() -> None:
    problem = load_problems("micro")[0]
    assert code_of(problem, {"solution": "\ufeffx = 1"}) == "x = 1"
    assert code_of(problem, {"completion": "\ufeff    return x"}) == problem.prompt + "    return x"


def test_infilling_puts_the_completion_between() -> None:
    problem = Problem("a", "def f():\n", "", "", "f", suffix="    return x\n")
    assert code_of(problem, {"completion": "    x = 1\n"}) == "def f():\n    x = 1\n    return x\n"


def test_each_kind_of_problem_has_its_program() -> None:
    assert program_of(STDIO, "print(2)").examples == (("1", "2"),)
    asserts = Problem("a", "", "f = int", "assert f() == 0", "f", kind="asserts")
    program = reference_of(asserts)
    assert (program.source, program.test, program.check) == ("f = int", "assert f() == 0", False)
    shell = Problem("a", "true\n", "", "exit 0", "", kind="program", language="sh")
    assert program_of(shell, "true\n").language == "sh"


def test_the_prompt_is_code_for_the_test_where_it_can_be() -> None:
    assert helpers_of("def f():\n    'doc'\n") == "def f():\n    'doc'\n"
    assert helpers_of("def f():\n") == "def f():\n    pass\n"
    assert helpers_of("Write a function, please.") == ""


def test_what_tests_import_must_be_installed() -> None:
    problem = Problem("own/1", "", "", "import numpy\n# import torch\nimport math", "f")
    assert judge_modules([problem]) == ("numpy",)
    missing = Problem("own/2", "", "", "import no_such_thing", "f")
    with pytest.raises(InputError, match=r"own/2 imports no_such_thing.*pip install"):
        judge_modules([missing])


def test_a_package_comes_with_what_its_distribution_brought() -> None:
    found = packages_of(["numpy"])
    names = {path.rpartition("/")[2] for path in found.paths}
    assert "numpy" in names
    assert found.modules == ("numpy",)
    assert packages_of([]).paths == ()


def test_examples_are_no_code_that_we_run() -> None:
    problem = Problem("a", "import os\n", "x = 1\n", ">>> import numpy\n", "x", kind="doctest")
    program = reference_of(problem)
    assert program.doctest
    assert (program.source, program.test) == ("import os\nx = 1\n", ">>> import numpy\n")
    # The judge would run helpers, and import what a test imports.
    assert (program.helpers, program.joined) == ("", program.source)
    assert judge_modules([problem]) == ("doctest",)
