import html
import json
import math
import shutil
from pathlib import Path

import pytest
from fake_run import BPB, OTHER, OURS, SUITES, edit, report_of, sample

from eval.report.command import ReportCommand


def test_report_json_has_what_readers_look_for(whole: Path) -> None:
    report = report_of(whole)
    assert report["held_out_bpb"] == BPB
    assert report["compressors"]["xz"] == {"each": 2.1, "together": 1.6}
    keys = {"k", "batch", "bytes_per_forward", "bytes_per_s", "speedup", "identical"}
    speed = json.loads((whole / "results" / "speed.json").read_text())
    assert len(report["speed"]) == len(speed["rows"])
    assert all(keys <= set(row) for row in report["speed"])
    for suite in SUITES:
        assert report[suite]["pass_at_1"] == 0.5
        assert report[suite]["n"] == 2
        assert report[suite]["finish_reasons"] == {"stop": 2}
        assert report[suite]["pass_at_1_interval"] == [0.1, 0.9]
        assert 0 < report[suite]["distinct_windows"] <= 1
    assert report["training"]["preset"] == "tiny"
    assert report["training"]["steps"] == 39
    assert report["data"]["train_bytes"] == 10_000
    assert report["stages"] == {
        "data": 1.5, "train": 39.0, "bits": 2.5, "speed": 9.0,
        **{f"complete_{suite}": 4.0 for suite in SUITES},
        **{f"grade_{suite}": 3.5 for suite in SUITES},
        **{f"solutions_{suite}": 1.0 for suite in SUITES},
    }  # fmt: skip
    assert report["exercises"]["bytes_per_forward"] == 2.5
    assert {level: own["pass_at_1"] for level, own in report["exercises"]["by_level"].items()} == {
        "1": 1, "2": 0, "3": 1,
    }  # fmt: skip
    assert report["solution_bits"]["humaneval"] == {
        "heads_bpb": [0.5, None], "heads_interval": [[0.4, 0.6], None], "problems": 2, "bytes": 80,
        "checkpoint_sha256": OURS,
    }  # fmt: skip
    assert report["commands"]["bits"] == "python -m eval bits"
    assert report["checkpoint_sha256"] == OURS
    assert report["machine"]["cores"] == 2
    assert report["versions"] == {"python": "3.11"}
    assert report["missing"] == []
    assert report["notes"] == []


STAGE_FILES = {
    "bits": ["bits.json"],
    "speed": ["speed.json"],
    "grade humaneval": ["humaneval.json"],
    "bits of exercises's solutions": ["solutions-exercises.json"],
    "complete micro": ["micro.jsonl", "micro.jsonl_results.jsonl", "micro.complete.json"],
}


@pytest.mark.medium
@pytest.mark.parametrize("stage", STAGE_FILES)
def test_a_missing_stage_is_named(run: Path, stage: str) -> None:
    for name in STAGE_FILES[stage]:
        (run / "results" / name).unlink()
    ReportCommand(run).run()
    [named] = report_of(run)["missing"]
    assert named.startswith(f"{stage} (results/")
    assert named in html.unescape((run / "report.html").read_text())


def test_a_run_of_training_alone_has_a_report(run: Path) -> None:
    shutil.rmtree(run / "results")
    figures = ReportCommand(run).run()
    report = report_of(run)
    of_suites = {f"{stage} {suite}" for stage in ("complete", "grade") for suite in SUITES}
    of_suites |= {f"bits of {suite}'s solutions" for suite in SUITES}
    assert {named.split(" (")[0] for named in report["missing"]} == {"bits", "speed", *of_suites}
    assert report["speed"] == []
    assert report["humaneval"] is None
    assert report["held_out_bpb"][0] == 2.1
    assert figures["identical"] is None
    assert "2.10 bits per byte" in (run / "report.html").read_text()


def test_a_run_that_is_not_over_has_a_report(run: Path) -> None:
    shutil.rmtree(run / "results")
    (run / "summary.json").unlink()
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"step": 40, "by')
    ReportCommand(run).run()
    report = report_of(run)
    assert "the end of training (summary.json)" in report["missing"]
    assert report["training"]["steps"] == 39
    assert report["held_out_bpb"] is None


@pytest.mark.medium
@pytest.mark.parametrize("name", ["bits.json", "speed.json", "micro.complete.json"])
def test_a_result_of_another_checkpoint_is_noted(run: Path, name: str) -> None:
    edit(run / "results" / name, checkpoint_sha256=OTHER)
    ReportCommand(run).run()
    [note] = report_of(run)["notes"]
    assert "another checkpoint (bbbbbbbbbbbb)" in note
    assert note in html.unescape((run / "report.html").read_text())


@pytest.mark.medium
def test_verdicts_of_other_samples_are_noted(run: Path) -> None:
    with (run / "results" / "micro.jsonl").open("a") as file:
        file.write(json.dumps(sample("micro/1", b"pass\n")) + "\n")
    ReportCommand(run).run()
    [note] = report_of(run)["notes"]
    assert (
        note == "The score of micro is of other samples than results/micro.jsonl: grade it again."
    )


@pytest.mark.medium
def test_no_nan_reaches_the_json(run: Path) -> None:
    path = run / "results" / "bits.json"
    path.write_text(path.read_text().replace('"seconds": 2.5', '"seconds": NaN'))
    edit(run / "config.json", extra=math.inf, model={"width": math.nan})
    ReportCommand(run).run()
    report = report_of(run)
    assert report["stages"]["bits"] is None
    assert report["training"]["model"] == {"width": None}
