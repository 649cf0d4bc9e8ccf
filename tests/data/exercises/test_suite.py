"""The suite of exercises: as it ships, and as it is made."""

import json
from collections import Counter
from pathlib import Path

import pytest
from support import ROOT, data_command

from data.exercises.grammar.meaning import LEVELS

SHIPPED = ROOT / "eval" / "suites" / "exercises.jsonl"


def test_the_suite_that_ships() -> None:
    rows = [json.loads(line) for line in SHIPPED.read_text().splitlines()]
    assert Counter(row["level"] for row in rows) == dict.fromkeys(LEVELS, 80)
    assert len({row["task_id"] for row in rows}) == len({row["test"] for row in rows}) == 400
    for row in rows:
        space: dict[str, object] = {}
        exec(f"{row['prompt']}{row['canonical_solution']}\n{row['test']}", space)
        space["check"](space[row["entry_point"]])  # type: ignore[operator]


@pytest.mark.slow
def test_one_command_makes_it_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "exercises.jsonl"
    micro = str(SHIPPED.with_name("micro.jsonl"))
    assert data_command("suite", "--benchmark", micro, "--out", str(out)) == 0
    assert out.read_bytes() == SHIPPED.read_bytes()
    assert json.loads(capsys.readouterr().out)["problems"] == 400
