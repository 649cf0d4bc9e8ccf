"""README's measured block is what its sealed report says."""

import json
from pathlib import Path

import pytest
from support import ROOT

from bytelm import InputError
from eval.readme import (
    BEGIN,
    BENCH_BEGIN,
    BENCH_END,
    END,
    Readme,
    bench_block,
    measured_block,
    with_block,
)

SEALED = ROOT / "results" / "tiny.json"


def test_the_readme_agrees_with_its_sealed_report() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert with_block(readme, measured_block(json.loads(SEALED.read_bytes()))) == readme


def test_the_readme_agrees_with_its_sealed_bench() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    block = bench_block(json.loads((ROOT / "results" / "bench.json").read_bytes()))
    assert with_block(readme, block, BENCH_BEGIN, BENCH_END) == readme


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
