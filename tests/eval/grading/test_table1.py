"""Table 1: exact fractions at known counts, the best temperature, and intervals that repeat."""

import json
import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import comb
from pathlib import Path
from typing import Any

import pytest
from support import eval_command, one_line, read_rows, write_rows

from bytelm.toolkit import InputError, read_record
from eval.grading.graded import Graded, read_graded
from eval.grading.table1 import Table1, Table1Result, table1, table_lines, with_levels

SAMPLES = 200
# Of 200 samples of each problem so many are right, by temperature. Cold is best at k = 1 alone.
MANY = {0.2: [200, 0, 57, 0], 0.8: [120, 3, 40, 1]}
FEW = {0.2: [100, 0, 0, 0], 0.8: [60, 1, 0, 0]}


def rows_of(
    counts: Mapping[float, Sequence[int]], samples: int = SAMPLES, **more: object
) -> list[dict[str, Any]]:
    return [
        {"task_id": f"t/{p}", "completion": "", "temperature": t, "sample": n, "passed": n < right,
         **more}
        for t, rights in counts.items() for p, right in enumerate(rights) for n in range(samples)
    ]  # fmt: skip


def exact(rights: Sequence[int], k: int, samples: int = SAMPLES) -> Fraction:
    each = [1 - Fraction(comb(samples - right, k), comb(samples, k)) for right in rights]
    return sum(each, Fraction(0)) / len(each)


@pytest.fixture
def graded(tmp_path: Path) -> list[Graded]:
    return [
        read_graded(label, [write_rows(tmp_path / f"{label}.jsonl", rows_of(counts))])
        for label, counts in (("many", MANY), ("few", FEW))
    ]


def test_it_equals_exact_fractions(graded: list[Graded]) -> None:
    result = table1(graded, (1, 10, 100, 200), 100)
    for row, counts in zip(result.rows, (MANY, FEW), strict=True):
        assert [cell.k for cell in row.cells] == [1, 10, 100, 200]
        for cell in row.cells:
            of = {t: exact(rights, cell.k) for t, rights in counts.items()}
            assert abs(cell.pass_at_k - float(max(of.values()))) < 1e-12
            assert of[float(cell.temperature)] == max(of.values())
            assert set(cell.by_temperature) == {"0.2", "0.8"}
            for t, value in of.items():
                assert abs(cell.by_temperature[str(t)] - float(value)) < 1e-12
    first, second = result.rows
    assert [cell.temperature for cell in first.cells] == [0.2, 0.8, 0.8, 0.8]
    assert first.samples == 2 * 4 * SAMPLES
    assert (result.problems, first.samples_by_temperature) == (4, {"0.2": 200, "0.8": 200})
    assert first.cells[0].difference is None
    for one, other in zip(first.cells, second.cells, strict=True):
        assert other.difference == other.pass_at_k - one.pass_at_k


def test_of_equal_temperatures_the_lowest_is_taken_and_a_k_without_samples_is_left_out(
    tmp_path: Path,
) -> None:
    rows = [*rows_of({0.8: [1, 2]}, 4), *rows_of({0.4: [1, 2]}, 4), *rows_of({0.1: [1, 0]}, 2)]
    found = read_graded("a", [write_rows(tmp_path / "a.jsonl", rows)])
    [row] = table1([found], (1, 4, 5), 10).rows
    assert [(cell.k, cell.temperature) for cell in row.cells] == [(1, 0.4), (4, 0.4)]
    assert set(row.cells[1].by_temperature) == {"0.4", "0.8"}
    with pytest.raises(InputError, match="too few samples of a problem for every k"):
        table1([found], (5, 6))


def test_intervals_are_the_bootstraps_and_repeat(graded: list[Graded]) -> None:
    first, again = (table1(graded, (1, 10), 2000, 3) for _ in range(2))
    assert first == again
    assert first != table1(graded, (1, 10), 2000, 4)
    for row in first.rows:
        for cell in row.cells:
            assert cell.interval[0] <= cell.pass_at_k <= cell.interval[1]


def test_the_difference_is_taken_on_the_same_problems(graded: list[Graded]) -> None:
    same = [graded[0], Graded("copy", [], [], [], graded[0].runs)]
    for cell in table1(same, (1, 10), 200).rows[1].cells:
        assert (cell.difference, cell.difference_interval) == (0.0, (0.0, 0.0))


def test_checkpoints_of_a_label_are_runs_whose_mean_counts(tmp_path: Path) -> None:
    paths = [
        write_rows(tmp_path / f"{name}.jsonl", rows_of(counts, checkpoint_sha256=name))
        for name, counts in (("one", MANY), ("two", FEW))
    ]
    found = read_graded("both", paths)
    assert found.checkpoints == ["one", "two"]
    [row] = table1([found], (1, 10), 4000).rows
    for cell in row.cells:
        of = {t: [exact(counts[t], cell.k) for counts in (MANY, FEW)] for t in MANY}
        best = max(of, key=lambda t: sum(of[t]))
        assert float(cell.temperature) == best
        assert cell.runs == pytest.approx([float(value) for value in of[best]], abs=1e-12)
        assert cell.pass_at_k == pytest.approx(float(sum(of[best]) / 2), abs=1e-12)
    # A resample may have one run twice, so intervals are wider than over the problems alone.
    alone = [table1([read_graded("one", [path])], (1,), 4000).rows[0].cells[0] for path in paths]
    [low, high] = row.cells[0].interval
    assert high - low > sum(cell.interval[1] - cell.interval[0] for cell in alone) / 2


