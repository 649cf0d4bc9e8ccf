"""The sealed files in results/ are read by the records of what is measured, and lose nothing."""

import json

import pytest
from support import ROOT

from eval.measure.bench_tables import BenchResult
from eval.measure.step import StepResult
from eval.measure.training_time import TrainingTimeResult
from eval.records import BitsResult, Record, SpeedResult
from eval.study.sweep import SweepResult


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("bench.json", BenchResult),
        ("sweep.json", SweepResult),
        ("training-time.json", TrainingTimeResult),
        ("gpu/training-time.json", TrainingTimeResult),
        ("gpu/step-7b.json", StepResult),
        ("gpu/speed.json", SpeedResult),
        ("small/speed.json", SpeedResult),
        ("small/bits.json", BitsResult),
    ],
)
def test_a_sealed_file_is_read_and_written_again_unchanged(name: str, kind: type[Record]) -> None:
    sealed = json.loads((ROOT / "results" / name).read_bytes())
    assert json.loads(json.dumps(kind.model_validate(sealed).to_dict())) == sealed
