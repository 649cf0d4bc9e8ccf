import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fake_run import edit

from bytelm.toolkit import InputError
from eval.report.command import ReportCommand


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def nonsense(**changes: Any) -> Callable[[Path], None]:
    return lambda path: edit(path, **changes)


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("results/bits.json", cut),
        ("results/bits.json", nonsense(heads_bpb=[])),
        ("results/bits.json", nonsense(heads_bpb=[math.nan])),
        ("results/bits.json", nonsense(compressors={"gzip": {"each": "x", "together": 1}})),
        ("results/bits.json", lambda path: path.write_text("[1]")),
        ("results/bits.json", lambda path: path.write_bytes(b"\xff\xfe\x00")),
        ("results/speed.json", nonsense(rows=[{"k": 1}])),
        ("results/speed.json", lambda path: path.write_text("[" * 100_000)),
        ("results/humaneval.json", nonsense(pass_at_1=None)),
        ("results/micro.json", nonsense(finish_reasons={"stop": "many"})),
        ("results/micro.jsonl_results.jsonl", cut),
        ("results/micro.jsonl_results.jsonl", lambda path: path.write_text('{"task_id": "a"}\n')),
        ("summary.json", nonsense(parameters=[1, 2])),
        ("config.json", nonsense(data={"train_bytes": "many"})),
        ("metrics.jsonl", lambda path: path.write_text('{"bytes": 1}\n')),
        ("metrics.jsonl", lambda path: path.write_text("{}}\n")),
    ],
)
def test_a_damaged_file_is_one_clear_line(
    run: Path, name: str, damage: Callable[[Path], None]
) -> None:
    damage(run / name)
    with pytest.raises(InputError) as caught:
        ReportCommand(run).run()
    message = str(caught.value)
    assert str(run / name) in message
    assert "again" in message or "is the line cut off?" in message
    assert "\n" not in message
    assert not (run / "report.json").exists()
    assert not (run / "report.html").exists()


def test_a_folder_without_training_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing was trained here"):
        ReportCommand(tmp_path).run()
    with pytest.raises(InputError, match="no such folder"):
        ReportCommand(tmp_path / "absent").run()
