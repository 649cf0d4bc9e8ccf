"""The sanitizers find a fault in our C++ when there is one, and nothing when there is none."""

import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support import ROOT

from bytelm.native.sanitize import sanitized_environment

EXPORT = 'extern "C" __attribute__((visibility("default"))) '
SOURCES = {
    "overrun": f"""
#include "vectors.h"
{EXPORT} void run(int fault) {{
  u32* values = new u32[LANES]();
  volatile float sum = reduce_add((vf)load(values + LANES * fault));
  (void)sum;
  delete[] values;
}}
""",
    "overflow": f"""
{EXPORT} int run(int fault) {{ volatile int most = 2147483647; return most - 1 + 2 * fault; }}
""",
    # A value that every thread reads before the barrier that the write needs.
    "race": f"""
#include "team.h"
{EXPORT} void run(int fault) {{
  Team team(2);
  int value = 0;
  volatile int seen[2];
  team.run([&](int me) {{
    if (me == 0) value = 1;
    if (!fault) team.barrier();
    seen[me] = value;
  }});
}}
""",
    "race of turns": f"""
#include "parallel.h"
{EXPORT} void run(int fault) {{
  volatile int sums[4] = {{}};
  parallel_for(4, 2, [&](i64 i) {{ for (int n = 0; n < 1000; ++n) sums[fault ? 0 : i] += 1; }});
}}
""",
}
CASES = [
    ("address", "overrun", "heap-buffer-overflow"),
    ("address", "overflow", "signed integer overflow"),
    ("thread", "race", "data race"),
    ("thread", "race of turns", "data race"),
]
RUN = """
import sys, pathlib
from bytelm.native import build
build._folder = lambda: pathlib.Path(sys.argv[1]).parent
run = build.library(pathlib.Path(sys.argv[1])).run
run(int(sys.argv[2]))
"""


@pytest.mark.slow
@pytest.mark.skipif(
    platform.system() != "Linux" or shutil.which("g++") is None, reason="needs g++'s sanitizers"
)
@pytest.mark.parametrize(("sanitizer", "name", "message"), CASES)
def test_a_seeded_fault_is_found(sanitizer: str, name: str, message: str, tmp_path: Path) -> None:
    source = tmp_path / "fault.cpp"
    source.write_text(SOURCES[name])
    environment = sanitized_environment(sanitizer)
    for fault in (0, 1):
        found = subprocess.run(
            [sys.executable, "-c", RUN, str(source), str(fault)],
            cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert (found.returncode != 0) == bool(fault), found.stderr
        assert (message in found.stderr) == bool(fault), found.stderr
