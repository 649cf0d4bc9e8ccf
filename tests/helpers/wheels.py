"""Wheels for tests: zip files with metadata, made without building anything."""

import zipfile
from collections.abc import Mapping
from pathlib import Path

MIT = "License-Expression: MIT"


def code(seed: int, lines: int = 30) -> str:
    """Different code for each seed, with docstring and indentation."""
    body = "".join(
        f"    value_{seed}_{n} = first_{seed * 7 + n}(second, {n * seed})\n" for n in range(lines)
    )
    return f'def function_{seed}(second):\n    """Number {seed}."""\n{body}    return second\n'


def wheel(
    folder: Path,
    name: str,
    files: Mapping[str, str | bytes],
    metadata: str = MIT,
    version: str = "1.0",
) -> Path:
    """Write a wheel of a package into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{version}-py3-none-any.whl"
    about = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        head = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{metadata}\n"
        archive.writestr(f"{about}/METADATA", f"{head}\nAbout it.\n")
        archive.writestr(
            f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{about}/RECORD", "")
        for inner, content in files.items():
            archive.writestr(inner, content)
    return path


def many(folder: Path, count: int = 12, files: int = 4) -> Path:
    """A folder of wheels of different code."""
    for one in range(count):
        sources = {f"p{one}/m{n}.py": code(one * 100 + n + 1) for n in range(files)}
        wheel(folder, f"p{one}", sources)
    return folder
