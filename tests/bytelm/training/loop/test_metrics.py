"""metrics.jsonl is cut back to a checkpoint; a damaged row takes no other row with it."""

from pathlib import Path

import pytest
from support import read_rows

from bytelm.training.loop.metrics import Metrics


@pytest.mark.parametrize(
    "row", ["[1]", "5", "null", "{}", '{"step": null}', '{"step": true}', "{", "[" * 100_000]
)
def test_a_damaged_row_is_left_out_and_said(
    tmp_path: Path, row: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text(f'{{"step": 1}}\n{row}\n{{"step": 3}}\n{{"step": 4}}\n{{"step": 5')
    Metrics(path, 3).close()
    assert read_rows(path) == [{"step": 1}, {"step": 3}]
    assert capsys.readouterr().err == f"{path} is damaged: 1 rows without a step were left out\n"
