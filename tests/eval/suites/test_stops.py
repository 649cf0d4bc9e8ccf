from dataclasses import replace
from pathlib import Path

import pytest
from support import random_model, small_config

from bytelm.toolkit import Checkpoint, Gap, InputError
from eval.suites.formats.problem import Problem
from eval.suites.problems import load_problems
from eval.suites.stops import (
    STOPS,
    StopsName,
    closing_of,
    fitted,
    infill_of,
    prompt_name,
    prompt_of,
    stops_of,
)

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


def test_the_suffix_is_sent_to_fill_the_gap_and_else_not() -> None:
    assert prompt_of(LINE, "raw") == prompt_of(LINE, "raw", "prefix") == b"\ndef f():\n"
    assert prompt_of(LINE, "strip") == b"def f():"
    assert prompt_of(LINE, "raw", "fim") == Gap(b"\ndef f():\n", b"    return 1\n")
    assert prompt_of(LINE, "strip", "fim") == Gap(b"def f():", b"    return 1\n")


def checkpoint(infilling: float) -> Checkpoint:
    model = random_model(small_config(layers=1))
    return Checkpoint(Path("run"), model.config, model, 1, {}, "", infilling)


def test_gaps_are_filled_as_the_model_was_trained_to() -> None:
    plain, filling = checkpoint(0.0), checkpoint(0.5)
    assert infill_of(None, "prefix", plain) == "prefix"
    assert infill_of(None, "prefix", filling) == "fim"
    assert infill_of("prefix", "prefix", filling) == "prefix"
    assert infill_of("fim", "prefix", filling) == "fim"
    assert infill_of(None, "human-eval", filling) is None
    with pytest.raises(InputError, match=r"^run was trained without infilling"):
        infill_of("fim", "prefix", plain)
    with pytest.raises(InputError, match=r"^infill='prefix' is for suites with gaps"):
        infill_of("prefix", "human-eval", filling)


@pytest.mark.parametrize(
    ("size", "max_bytes", "left"), [(98, 50, 98), (99, 1, 98), (99, 30, 69), (500, 90, 49)]
)
def test_a_prompt_that_does_not_fit_loses_its_beginning(
    size: int, max_bytes: int, left: int
) -> None:
    prompt = bytes(i % 251 for i in range(size))
    assert fitted(prompt, 100, max_bytes) == prompt[size - left :]


def test_a_gap_that_does_not_fit_loses_its_outer_ends() -> None:
    gap = Gap(bytes(range(60)), bytes(range(100, 160)))
    # BOS and three marks take places too.
    assert fitted(gap, 125, 30) is gap
    assert fitted(gap, 124, 30) == Gap(gap.prefix[-45:], gap.suffix[:45])


def test_results_name_the_prompt() -> None:
    assert prompt_name("human-eval", "strip") == "strip"
    assert prompt_name("paper", "raw") == "paper raw"
    assert prompt_name("prefix", "raw", "prefix") == "prefix raw"
    assert prompt_name("prefix", "raw", "fim") == "fim raw"


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
