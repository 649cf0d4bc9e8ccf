"""row.json of a model: checked before it is compared with others."""

import json
from pathlib import Path

import pytest

from bytelm.toolkit import InputError
from eval.study.summary import read_row

ROW = {
    "data": "a", "width": 32, "n": 1, "seed": 0, "parameters": {"total": 5}, "score": 0.5,
    "points": [{"bytes": 3, "score": 0.5}],
}  # fmt: skip


def test_a_row_comes_back_in_its_order(tmp_path: Path) -> None:
    (tmp_path / "row.json").write_text(json.dumps(ROW))
    assert json.dumps(read_row(tmp_path, ["score"])) == json.dumps(ROW)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ([1], "a JSON object is needed"),
        ({}, "'data' is missing"),
        ({**ROW, "n": "1"}, "'n' is not"),
        ({**ROW, "parameters": 5}, "'parameters' is not"),
        ({**ROW, "score": None}, "damaged: 'score' must be a number"),
        ({**ROW, "points": 5}, "damaged: 'points' must be a list"),
        ({**ROW, "points": [[]]}, "damaged: 'score' must be a number"),
    ],
)
def test_a_damaged_row_is_named(tmp_path: Path, row: object, words: str) -> None:
    (tmp_path / "row.json").write_text(json.dumps(row))
    with pytest.raises(InputError, match=f"{tmp_path}/row.json.*{words}.*; remove {tmp_path} to"):
        read_row(tmp_path, ["score"])