def test_runs_of_a_label_need_a_temperature_in_common(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [
        str(write_rows(tmp_path / f"{t}.jsonl", rows_of({t: [1]}, 2, checkpoint_sha256=str(t))))
        for t in (0.2, 0.8)
    ]
    words = ("--labels", "both", "both", "--k", "1")
    status, _, said = eval_command(capsys, "table1", "--results", *paths, *words)
    assert status == 2
    assert "the 2 checkpoints of both have no temperature in common" in one_line(said)


def test_the_command_writes_record_and_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cold, warm = ({t: counts} for t, counts in MANY.items())
    files = [
        write_rows(tmp_path / "cold.jsonl", rows_of(cold, checkpoint_sha256="abc")),
        write_rows(tmp_path / "warm.jsonl", rows_of(warm, checkpoint_sha256="abc")),
        write_rows(tmp_path / "few.jsonl", rows_of(FEW)),
    ]
    out = tmp_path / "new" / "table1.json"
    status, figures, said = eval_command(
        capsys, "table1", "--results", *map(str, files), "--labels", "eight", "eight", "one",
        "--resamples", "100", "--out", str(out),
    )  # fmt: skip
    assert status == 0, said
    found = read_record(out, Table1Result)
    assert found.machine is not None
    assert [row.label for row in found.rows] == ["eight", "one"]
    assert found.rows[0].results == [str(path) for path in files[:2]]
    assert found.rows[0].checkpoint_sha256 == ["abc"]
    assert figures["rows"] == json.loads(out.read_text())["rows"]
    assert out.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    lines = said.splitlines()
    assert lines == table_lines(found)
    assert re.match(r"eight +200 +32\.1% \([0-9.]+%-[0-9.]+%\) 0\.2 ", lines[1])


def test_each_level_is_a_table_of_its_own(graded: list[Graded]) -> None:
    levels = {"t/0": "1", "t/1": "2", "t/2": "2", "t/3": "2"}
    result = with_levels(table1(graded, (1, 10), 100), graded, levels)
    for row, counts in zip(result.rows, (MANY, FEW), strict=True):
        assert set(row.by_level) == {"1", "2"}
        for level, chosen in (("1", slice(0, 1)), ("2", slice(1, 4))):
            for cell in row.by_level[level]:
                best = max(exact(rights[chosen], cell.k) for rights in counts.values())
                assert abs(cell.pass_at_k - float(best)) < 1e-12
    lines = table_lines(result)
    assert [line for line in lines if line.startswith("level")] == ["level 1", "level 2"]
    with pytest.raises(InputError, match=r"t/3 of .*many.jsonl is no problem of suite"):
        with_levels(result, graded, {"t/0": "1", "t/1": "1", "t/2": "1"})


def test_the_command_shows_the_levels_of_a_suite(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        {"task_id": f"exercises/{level}/0", "temperature": 0.2, "sample": n, "passed": n < level}
        for level in (1, 2) for n in range(4)
    ]  # fmt: skip
    path = str(write_rows(tmp_path / "graded.jsonl", rows))
    words = ("--results", path, "--k", "1", "--resamples", "10")
    status, figures, said = eval_command(capsys, "table1", *words, "--suite", "exercises")
    assert status == 0, said
    levels = figures["rows"][0]["by_level"]
    assert {name: cells[0]["pass_at_k"] for name, cells in levels.items()} == {"1": 0.25, "2": 0.5}
    status, _, said = eval_command(capsys, "table1", *words, "--suite", "micro")
    assert (status, "exercises/1/0 of" in said, "no problem of --suite" in said) == (2, True, True)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"passed": None}, "a.jsonl:1: no verdict (true or false) under passed; run `eval grade`"),
        ({"task_id": 5}, "a.jsonl:1: text is needed under task_id"),
        ({"temperature": "hot"}, "a.jsonl:1: temperature is no number from 0 to 10^6"),
        ({"temperature": 10**400}, "a.jsonl:1: temperature is no number from 0 to 10^6"),
        ({"task_id": "u/0"}, "has no sample of"),
        ({"sample": 1}, "a.jsonl:2: sample 1 of t/0 at temperature 0.2 comes a second time under"),
    ],
)
def test_wrong_rows_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: dict[str, Any], said: str
) -> None:
    rows = rows_of({0.2: [1, 1], 0.8: [1, 1]}, 2)
    path = write_rows(tmp_path / "a.jsonl", [{**rows[0], **change}, *rows[1:]])
    if "task_id" in change and change["task_id"] == "u/0":
        path = write_rows(path, [{**row, **change} for row in rows[:2]] + rows[2:])
    out = tmp_path / "o.json"
    status, _, err = eval_command(capsys, "table1", "--results", str(path), "--out", str(out))
    assert status == 2
    assert said in one_line(err)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"labels": ("a", "b")}, "labels has 2 names for 1 files"),
        ({"results": ()}, "results needs at least one file"),
        ({"out": Path("table.png")}, "the picture beside it ends in .png"),
        ({"k": (0,)}, "k must be at least 1, not 0"),
        ({"results": (Path("gone.jsonl"),)}, "gone.jsonl: No such file"),
    ],
)
def test_wrong_options_are_named(tmp_path: Path, more: dict[str, Any], said: str) -> None:
    path = write_rows(tmp_path / "a.jsonl", rows_of({0.2: [1]}, 2))
    with pytest.raises(InputError, match=re.escape(said)):
        Table1(**{"results": (path,), **more}).run()


def test_rows_without_a_temperature_are_greedy_and_may_have_no_number(tmp_path: Path) -> None:
    rows = [{"task_id": "t", "completion": "", "passed": passed} for passed in (True, False)]
    path = write_rows(tmp_path / "a.jsonl", rows)
    [row] = table1([read_graded("a", [path])], (1, 2), 10).rows
    assert [(cell.temperature, cell.pass_at_k) for cell in row.cells] == [(0, 0.5), (0, 1.0)]
    assert len(read_rows(path)) == 2
