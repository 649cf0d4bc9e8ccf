"""Rows out of each kind of file, and out of data sets by a stand-in for the package."""

import hashlib
import json
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bytelm.toolkit import InputError
from eval.suites.files import read_dataset, read_rows
from eval.suites.named import named_suite
from eval.suites.problems import load_suite

VALUES = [{"id": "a", "tests": {"input": ["1"], "output": ["2"]}}, {"id": "b", "tests": None}]


def test_json_lists_and_parquet_are_numbered(tmp_path: Path) -> None:
    listed, table = tmp_path / "r.json", tmp_path / "r.parquet"
    listed.write_text(json.dumps(VALUES, indent=1))
    pq.write_table(pa.Table.from_pylist(VALUES), table)
    for path in (listed, table):
        found = read_rows(path)
        assert [row.values for row in found.rows] == VALUES
        assert [row.where for row in found.rows] == [f"{path}:1", f"{path}:2"]
        assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_json_file_may_have_lines(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    path.write_text("".join(f"{json.dumps(row)}\n\n" for row in VALUES))
    assert [row.where for row in read_rows(path).rows] == [f"{path}:1", f"{path}:3"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("r.json", b'[{"a": 1}', r"r\.json: not JSON \(.*\); is the file cut off\?"),
        ("r.json", b"[" * 100_000, r"r\.json: not JSON"),
        ("r.json", b'[{"a": "\xff"}]', r"r\.json: not JSON"),
        ("r.json", b"[{}, 5]", r"r\.json:2: a JSON object is needed, this is int"),
        ("r.parquet", b"PAR1 and no more", r"r\.parquet: damaged parquet \(.*\); fetch the file"),
        ("r.parquet", b"", r"r\.parquet: damaged parquet"),
        ("none.json", None, r"none\.json: No such file or directory; is the path right\?"),
        ("none.parquet", None, r"none\.parquet: No such file"),
    ],
)
def test_damage_is_one_line(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read_rows(path)
    assert "\n" not in str(caught.value)


@pytest.fixture
def datasets(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A stand-in for the package; its `calls` are the arguments of load_dataset."""
    module = ModuleType("datasets")
    calls: list[Any] = []

    def load_dataset(name: str, config: str | None, split: str) -> list[dict[str, Any]]:
        calls.append((name, config, split, os.environ.get("HF_HUB_OFFLINE")))
        if name == "absent":
            raise FileNotFoundError("not cached\nmore lines")
        return [{"code": "def f(x):\n    return x", "input": "1", "output": "1", "id": "sample_0"}]

    vars(module).update(load_dataset=load_dataset, calls=calls, __spec__=pytest)
    monkeypatch.setitem(sys.modules, "datasets", module)
    # Put back after the test, since reading a data set sets it.
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.delenv("BYTELM_SUITES", raising=False)
    return module


def test_a_data_set_is_read_offline_where_no_file_is(datasets: Any) -> None:
    suite = load_suite("cruxeval-input")
    assert [p.task_id for p in suite.problems] == ["sample_0"]
    assert datasets.calls == [("cruxeval-org/cruxeval", None, "test", "1")]
    assert suite.sha256 == load_suite("cruxeval-output").sha256
    assert len(suite.sha256) == 64


def test_the_user_may_let_it_fetch(datasets: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    load_suite("cruxeval-input")
    assert datasets.calls[0][-1] == "0"


def test_a_file_goes_before_a_data_set(
    datasets: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("BYTELM_SUITES", str(tmp_path))
    row = {"code": "def f(x):\n    return x", "input": "1", "output": "1", "id": "mine"}
    (tmp_path / named_suite("cruxeval-input").files[0]).write_text(json.dumps(row))
    assert load_suite("cruxeval-input").problems[0].task_id == "mine"
    assert datasets.calls == []


def test_why_there_is_no_data_set(datasets: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    reason = "datasets has no copy of absent (FileNotFoundError: not cached)"
    assert read_dataset("absent", None, "test") == reason
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert read_dataset("absent", None, "test") == "the package datasets is not installed"
