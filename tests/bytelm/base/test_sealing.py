"""What a sealed result says of where it comes from."""

from pathlib import Path
from typing import Any

import pytest

from bytelm.base.sealing import command_line, seal, vector_units


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


CPUINFO = {
    "flags\t\t: fpu sse4_2 avx2 avx512f avx512_bf16 amx_bf16 amx_tile": (
        ["AVX2", "AVX-512", "AVX-512-BF16", "AMX-BF16"]
    ),
    "flags\t\t: fpu avx avx2 fma": ["AVX2"],
    "flags\t\t: fpu sse2": [],
    "Features\t: fp asimd sve bf16": ["NEON", "NEON-BF16", "SVE"],
    "model name\t: a processor with avx2 in its name": [],
}


@pytest.mark.parametrize("line", CPUINFO)
def test_the_machine_names_its_vector_units(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    read = Path.read_text

    def fake(path: Path, *arguments: Any, **options: Any) -> str:
        if str(path) == "/proc/cpuinfo":
            return f"processor\t: 0\n{line}\nbugs\t: avx512f\n"
        return read(path, *arguments, **options)

    monkeypatch.setattr(Path, "read_text", fake)
    monkeypatch.setattr(Path, "exists", lambda _: True)
    assert vector_units() == CPUINFO[line]
    assert seal({"x": 1})["machine"]["vector_units"] == CPUINFO[line]


def test_a_machine_without_cpuinfo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "exists", lambda _: False)
    assert vector_units() == []
