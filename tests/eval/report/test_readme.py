"""README's measured block is what its sealed report says."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support import ROOT

from bytelm.toolkit import InputError
from eval.report.readme import (
    Readme,
    bench_block,
    marks,
    measured_block,
    sweep_block,
    training_block,
    with_block,
)

RESULTS = ROOT / "results"
SEALED = RESULTS / "tiny.json"
BEGIN, END = marks("measured")


@pytest.mark.parametrize(
    ("name", "block", "files"),
    [
        ("measured", measured_block, ["tiny.json"]),
        ("bench", bench_block, ["bench.json"]),
        ("sweep", sweep_block, ["sweep.json"]),
        ("training", training_block, ["training-time.json", "gpu/training-time.json"]),
    ],
)
def test_the_readme_agrees_with_its_sealed_results(
    name: str, block: Callable[[dict[str, Any]], str], files: list[str]
) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = [block(json.loads((RESULTS / file).read_bytes())) for file in files]
    assert with_block(readme, name, "\n\n".join(blocks)) == readme


def test_the_block_is_replaced_and_nothing_else(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    assert Readme(SEALED, readme).run()["changed"] is True
    text = readme.read_text()
    assert text.startswith(f"before\n{BEGIN}\n```text\ntiny\n")
    assert text.endswith(f"{END}\nafter\n")
    assert "old" not in text
    assert Readme(SEALED, readme).run()["changed"] is False


def test_wrong_input(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"{END} {BEGIN}")
    with pytest.raises(InputError, match="has no lines"):
        Readme(SEALED, readme).run()
    (tmp_path / "other.json").write_text('{"x": 1}')
    with pytest.raises(InputError, match=r"other\.json is not what its command writes"):
        Readme(tmp_path / "other.json", readme).run()
    with pytest.raises(InputError, match="No such file"):
        Readme(tmp_path / "nowhere.json", readme).run()
    assert readme.read_text() == f"{END} {BEGIN}"
