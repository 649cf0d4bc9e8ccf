"""Problems whose tests are examples of doctest, from their file to their verdicts."""

from dataclasses import replace
from pathlib import Path

import pytest
from support import read_rows, write_rows

from eval.grading.grade import Grade, make_tasks
from eval.suites.problems import load_problems


@pytest.mark.medium
def test_problems_with_examples_are_graded_without_running_their_tests(tmp_path: Path) -> None:
    reached = tmp_path / "reached"
    write = f"open({str(reached)!r}, 'w').write('x')"
    row = {
        "prompt": "import math\n\ndef f(x):\n", "canonical_solution": "    return math.sqrt(x)\n",
        "entry_point": "f", "test": write, "doctest": ">>> f(4)\n2.0\n", "family": "own",
    }  # fmt: skip
    problems = write_rows(tmp_path / "p.jsonl", [
        {**row, "task_id": "a"},
        {**row, "task_id": "b", "prompt": f"{write}\ndef f(x):\n"},
        {**row, "task_id": "c", "doctest": f">>> {write}\n1\n"},
    ])  # fmt: skip
    samples = write_rows(
        tmp_path / "s.jsonl",
        [{"task_id": name, "completion": row["canonical_solution"]} for name in "abc"],
    )
    figures = Grade(samples=samples, problems=problems).run()
    assert figures["by_family"]["own"]["n"] == 3
    rows = read_rows(tmp_path / "s.jsonl_results.jsonl")
    assert [row["passed"] for row in rows] == [True, False, False]
    assert set(rows[0]) == {"task_id", "completion", "result", "passed"}
    assert not reached.exists()


def test_a_function_with_examples_gets_no_more_time_for_its_own_sake() -> None:
    """Its own body may never end, and would be waited for two minutes."""
    [problem] = [p for p in load_problems("micro") if p.task_id == "micro/0"]
    row = {"task_id": "micro/0", "completion": problem.canonical_solution}
    [task] = make_tasks([row], {"micro/0": problem})
    assert task.reference == task.program
    [task] = make_tasks([row], {"micro/0": replace(problem, test=">>> 1\n1\n", kind="doctest")})
    assert task.reference is None
