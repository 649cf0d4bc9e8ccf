"""The model that comes with a clone is loaded where none is named."""

from pathlib import Path

import pytest
from support import ROOT

import bytelm
from bytelm import InputError
from bytelm.files import shipped


def test_it_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert bytelm.load().folder == Path("weights/small")


def test_elsewhere_its_path_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert shipped.shipped() == ROOT / "weights" / "small"


def test_without_a_clone_it_must_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipped, "SHIPPED", tmp_path / "weights" / "small")
    with pytest.raises(InputError, match="no checkpoint is named"):
        bytelm.load()
