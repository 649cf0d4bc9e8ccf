from typing import Any

import pytest

from eval.suites.formats.known import FORMATS, recognised
from eval.suites.formats.rows import Row
from eval.suites.stops import STOPS

HUMAN_EVAL = ("task_id", "prompt", "canonical_solution", "test", "entry_point")
PLUS = (
    "task_id",
    "prompt",
    "canonical_solution",
    "entry_point",
    "base_input",
    "plus_input",
    "atol",
)


@pytest.mark.parametrize(
    ("keys", "task_id", "name"),
    [
        (HUMAN_EVAL, "x", "human-eval"),
        ((*HUMAN_EVAL, "level", "family"), "x", "human-eval"),
        ((*HUMAN_EVAL, "suffix"), "x", "infilling"),
        (PLUS, "HumanEval/0", "evalplus"),
        ((*PLUS, "test"), "HumanEval/0", "evalplus"),
        (PLUS, "Mbpp/2", "mbpp-plus"),
        (("task_id", "text", "code", "test_list", "test_setup_code"), 2, "mbpp"),
        (("task_id", "prompt", "code", "test_list", "test_imports"), 2, "mbpp"),
        (("id", "question", "solutions", "input_output", "difficulty"), None, "apps"),
        (("name", "description", "public_tests", "solutions"), None, "code-contests"),
        (("name", "language", "prompt", "tests", "stop_tokens"), None, "multipl-e"),
        (("code", "input", "output", "id"), None, "cruxeval"),
        (("task_id", "prompt"), "x", "human-eval"),
        ((), None, "human-eval"),
    ],
)
def test_a_format_is_known_by_its_keys(keys: tuple[str, ...], task_id: Any, name: str) -> None:
    values = {key: task_id if key == "task_id" else "" for key in keys}
    assert recognised(Row("f:1", values)) is FORMATS[name]


def test_stops_of_formats_are_known() -> None:
    assert {form.stops for form in FORMATS.values()} <= {*STOPS, "own"}
