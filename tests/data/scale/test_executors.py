"""Executors: a task that is killed, Slurm as the page shows it, and datatrove's MinHash."""

import contextlib
import os
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from pages import blocks
from scaling import contents, merged, names, program, scaled, steps_for
from support import ROOT, write_rows

from bytelm.toolkit import InputError
from data.scale import MergeParts

SCALE = ROOT / "docs" / "scale.md"


def page_block(word: str) -> str:
    """The one block of Python on the page that has this word."""
    [found] = [block.text for block in blocks(SCALE, "python") if word in block.text]
    return found


KILLED = """
import os, signal, sys
from pathlib import Path

sys.path.insert(0, "tests/helpers")
from scaling import run, steps_for

def kill(data, rank, tasks):
    for at, document in enumerate(data):
        if rank == 1 and at == 12:
            os.kill(os.getpid(), signal.SIGKILL)
        yield document

folder, work = map(Path, sys.argv[1:])
run([*steps_for(folder, work), kill], work / "logs", tasks=3)
"""


@pytest.mark.slow
def test_tasks_go_on_after_a_kill(folder: Path, tmp_path: Path) -> None:
    work, out = tmp_path / "work", tmp_path / "shards"
    with (tmp_path / "said").open("wb") as said:
        task = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(folder), str(work)],
            cwd=ROOT, stdout=said, stderr=said, start_new_session=True,
        )  # fmt: skip
        status = task.wait(100)
        # datatrove's helper process does not end with it.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(task.pid, signal.SIGKILL)
    assert status == -signal.SIGKILL, (tmp_path / "said").read_text()
    # One task ended, one has a whole part and half a part, and one was never begun.
    assert [path.name for path in (work / "logs" / "completions").iterdir()] == ["00000"]
    assert {"00001-000000"} == {path.name for path in (work / "parts").glob("00001-*")}
    assert list((work / "parts").glob(".00001-000001.*"))
    with pytest.raises(InputError, match="2 of 3 tasks have not ended, the first of them task 1"):
        merged(work, out)
    assert not out.exists()
    first = (work / "counts" / "parts-00000.json").stat().st_mtime_ns
    scaled(folder, work, out, tasks=3)
    assert (work / "counts" / "parts-00000.json").stat().st_mtime_ns == first
    scaled(folder, tmp_path / "whole", tmp_path / "expected", tasks=1)
    assert contents(out) == contents(tmp_path / "expected")


# What Slurm's commands do with datatrove's scripts, one task after the other.
SBATCH = """#!/bin/bash
script="${@: -1}"
last=$(sed -n 's/^#SBATCH --array=0-\\([0-9]*\\).*/\\1/p' "$script")
for at in $(seq 0 "$last"); do
    SLURM_ARRAY_TASK_ID=$at RUN_OFFSET=0 SLURM_NODELIST=here bash "$script" >&2 || exit 1
done
echo "Submitted batch job 7"
"""
SRUN = """#!/bin/bash
while [ "$1" != launch_pickled_pipeline ]; do shift; done
exec "$@"
"""


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_slurm_as_the_page_shows_it(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With stand-ins for Slurm's commands: steps are sent, and begin in processes of their own."""
    commands = {"sbatch": SBATCH, "srun": SRUN, "scontrol": "#!/bin/bash\necho here\n"}
    (tmp_path / "bin").mkdir()
    for name, text in commands.items():
        path = tmp_path / "bin" / name
        path.write_text(text)
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    inside = Path(sys.executable).parent
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{inside}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.chdir(tmp_path)
    text = page_block("SlurmPipelineExecutor")
    assert "tasks=500" in text
    steps = steps_for(folder, tmp_path / "work")
    exec(
        text.replace("tasks=500", "tasks=2"),
        {"STEPS": steps, "WORK": "work", "MergeParts": MergeParts},
    )
    scaled(folder, tmp_path / "local", tmp_path / "expected", tasks=1)
    assert contents(tmp_path / "data" / "shards" / "corpus") == contents(tmp_path / "expected")


@pytest.mark.medium
def test_datatroves_minhash_as_the_page_shows_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two near copies one is left; both are of different files, and of different tasks."""
    (tmp_path / "rows").mkdir()
    texts = [*(program(number) for number in range(8)), program(3).replace("return a", "return b")]
    for file in range(2):
        part = [{"text": text, "id": str(at)} for at, text in enumerate(texts) if at % 2 == file]
        write_rows(tmp_path / "rows" / f"{file}.jsonl", part)
    monkeypatch.chdir(tmp_path)
    text = page_block("MinhashDedupFilter")
    assert "logging_dir=" in text
    exec(text.replace("logging_dir=", "workers=1, logging_dir="), {"__name__": "__main__"})
    found = names(merged(tmp_path / "runs" / "minhash", tmp_path / "shards"))
    assert len(found) == 8
    assert len({"3", "8"} & found) == 1
