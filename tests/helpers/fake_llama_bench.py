"""A program that answers as llama-bench does, with seconds that a test chooses."""

import json
import sys
from pathlib import Path
from typing import Any

# As llama-bench of 2026 explains them, in part.
USAGE = "usage: llama-bench [options]\n  -p, --n-prompt <n>\n  -n, --n-gen <n>\n"
DEPTH = "  -d, --n-depth <n>\n"

SCRIPT = """#!{python}
import json, pathlib, sys
words = sys.argv[1:]
with open({log!r}, "a") as file:
    file.write(json.dumps(words) + "\\n")
if words == ["--help"]:
    print({usage!r})
    sys.exit()
if words == ["--version"]:
    print("built with GNU 12.2.0 for Linux x86_64", file=sys.stderr)
    sys.exit()
found = dict(zip(words[::2], words[1::2]))
assert pathlib.Path(found["-m"]).stat().st_size
read, wrote, depth = (int(found.get(key, 0)) for key in ("-p", "-n", "-d"))
ns = {read_ns} if read else {step_ns} * wrote
test = {{
    "build_commit": "abc1234", "build_number": 4711, "backends": "CPU", "n_prompt": read,
    "n_gen": wrote, "n_depth": depth, "n_threads": int(found["-t"]), "flash_attn": False,
    "samples_ns": [ns] * int(found["-r"]), **{changes!r},
}}
{more}
print(json.dumps([test]))
"""


def fake_llama_bench(
    folder: Path, read_s: float = 0.5, step_s: float = 0.01, usage: str = USAGE + DEPTH,
    more: str = "", changes: dict[str, Any] | None = None,
) -> Path:  # fmt: skip
    """The program, in `folder`. It takes `read_s` seconds for a prompt and `step_s` for a byte.

    `more`: Python that is run before the answer. `changes`: other values in the answer.
    """
    program = folder / "llama-bench"
    program.write_text(SCRIPT.format(
        python=sys.executable, log=str(folder / "calls.jsonl"), usage=usage, more=more,
        read_ns=round(read_s * 1e9), step_ns=round(step_s * 1e9), changes=changes or {},
    ))  # fmt: skip
    program.chmod(0o755)
    return program


def calls(program: Path) -> list[dict[str, str]]:
    """The measurements that the program was asked for, as options and values."""
    lines = (program.parent / "calls.jsonl").read_text().splitlines()
    words = [json.loads(line) for line in lines]
    return [dict(zip(row[::2], row[1::2], strict=True)) for row in words if len(row) > 1]
