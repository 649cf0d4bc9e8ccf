"""A real file system fills up while a run trains: the last checkpoint stays, and serves."""

import contextlib
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from training import newest, rows_of, start

from bytelm.checkpoint import check_checkpoint, is_sharded


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 40 MB: room for four checkpoints of 9 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        mounted = False
    if not mounted:
        pytest.skip("mounting a file system needs root on Linux")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [1, 2])
def test_a_disk_that_fills_up_keeps_the_last_checkpoint_and_resumes(
    few_shards: Path, tmp_path: Path, small_disk: Path, ranks: int
) -> None:
    run, filler = small_disk / "run", small_disk / "filler"
    options = ("--save-steps", "2", "--bytes", str(512 * 400))
    running = start(few_shards, run, *options, ranks=ranks, logs=tmp_path)
    running.wait_for_rows(5)
    deadline = time.monotonic() + 60
    # What rotating checkpoints set free is taken at once too.
    with filler.open("wb", buffering=0) as file:
        while running.process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                file.write(bytes(1 << 16))
    assert running.end() == 1
    assert "No space left on device" in running.said
    kept = newest(run)
    assert f"the last whole checkpoint is {kept}; make room and go on with --resume" in running.said
    assert "Traceback" not in running.said.partition("torch/distributed/elastic")[0]
    assert list(run.rglob(".*")) == []
    assert is_sharded(kept) == (ranks > 1)
    step = check_checkpoint(kept)["step"]
    refused = start(few_shards, run, *options, ranks=ranks, logs=tmp_path)
    assert refused.end() == 1
    assert "no space for checkpoints" in refused.said
    filler.unlink()
    options = ("--save-steps", "2", "--bytes", str(512 * (step + 5)))
    resumed = start(few_shards, run, *options, ranks=ranks, logs=tmp_path)
    assert resumed.end() == 0, resumed.said
    assert f"resuming at step {step}" in resumed.said
    assert [row["step"] for row in rows_of(run)] == list(range(1, step + 6))
