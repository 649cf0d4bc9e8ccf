"""report.json: whoever wrote it, the record reads it and writes it back as it was."""

import json
from pathlib import Path

import pytest
from support import ROOT

from bytelm.toolkit import InputError
from eval.records import read_record
from eval.report.record import Report


def test_a_report_leaves_as_it_came(whole: Path) -> None:
    for path in (ROOT / "results" / "tiny.json", whole / "report.json"):
        report = read_record(path, Report)
        assert json.dumps(report.to_dict(), indent=2) + "\n" == path.read_text()


def test_scores_are_those_of_graded_suites(whole: Path) -> None:
    report = read_record(whole / "report.json", Report)
    assert list(report.scores) == ["exercises", "humaneval", "micro"]
    assert list(report.model_copy(update={"humaneval": None}).scores) == ["exercises", "micro"]


def test_what_is_no_report_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text('{"run": "tiny"}')
    with pytest.raises(InputError, match=r"report\.json: 'held_out_bpb' is missing"):
        read_record(path, Report)
