"""Records: what a stage wrote is read back as it was, and what is wrong is named by its key."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError
from support import ROOT

from bytelm.toolkit import InputError
from eval.records import (
    SEAL,
    BitsResult,
    GradeResult,
    MetricsRow,
    Record,
    Sample,
    SpeedResult,
    TrainingSummary,
    as_record,
    read_record,
)

SMALL = ROOT / "results" / "small"
RESULTS: dict[str, type[Record]] = {
    "bits.json": BitsResult,
    "speed.json": SpeedResult,
    "speed-exercises.json": SpeedResult,
    "exercises.json": GradeResult,
    "humaneval.json": GradeResult,
    "micro.json": GradeResult,
}
SCORE = {"n": 1, "pass_at_1": 0.5}


@pytest.mark.parametrize("name", RESULTS)
def test_a_result_leaves_as_it_came(name: str) -> None:
    figures = json.loads((SMALL / name).read_text())
    found = read_record(SMALL / name, RESULTS[name])
    assert found.to_dict() == figures
    unsealed = {key: value for key, value in figures.items() if key not in SEAL}
    # To the byte: an int is no float, and the keys keep their order.
    assert json.dumps(found.to_dict(SEAL)) == json.dumps(unsealed)


def test_keys_of_other_versions_are_no_error() -> None:
    row = as_record({"bytes": 1, "bpb": None, "heads": {"x": [1]}}, MetricsRow, "metrics.jsonl:1")
    assert row.step is None
    assert row.to_dict() == {"bytes": 1, "bpb": None, "heads": {"x": [1]}}


def test_a_record_is_not_changed() -> None:
    with pytest.raises(ValidationError):
        MetricsRow(bytes=1, bpb=2.0).bytes = 2


def test_values_that_are_not_finite_are_none(tmp_path: Path) -> None:
    path = tmp_path / "summary.json"
    path.write_text('{"steps": 1, "bytes": 2, "train_s": NaN, "extra": [Infinity]}')
    found = read_record(path, TrainingSummary)
    assert found.train_s is None
    assert found.to_dict()["extra"] == [None]


@pytest.mark.parametrize(
    ("kind", "value", "words"),
    [
        (GradeResult, {"n": 1}, "'pass_at_1' is missing"),
        (GradeResult, SCORE | {"pass_at_1": True}, r"'pass_at_1' .*\(a number is needed\)"),
        (GradeResult, SCORE | {"pass_at_1": math.inf}, "'pass_at_1' .*finite"),
        (GradeResult, SCORE | {"pass_at_1": 10**400}, "'pass_at_1' .*finite"),
        (GradeResult, SCORE | {"n": 1.0}, "'n' is not what it should be"),
        (GradeResult, SCORE | {"n": -1}, "'n' is not what it should be"),
        (GradeResult, SCORE | {"n": True}, "'n' is not what it should be"),
        (GradeResult, SCORE | {"pass_at_1_interval": [0]}, r"'pass_at_1_interval\[1\]' is missing"),
        (GradeResult, SCORE | {"results": {"passed": "1"}}, r"'results\.passed' is not"),
        (SpeedResult, {"rows": []}, "'rows' is not"),
        (SpeedResult, {"rows": [{"k": 1}]}, r"'rows\[0\]\.batch' is missing"),
        (BitsResult, {"heads_bpb": [1.0, None]}, r"'heads_bpb\[1\]' is not"),
        (BitsResult, {"heads_bpb": [1], "compressors": {"xz": {"each": 1}}},
         r"'compressors\.xz\.together' is missing"),
        (Sample, {"task_id": "a", "completion": "b", "completion_base64": "\u00e9!"},
         r"'completion_base64' .*\(base64 is needed\)"),
        (Sample, {"task_id": "a", "completion": None}, "'completion' is not"),
        (Sample, ["a"], "a JSON object is needed"),
    ],
)  # fmt: skip
def test_the_wrong_key_is_named(kind: type[Record], value: object, words: str) -> None:
    with pytest.raises(InputError, match=f"^x.json: {words}.*; mend it$") as caught:
        as_record(value, kind, "x.json", "mend it")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe\x00", b"[" * 100_000, b'{"a": "\xff"}'])
def test_what_is_not_json_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bits.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"bits\.json: damaged, not JSON .*; run its stage again"):
        read_record(path, BitsResult)


def test_a_file_that_is_not_there_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"bits\.json: No such file or directory"):
        read_record(tmp_path / "bits.json", BitsResult)


def test_the_bytes_of_a_sample() -> None:
    sample = Sample(task_id="a", completion="\udcff\u00e9")
    assert sample.content == "\udcff\u00e9".encode("utf-8", "surrogatepass")
    assert Sample(task_id="a", completion="\ufffd", completion_base64="/w==").content == b"\xff"


def test_records_need_no_torch() -> None:
    code = "import sys, eval.records; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
