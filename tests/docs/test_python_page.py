"""docs/python.md: its code runs as it stands, in a folder of the user's own."""

import inspect
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import torch
from pages import PYTHON, blocks
from support import ROOT, data_command

import bytelm

PAGE = PYTHON.read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_code_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "weights").symlink_to(ROOT / "weights")
    (tmp_path / "my_code").symlink_to(ROOT / "bytelm")
    monkeypatch.chdir(tmp_path)
    # Not compiled: that takes a minute, and the page is about other things.
    monkeypatch.setattr(torch._dynamo.config, "disable", True)
    for block in blocks(PYTHON, "sh"):
        words = shlex.split(block.text)
        assert words[:3] == ["python", "-m", "data"]
        assert data_command(*words[3:]) == 0
    capsys.readouterr()
    names: dict[str, Any] = {}
    for block in blocks(PYTHON, "python"):
        exec(compile(block.text, "docs/python.md", "exec"), names)
    out = capsys.readouterr().out
    assert out.startswith("        self.x = x\n")
    assert out.count("def multiply(a, b):\n b'") == 4
    assert names["next_byte"] == "s"
    assert f"# {tuple(names['ids'].shape)}\n" in PAGE
    assert f"# {tuple(names['logits'].shape)}\n" in PAGE
    assert names["mine"].config.width == 64
    assert f"print(error)  # {out.splitlines()[-1]}\n" in PAGE


def test_the_options_are_all_told() -> None:
    """With the defaults of the signature."""
    told = dict(re.findall(r"^\| `(\w+)` \| (\S+) \|", PAGE, re.MULTILINE))
    signature = inspect.signature(bytelm.LanguageModel.stream).parameters
    options = {name: p.default for name, p in signature.items() if p.kind is p.KEYWORD_ONLY}
    words = {"heads": "all", "gate": "measured", "stops": "none", "exact": "`False`"}
    for name, default in options.items():
        expected = f"`{default}`" if isinstance(default, str) else str(default)
        assert told[name] == words.get(name, expected.removesuffix(".0")), name
