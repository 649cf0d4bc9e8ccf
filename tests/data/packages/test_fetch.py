"""Wheels in a folder, and pip against a folder that stands for an index."""

from pathlib import Path

import pytest
from wheels import wheel

from bytelm.shards import InputError
from data.packages.fetch import fetched, local, wheels_in
from data.packages.listed import Wanted


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes for its only index."""
    folder = tmp_path / "index"
    for version in ("1.0", "1.9", "1.10"):
        wheel(folder, "one", {"one.py": "x = 1\n"}, version=version)
    wheel(folder, "two", {"two.py": "x = 2\n"})
    (folder / "built-1.0.tar.gz").write_bytes(b"it would have to be built")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.mark.medium
def test_wheels_are_fetched_once_and_others_are_named(
    index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cache = tmp_path / "cache"
    wanted = [Wanted("built"), Wanted("none", "3"), Wanted("one", "1.9"), Wanted("two")]
    found, missing = fetched(wanted, cache)
    assert [(one.package, str(one.version)) for one in found] == [("one", "1.9"), ("two", "1.0")]
    assert set(missing) == {"built", "none==3"}
    said = capsys.readouterr().err
    assert "cannot be had: none==3 (No matching distribution found for none==3)" in said
    assert sorted(path.name for path in cache.iterdir()) == [
        "one-1.9-py3-none-any.whl", "two-1.0-py3-none-any.whl",
    ]  # fmt: skip
    # What is there is not fetched again, nor looked for.
    for path in index.iterdir():
        path.unlink()
    again, missing = fetched(wanted[2:], cache)
    assert (again, missing) == (found, {})


@pytest.mark.medium
def test_nothing_at_all_is_an_error(index: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="none of 1 packages can be had; built: No matching"):
        fetched([Wanted("built")], tmp_path / "cache")


def test_the_newest_wheel_of_a_folder(index: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (index / "nonsense.whl").write_bytes(b"")
    found = [(one.package, str(one.version)) for one in local(index)]
    assert found == [("one", "1.10"), ("two", "1.0")]
    assert "nonsense.whl: its name is no wheel's" in capsys.readouterr().err
    assert [str(one.version) for one in wheels_in(index)] == ["1.10", "1.9", "1.0", "1.0"]
    # A version that is written in another way is the same.
    assert fetched([Wanted("one", "1.9.0")], index)[0][0].path.name == "one-1.9-py3-none-any.whl"


def test_folders_without_wheels(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist; name wheels to fetch with packages"):
        local(tmp_path / "nowhere")
    with pytest.raises(InputError, match="holds no wheel"):
        local(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="is not a folder"):
        local(tmp_path / "file")
