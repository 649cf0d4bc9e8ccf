from dataclasses import replace

import pytest

from eval.suites.formats.problem import Problem
from eval.suites.problems import load_problems
from eval.suites.stops import STOPS, StopsName, closing_of, fitted, prompt_name, prompt_of, stops_of

LINE = Problem(
    "t", "\ndef f():\n", "", "", "f", suffix="    return 1\n", stops=("\n",), closing="\n"
)


def test_own_stops_are_the_problems_and_others_are_the_lists() -> None:
    assert stops_of(LINE, "own") == (b"\n",)
    assert stops_of(replace(LINE, stops=()), "own") == ()
    assert stops_of(LINE, "done") == (b"[DONE]",)
    assert closing_of(LINE, "own") == b"\n"
    assert closing_of(LINE, "none") == b""


@pytest.mark.parametrize("name", STOPS)
def test_every_list_has_stops_but_none(name: StopsName) -> None:
    assert bool(STOPS[name]) == (name != "none")
    assert all(STOPS[name])


def test_the_suffix_is_not_sent() -> None:
    assert prompt_of(LINE, "raw") == b"\ndef f():\n"
    assert prompt_of(LINE, "strip") == b"def f():"


@pytest.mark.parametrize(
    ("size", "max_bytes", "left"), [(98, 50, 98), (99, 1, 98), (99, 30, 69), (500, 90, 49)]
)
def test_a_prompt_that_does_not_fit_loses_its_beginning(
    size: int, max_bytes: int, left: int
) -> None:
    prompt = bytes(i % 251 for i in range(size))
    assert fitted(prompt, 100, max_bytes) == prompt[size - left :]


def test_results_name_the_prompt() -> None:
    assert prompt_name("human-eval", "strip") == "strip"
    assert prompt_name("paper", "raw") == "paper raw"


def test_no_list_for_whole_programs_cuts_imports_and_helpers() -> None:
    program = (
        "import math\n\ndef helper():\n    pass\n\nclass A:\n    pass\n\nfor x in []:\n    pass\n"
    )
    for name in ("evalplus-mbpp", "done", "docstring", "apps"):
        assert not any(stop in program for stop in STOPS[name])


def test_todays_default_is_the_papers() -> None:
    [*problems] = load_problems("micro")
    assert {stops_of(problem, "paper") for problem in problems} == {
        (b"\nclass", b"\ndef", b"\n#", b"\nif", b"\nprint")
    }
