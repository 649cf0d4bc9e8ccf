"""pass@k of samples, by temperature, and what a failed grader counts for."""

from typing import Any

import pytest

from eval.grading.scores import score
from eval.sandbox.verdict import Verdict


def test_scores_weigh_problems_equally_and_k_needs_samples_of_all() -> None:
    rows = [{"task_id": "a"}, {"task_id": "b"}, {"task_id": "a"}, {"task_id": "a"}]
    figures = score(rows, ["passed", "passed", "failed: x: y", "timed out"], (1, 2, 3))
    assert figures["pass_at_1"] == pytest.approx((1 / 3 + 1) / 2)
    assert list(figures["pass_at_k"]) == ["1"]
    assert figures["results"] == {"passed": 2, "failed": 1, "timed out": 1}
    assert figures["prompt_form"] is None
    mixed = [{"task_id": "a", "prompt_form": form} for form in ("raw", "strip", "raw")]
    assert score(mixed, ["passed"] * 3)["prompt_form"] == "raw, strip"


def test_each_temperature_has_its_score() -> None:
    rows: list[dict[str, Any]] = [
        {"task_id": task, "temperature": temperature}
        for temperature in (0.8, 0)
        for task in ("a", "a", "b", "b")
    ]
    results = ["passed", "failed: ", "failed: ", "failed: ", *["passed"] * 4]
    cold, warm = score([*rows, {"task_id": "a", "temperature": "hot"}], [*results, "passed"])[
        "by_temperature"
    ]
    assert (cold["temperature"], cold["n"], cold["samples"]) == (0, 2, 4)
    assert (cold["pass_at_1"], warm["pass_at_1"]) == (1.0, 0.25)
    figures = score(rows, results, (1, 2))
    assert figures["by_temperature"][1]["pass_at_k"] == {"1": 0.25, "2": 0.5}
    assert "by_temperature" not in score([{"task_id": "a"}], ["passed"])


def test_what_the_grader_failed_to_run_is_neither_a_pass_nor_a_fail() -> None:
    rows = [{"task_id": "a"}, {"task_id": "a"}, {"task_id": "b"}]
    lost = Verdict("infra error: gone", "infra_error")
    figures = score(rows, [Verdict("passed"), lost, Verdict("failed: x", "memory")])
    assert (figures["samples"], figures["n"], figures["pass_at_1"]) == (2, 2, 0.5)
    assert figures["results"] == {"passed": 1, "failed": 1, "timed out": 0}
    counted = {kind: count for kind, count in figures["verdicts"].items() if count}
    assert counted == {"passed": 1, "memory": 1, "infra_error": 1}
