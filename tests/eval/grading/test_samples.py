import contextlib
import gzip
import hashlib
import json
import random
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import write_rows

from bytelm.toolkit import InputError
from eval.grading.samples import MOST_SHOWN, Samples, load_samples
from eval.suites.problems import Problem

Row = dict[str, Any]
BOM = b"\xef\xbb\xbf"


def suite(*task_ids: str) -> dict[str, Problem]:
    return {
        task_id: Problem(
            task_id, f"def f{number}(x):\n", "    return x\n", "def check(f): pass", "f"
        )
        for number, task_id in enumerate(task_ids)
    }


PROBLEMS = suite("own/0", "own/1", "own/2")
GOOD: list[Row] = [
    {"task_id": "own/1", "completion": "    return 1\n", "note": ["é", 2]},
    {"completion": "", "task_id": "own/0"},
]


def lines(*rows: object) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def load(path: Path, content: bytes, skip_broken: bool = False) -> Samples:
    path.write_bytes(content)
    return load_samples(path, PROBLEMS, skip_broken=skip_broken)


def complaint(path: Path, content: bytes) -> str:
    with pytest.raises(InputError) as caught:
        load(path, content)
    return str(caught.value)


def test_rows_keep_order_and_keys(tmp_path: Path) -> None:
    content = lines(*GOOD, GOOD[0])
    found = load(tmp_path / "s.jsonl", content)
    assert found.rows == [*GOOD, GOOD[0]]  # an equal row is a sample of its own
    assert list(found.rows[1]) == ["completion", "task_id"]
    assert (found.format, found.broken) == ("human-eval", [])
    assert found.sha256 == hashlib.sha256(content).hexdigest()


def test_whole_programs_are_evalplus_samples(tmp_path: Path) -> None:
    rows = [{"task_id": "own/0", "solution": "f = 1"}, {"task_id": "own/0", "solution": "f = 2"}]
    found = load(tmp_path / "s.jsonl", lines(*rows))
    assert (found.rows, found.format) == (rows, "evalplus")
    assert load(tmp_path / "s.jsonl", lines(*rows, GOOD[0])).format == "human-eval"


@pytest.mark.parametrize(
    "content",
    [
        BOM + lines(*GOOD),
        lines(GOOD[0]) + BOM + lines(GOOD[1]),
        b"\n  \n" + lines(GOOD[0]) + b"\r\n\t\n" + lines(GOOD[1]) + b"\n\n",
        lines(*GOOD).replace(b"\n", b"\r\n"),
        lines(*GOOD).rstrip(b"\n"),
    ],
    ids=["mark", "mark in the middle", "blank lines", "\\r\\n", "no last line end"],
)
def test_what_is_no_fault(tmp_path: Path, content: bytes) -> None:
    for name, packed in (("s.jsonl", content), ("s.jsonl.gz", gzip.compress(content, mtime=0))):
        found = load(tmp_path / name, packed)
        assert (found.rows, found.broken) == (GOOD, [])
        assert found.sha256 == hashlib.sha256(packed).hexdigest()


def test_gzip_is_seen_by_its_bytes_and_may_have_many_members(tmp_path: Path) -> None:
    packed = b"".join(gzip.compress(lines(row), mtime=0) for row in GOOD)
    assert load(tmp_path / "s.jsonl", packed + b"\0" * 512).rows == GOOD


def test_half_of_a_surrogate_pair_is_kept(tmp_path: Path) -> None:
    rows = [{"task_id": "own/0", "completion": "x = '\ud800'\0"}]
    assert load(tmp_path / "s.jsonl", lines(*rows)).rows == rows


BROKEN = [
    (b'{"completion": ""}', "a sample needs text under task_id"),
    (b'{"task_id": ["own/0"], "completion": ""}', "text under task_id, and task_id is a list"),
    (
        b'{"task_id": "own/9", "completion": ""}',
        "task_id 'own/9' is not among the 3 problems; are these the samples of another suite?",
    ),
    (b'{"task_id": "own/0"}', "a sample needs text under completion or solution"),
    (
        b'{"task_id": "own/0", "completion": null, "solution": "x"}',
        "a sample needs text under completion or solution, and completion is null",
    ),
    (b'{"task_id": "own/0", "solution": 5}', "completion or solution, and solution is a number"),
    (b"completion", "not JSON (Expecting value"),
    (b'{"task_id": "own/0", "compl', "is the line cut off?"),
    (b'{"task_id": "own/0", "completion": "\0\0"}', "2 NUL bytes"),
    (b"\0\0\0\0", "4 NUL bytes; did a crash damage the file"),
    (b'{"task_id": "own/0", "completion": "\xff"}', "not UTF-8 (invalid start byte at byte 36)"),
    (b'{"task_id": "own/0", "completion": "\xed\xa0\x80"}', "not UTF-8"),
    (b"[1]", "a JSON object is needed, this is a list"),
    (b'"text"', "a JSON object is needed, this is text"),
    (b"[" * 100_000, "not JSON"),
]


