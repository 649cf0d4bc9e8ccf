"""A run survives kill -9 at any moment.

`BYTELM_KILLS=50 python -m pytest tests/bytelm/training/test_survival.py -s` kills more often.
"""

import os
import random
import time
from pathlib import Path

import pytest
from training import assert_same, rows_of, start

KILLS = int(os.environ.get("BYTELM_KILLS", "5"))
STEPS = 40 + 10 * KILLS


def leftovers(run: Path) -> set[str]:
    """What a killed writer leaves aside, of checkpoints and of files."""
    return {path.name for path in run.rglob(".*")}


@pytest.mark.slow
@pytest.mark.timeout(300 + 180 * KILLS)
def test_killed_at_random_moments_it_ends_as_if_it_had_not_been(
    few_shards: Path, tmp_path: Path
) -> None:
    """Kill -9 while starting, stepping, evaluating and saving, at moments random in time."""
    size = str(512 * STEPS)
    options = ("--save-steps", "1", "--eval-steps", "10", "--bytes", size)
    begun = time.monotonic()
    whole = start(few_shards, tmp_path / "whole", *options)
    whole.wait_for(", float32")
    startup_s = time.monotonic() - begun
    assert whole.end(120 + 60 * KILLS) == 0, whole.said
    step_s = (time.monotonic() - begun - startup_s) / STEPS
    moments, run, writing, starting = random.Random(), tmp_path / "killed", 0, 0
    for kill in range(KILLS):
        before, done = leftovers(run), len(rows_of(run)) if kill else 0
        running = start(few_shards, run, *options)
        if kill % 4 == 1:
            time.sleep(moments.random() * startup_s)
        else:
            running.wait_for(", float32")
            # Ten steps a kill at the most, of ten a kill and 40 more: the run outlives them all.
            running.wait_for_rows(done + moments.randrange(10))
            time.sleep(moments.random() * step_s)
        assert running.process.poll() is None, running.said
        running.kill()
        starting += not running.said
        writing += any(name.startswith(".step-") for name in leftovers(run) - before)
        assert "passing over" not in running.said
    last = start(few_shards, run, *options)
    assert last.end(120 + 60 * KILLS) == 0, last.said
    print(f"{KILLS} kills: {starting} while starting, {writing} while a checkpoint was written")
    assert_same(run, tmp_path / "whole")
    assert len(rows_of(run)) == STEPS
    assert leftovers(run) == set()
