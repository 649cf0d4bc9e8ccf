"""What a sealed result says of where it comes from."""

from pathlib import Path

import pytest

from bytelm.base.sealing import command_line


def test_the_command_names_no_folder_of_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ["speed", "--out", f"{tmp_path}/results/a b.json", f"--data={tmp_path}/data"]
    arguments += [str(tmp_path), f"/mnt{tmp_path}/x"]
    monkeypatch.setattr("sys.argv", [f"{tmp_path}/eval/__main__.py", *arguments])
    assert command_line() == (
        f"python -m eval speed --out 'results/a b.json' --data=data . /mnt{tmp_path}/x"
    )