@pytest.mark.parametrize(("line", "message"), BROKEN, ids=[message for _, message in BROKEN])
def test_a_broken_line_is_named_or_left_out(tmp_path: Path, line: bytes, message: str) -> None:
    path = tmp_path / "s.jsonl"
    content = lines(GOOD[0]) + line + b"\n" + lines(GOOD[1])
    said = complaint(path, content)
    assert f"{path}:2: " in said
    assert message in said
    assert "--skip-broken" in said
    assert "\n" not in said
    found = load(path, content, skip_broken=True)
    assert found.rows == GOOD
    [entry] = found.broken
    assert entry.startswith(f"{path}:2: ")
    assert message in entry
    # As the first line and as the last, cut short.
    for content in (line + b"\n" + lines(*GOOD), lines(*GOOD) + line):
        found = load(path, content, skip_broken=True)
        assert (found.rows, len(found.broken)) == (GOOD, 1)
    with pytest.raises(InputError, match=r"no sample in it can be used: .*s\.jsonl:1: "):
        load(path, line, skip_broken=True)


def test_all_broken_lines_are_told_at_once_and_the_first_in_full(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    content = lines(GOOD[0]) + b"".join(line + b"\n" for line, _ in BROKEN)
    said = complaint(path, content).splitlines()
    assert said[0].startswith(
        f"{path} is broken in {len(BROKEN)} places; mend them, or give --skip-"
    )
    assert [entry.split(": ")[0] for entry in said[1:]] == [
        f"  {path}:{number}" for number in range(2, len(BROKEN) + 2)
    ]
    assert len(load(path, content, skip_broken=True).broken) == len(BROKEN)
    said = complaint(path, content + b"x\n" * 30).splitlines()
    assert len(said) == 1 + MOST_SHOWN + 1
    assert said[-1] == f"  and {len(BROKEN) + 30 - MOST_SHOWN} more"


@pytest.mark.parametrize("content", [b"", b"\n\n", BOM, b"[]", gzip.compress(b"", mtime=0)])
def test_nothing_is_an_error_in_both_ways(tmp_path: Path, content: bytes) -> None:
    for skip_broken in (False, True):
        with pytest.raises(InputError, match="no samples in it; a sample is one line of JSON"):
            load(tmp_path / "s.jsonl", content, skip_broken)


def test_a_path_without_samples(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.jsonl: No such file .*; is the path right\?"):
        load_samples(tmp_path / "gone.jsonl", PROBLEMS)
    (tmp_path / "own_0").mkdir()
    with pytest.raises(InputError, match="no samples in it; a folder of samples is evalplus's"):
        load_samples(tmp_path, PROBLEMS)


@pytest.mark.parametrize("indent", [None, 2])
def test_an_array_instead_of_lines(tmp_path: Path, indent: int | None) -> None:
    said = complaint(tmp_path / "s.json", json.dumps(GOOD, indent=indent).encode())
    assert "s.json:1: the file is a list, not lines of JSON; write each sample on a line" in said
    said = complaint(tmp_path / "s.json", json.dumps(GOOD[0], indent=2).encode())
    assert "s.json:1: the file is an object, not lines of JSON" in said


def test_a_value_of_many_lines_that_is_cut_is_one_fault(tmp_path: Path) -> None:
    said = complaint(tmp_path / "s.json", json.dumps(GOOD, indent=2).encode()[:-20])
    assert "s.json is broken in 1 place" in said
    assert "is the file cut off?" in said
    # But a bracket that has strayed does no harm to whole lines.
    assert load(tmp_path / "s.json", b"[\n" + lines(*GOOD), skip_broken=True).rows == GOOD


def test_a_sample_with_a_number_comes_once(tmp_path: Path) -> None:
    rows: list[Row] = [
        {"task_id": task, "completion": "", "temperature": temperature, "sample": number}
        for temperature in (0.2, 0.8)
        for task in ("own/0", "own/1")
        for number in (0, 1)
    ]
    path = tmp_path / "s.jsonl"
    assert load(path, lines(*rows)).rows == rows
    again = [{"task_id": "own/0", "completion": "x", "sample": n} for n in (3, 3, "3", None, None)]
    content = lines(*rows, *again)
    assert re.search(
        r"s\.jsonl:10: sample 3 of own/0 comes a second time; the first is .*s\.jsonl:9$",
        complaint(path, content),
    )
    assert load(path, content, skip_broken=True).rows == rows + again[:1] + again[2:]


def test_of_a_gzip_file_that_is_cut_the_whole_lines_are_used(tmp_path: Path) -> None:
    path, generator = tmp_path / "s.jsonl.gz", random.Random(1)
    rows = [{"task_id": f"own/{n % 3}", "completion": f"{generator.random()}"} for n in range(9000)]
    packed = gzip.compress(lines(*rows), mtime=0)
    found = load(path, packed[: len(packed) // 2], skip_broken=True)
    kept = len(found.rows)
    assert 1000 < kept < 8000
    assert found.rows == rows[:kept]
    assert found.broken == [
        f"{path}:{kept + 1}: damaged gzip (it is cut off) after {kept} whole lines; "
        "fetch or write the file again"
    ]
    assert "damaged gzip (it is cut off)" in complaint(path, packed[: len(packed) // 2])
    # Only the check at the end is missing: all lines are whole.
    assert load(path, packed[:-4], skip_broken=True).rows == rows
    with pytest.raises(InputError, match=r"no sample in it can be used: .*after 0 whole lines"):
        load(path, packed[:12], skip_broken=True)


def test_of_a_damaged_gzip_file_the_whole_members_are_used(tmp_path: Path) -> None:
    first, second = gzip.compress(lines(GOOD[0]), mtime=0), bytearray(gzip.compress(lines(*GOOD)))
    second[-6] ^= 1  # the check of the data
    path = tmp_path / "s.jsonl.gz"
    found = load(path, first + second, skip_broken=True)
    assert found.rows == GOOD[:1]
    assert re.match(r".*:2: damaged gzip \(.*incorrect data check\) after 1 ", found.broken[0])
    assert "incorrect header check" in complaint(path, lines(*GOOD))


def test_generations_of_bigcode(tmp_path: Path) -> None:
    tasks = [["a", "b"], [], ["c\ud800"]]
    for indent in (None, 2):
        found = load(tmp_path / "generations.json", json.dumps(tasks, indent=indent).encode())
        assert found.format == "bigcode"
        assert found.rows == [
            {"task_id": "own/0", "solution": "a"},
            {"task_id": "own/0", "solution": "b"},
            {"task_id": "own/2", "solution": "c\ud800"},
        ]
    path = tmp_path / "g.json"
    wrong = [["a", 1], None, "def f", ["x"]]
    assert [entry.split(":1: ")[1] for entry in complaint(path, lines(wrong)).splitlines()[1:]] == [
        "item 1 (own/0), program 2: text is needed, this is a number",
        "item 2 (own/1): a list of programs is needed, this is null",
        "item 3 (own/2): a list of programs is needed, this is text",
        "item 4: the suite has 3 problems; are these the samples of another suite?",
    ]
    assert load(path, lines(wrong), skip_broken=True).rows == [
        {"task_id": "own/0", "solution": "a"}
    ]
    assert "g.json:1: not JSON" in complaint(path, lines(tasks)[:-3])


def multipl_e(name: str, *completions: object, **more: object) -> Row:
    head = {"name": name, "language": "py", "temperature": 0.2, "prompt": "def g():\n"}
    return {**head, "tests": "g()", "completions": list(completions), "stop_tokens": [], **more}


def test_files_of_multipl_e(tmp_path: Path) -> None:
    value = multipl_e("own_1_name", "    return 1", "    return 2", sample=1, completion="")
    for indent in (None, 2):
        content = json.dumps(value, indent=indent).encode()
        for name, packed in (("a.json", content), ("a.json.gz", gzip.compress(content, mtime=0))):
            found = load(tmp_path / name, packed)
            assert found.format == "multipl-e"
            assert found.rows[1] == {
                "task_id": "own/1",
                "name": "own_1_name",
                "language": "py",
                "temperature": 0.2,
                "prompt": "def g():\n",
                "tests": "g()",
                "stop_tokens": [],
                "solution": "def g():\n    return 2",
            }
            assert len(found.rows) == 2


def test_a_folder_of_multipl_e(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    texts = {
        "own_10.json": json.dumps(multipl_e("own/2", "a", None)),
        "own_2.json.gz": json.dumps(multipl_e("own_0_x", "b")),
        "own_3.json": json.dumps(multipl_e("own_0_x", "b", language="rs")),
        "own_4.json": '{"name": "own_0_x", ',
        "own_5.json": json.dumps({"completions": 3, "name": 4, "language": "py"}),
        "own_6.json": "[1]",
        "own_2.results.json": "{}",
        "notes.txt": "x",
    }
    for name, text in texts.items():
        packed = gzip.compress(text.encode(), mtime=0) if name.endswith(".gz") else text.encode()
        (folder / name).write_bytes(packed)
    (folder / "own_7.json.gz").write_bytes(gzip.compress(b"x" * 99, mtime=0)[:-9])
    found = load_samples(folder, PROBLEMS, skip_broken=True)
    assert [(row["task_id"], row["solution"]) for row in found.rows] == [
        ("own/0", "def g():\nb"),
        ("own/2", "def g():\na"),
    ]
    said = [entry.removeprefix(f"{folder}/") for entry in found.broken]
    assert said[0].startswith("own_3.json:1: completion 1: task_id 'own_0_x' is not among the 3")
    assert re.match(r"own_4\.json:1: not JSON \(.*\); is the file cut off\?", said[1])
    assert said[2:4] == [
        "own_5.json:1: MultiPL-E's format: name must be text, and is a number; prompt is missing; "
        "completions must be a list, and is a number",
        "own_6.json:1: not MultiPL-E's format: an object with name, language, prompt and "
        "completions",
    ]
    assert said[4].startswith("own_7.json.gz:1: damaged gzip (it is cut off)")
    assert said[5] == "own_10.json:1: completion 2: text is needed, this is null"
    assert len(said) == 6
    with pytest.raises(InputError, match="is broken in 6 places"):
        load_samples(folder, PROBLEMS)


def test_a_folder_of_evalplus(tmp_path: Path) -> None:
    texts = {
        "own_2/10.py": b"ten",
        "own_2/2.py": BOM + "zwei é\r\n".encode(),
        "own_0/0.py": b"\xff",
        "own_0/1.py": b"one",
        "own_0/1.py.bak": b"old",
        "other_7/0.py": b"x",
        "__pycache__/0.pyc": b"x",
        "eval_results.json": b"{}",
        "README.py": b"x",
    }
    for name, text in texts.items():
        file = tmp_path / "out" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text)
    found = load_samples(tmp_path / "out", PROBLEMS, skip_broken=True)
    assert found.format == "evalplus"
    assert [(row["task_id"], row["solution"]) for row in found.rows] == [
        ("own/0", "one"),
        ("own/2", "zwei é\r\n"),
        ("own/2", "ten"),
    ]
    assert [entry.removeprefix(f"{tmp_path}/out/") for entry in found.broken] == [
        "other_7/0.py: task_id 'other_7' is not among the 3 problems; "
        "are these the samples of another suite?",
        "own_0/0.py: not UTF-8 (invalid start byte at byte 0)",
    ]
    # The hash is of what was read, and of nothing else.
    (tmp_path / "out" / "own_0" / "1.py.bak").write_text("new")
    assert load_samples(tmp_path / "out", PROBLEMS, skip_broken=True).sha256 == found.sha256
    (tmp_path / "out" / "own_0" / "1.py").write_text("new")
    assert load_samples(tmp_path / "out", PROBLEMS, skip_broken=True).sha256 != found.sha256


texts = st.text(st.characters(codec=None), max_size=20)


@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from(sorted(PROBLEMS)), st.sampled_from(["completion", "solution"]), texts
        ),
        min_size=1,
    ),
    cut=st.integers(0, 400),
)
def test_any_rows_are_read_back_and_any_prefix_of_a_file_gives_its_whole_lines(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, str]], cut: int
) -> None:
    path = tmp_path_factory.mktemp("any") / "s.jsonl"
    given_rows = [{"task_id": task_id, key: text} for task_id, key, text in rows]
    content = lines(*given_rows)
    assert load(path, content).rows == given_rows
    assert load_samples(write_rows(path, given_rows), PROBLEMS).rows == given_rows
    whole = content[:cut].count(b"\n")
    left = content[:cut].rpartition(b"\n")[2]
    try:
        found = load(path, content[:cut], skip_broken=True)
    except InputError:
        assert whole == 0
    else:
        complete = bool(left) and content[cut : cut + 1] == b"\n"
        assert found.rows == given_rows[: whole + complete]
        assert len(found.broken) == (bool(left) and not complete)


@given(st.binary(max_size=60))
def test_any_bytes_are_samples_or_an_input_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.mktemp("any") / "s.jsonl"
    for packed in (content, b"\x1f\x8b" + content, gzip.compress(content, mtime=0)[: len(content)]):
        with contextlib.suppress(InputError):
            assert load(path, packed, skip_broken=True).rows
