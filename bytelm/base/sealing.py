"""Seal results: store figures together with the machine, versions and command they came from."""

import importlib.metadata
import os
import platform
import re
import shlex
import sys
from pathlib import Path
from typing import Any

from bytelm.base import ranks
from bytelm.base.cores import usable_cores
from bytelm.base.errors import SCRIPT

PACKAGES = ("torch", "numpy", "safetensors")


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


# A name in /proc/cpuinfo (x86: flags, ARM: Features), and the vector or matrix unit that it means.
VECTOR_UNITS = {
    "avx2": "AVX2",
    "avx512f": "AVX-512",
    "avx512_bf16": "AVX-512-BF16",
    "avx512_fp16": "AVX-512-FP16",
    "amx_bf16": "AMX-BF16",
    "asimd": "NEON",
    "bf16": "NEON-BF16",
    "sve": "SVE",
    "sve2": "SVE2",
    "sme": "SME",
}


def vector_units() -> list[str]:
    """The vector and matrix units that Linux says the processor has; [] where it does not say.

    The speed of decoding depends on them more than on the processor's name.
    """
    path = Path("/proc/cpuinfo")
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    line = re.search(r"^(?:flags|Features)\s*:(.*)$", text, re.MULTILINE)
    words = line[1].split() if line else []
    return [unit for name, unit in VECTOR_UNITS.items() if name in words]


def machine() -> dict[str, Any]:
    """The processor and its units, the cores that this process may use, the GPU, the ranks.

    Of a result that was made without torch, neither threads nor GPU: torch takes seconds to load.
    """
    torch = sys.modules.get("torch")
    figures: dict[str, Any] = {
        "processor": _processor(),
        "vector_units": vector_units(),
        "cores": usable_cores(),
        "ranks": ranks.world_size(),
        "system": platform.platform(),
    }
    if torch is not None:
        figures["threads"] = torch.get_num_threads()
        figures["gpu"] = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return figures


def versions() -> dict[str, str]:
    """The versions of Python, bytelm and PACKAGES."""
    found = {"python": platform.python_version()}
    for package in ("bytelm", *PACKAGES):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def command_line() -> str:
    """The command that started this process, as far as Python knows it.

    Paths inside the current folder are made relative, since that folder has another name on the
    machine where the result is read.
    """
    program = Path(sys.argv[0])
    by_script = program.stem == SCRIPT
    start = "" if by_script else "python -m"
    if ranks.world_size() > 1:
        each = ranks.local_world_size()
        nodes = f" --nnodes {ranks.world_size() // each}" * (ranks.world_size() > each)
        how = "--no-python" if by_script else "-m"
        start = f"torchrun{nodes} --nproc-per-node {each} {how}"
    name = str(program)
    if by_script:
        name = f"{start} {SCRIPT}"
    elif program.name == "__main__.py":
        name = f"{start} {program.parent.name}"
    # Only at the start of an argument or of an option's value. Elsewhere the text is part of
    # another path.
    here = re.compile(rf"(^|=){re.escape(str(Path.cwd()))}({os.sep}|$)")
    arguments = [here.sub(lambda m: m[1] if m[2] else f"{m[1]}.", part) for part in sys.argv[1:]]
    return shlex.join([*name.split(), *arguments])


def seal(figures: dict[str, Any]) -> dict[str, Any]:
    """Add the machine, the versions and the command to `figures`."""
    return {**figures, "machine": machine(), "versions": versions(), "command": command_line()}
