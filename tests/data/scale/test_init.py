"""The public face, and what it says where datatrove is missing."""

import sys

import pytest

import data.scale
from bytelm.toolkit import InputError


def test_every_name_of_the_face_is_there() -> None:
    for name in data.scale.__all__:
        assert hasattr(data.scale, name), name


def test_without_datatrove(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datatrove", None)
    for name in [name for name in sys.modules if name.startswith("data.scale")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(InputError, match=r"package datatrove .*: pip install '\.\[scale\]'"):
        import data.scale  # noqa: F401
