"""Ranks: one and no process group without torchrun; with it, work shared and results whole."""

import base64
import contextlib
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from support import ROOT, bytelm_command, python, read_rows, torchrun, write_rows

from bytelm.base import ranks
from bytelm.base.errors import InputError
from bytelm.files.streams import say


@pytest.fixture
def third_of_four(monkeypatch: pytest.MonkeyPatch) -> None:
    """What torchrun would tell the third of four ranks, two a machine."""
    for name, value in (
        ("RANK", 2), ("WORLD_SIZE", 4), ("LOCAL_RANK", 0), ("LOCAL_WORLD_SIZE", 2),
    ):  # fmt: skip
        monkeypatch.setenv(name, str(value))


def test_one_process_is_the_first_and_only_rank() -> None:
    assert (ranks.rank(), ranks.world_size(), ranks.local_rank()) == (0, 1, 0)
    assert ranks.is_first()
    assert ranks.first_to_fail()
    assert ranks.share("abc") == ["a", "b", "c"]
    threads = torch.get_num_threads()
    with ranks.joined("cuda") as device:
        assert device == "cuda"
        assert not torch.distributed.is_initialized()
        assert ranks.gather_objects({"x": 1}) == [{"x": 1}]
    assert torch.get_num_threads() == threads


def test_items_are_dealt_out(third_of_four: None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (ranks.rank(), ranks.world_size(), ranks.local_world_size()) == (2, 4, 2)
    assert ranks.share(range(10)) == [2, 6]
    assert ranks.share(range(2)) == []
    shares = []
    for rank in range(4):
        monkeypatch.setenv("RANK", str(rank))
        shares += ranks.share(range(10))
    assert sorted(shares) == list(range(10))


def test_only_the_first_rank_speaks(
    third_of_four: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not ranks.is_first()
    say("progress")
    say("trouble", all_ranks=True)
    assert capsys.readouterr().err == "trouble\n"


def test_a_rank_without_a_gpu_of_its_own(
    third_of_four: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(InputError, match="has 0 CUDA devices that torch can use, and 2 ranks"):
        ranks.joined("cuda").__enter__()


def test_a_command_for_one_process_refuses_many(
    third_of_four: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Many would write the same files. (No store answers, so this rank speaks.)"""
    out = tmp_path / "out"
    arguments = ["export", "--checkpoint", "x", "--format", "bytelm", "--out", str(out)]
    assert bytelm_command(*arguments) == 2
    said = capsys.readouterr().err
    assert said == "error (rank 2): this command runs in one process: start it without torchrun\n"


def test_a_lone_rank_of_torchrun_joins_a_group_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {"RANK": 0, "WORLD_SIZE": 1, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": 0}
    for name, value in values.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    handler = signal.getsignal(signal.SIGTERM)
    with ranks.joined() as device:
        assert device == "cpu"
        assert torch.distributed.get_world_size() == 1
        assert ranks.gather_objects(7) == [7]
    assert not torch.distributed.is_initialized()
    assert signal.getsignal(signal.SIGTERM) is handler


def test_threads_are_divided_among_the_ranks_of_a_machine(
    third_of_four: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless OMP_NUM_THREADS says how many."""
    given: list[int] = []
    monkeypatch.setattr(torch, "get_num_threads", lambda: 7)
    monkeypatch.setattr(torch, "set_num_threads", given.append)
    monkeypatch.setattr("torch.distributed.init_process_group", lambda _: None)
    monkeypatch.setattr("torch.distributed.new_group", lambda **_: None)
    monkeypatch.setattr("torch.distributed.destroy_process_group", lambda: None)
    for threads in ("3", None):
        if threads is None:
            monkeypatch.delenv("OMP_NUM_THREADS")
        else:
            monkeypatch.setenv("OMP_NUM_THREADS", threads)
        with ranks.joined():
            pass
    assert given == [3]


def write_prompts(path: Path) -> None:
    write_rows(
        path, [{"id": n, "prompt": "import os\n" * (n % 4) + f"def f{n}("} for n in range(7)]
    )


SAMPLED = ["--temperature", "0.9", "--top-p", "0.95", "--samples", "3", "--seed", "5"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "sampling",
    [
        SAMPLED,
        pytest.param([], marks=pytest.mark.slow),
        pytest.param([*SAMPLED, "--draft-rule", "sampled"], marks=pytest.mark.slow),
    ],
    ids=["sampled", "greedy", "sampled drafts"],
)
def test_two_ranks_write_the_file_of_one_process(
    run_folder: Path, tmp_path: Path, sampling: list[str]
) -> None:
    """To the byte; with every draft fed the number of forwards is settled as well."""
    write_prompts(tmp_path / "p.jsonl")
    base = ["-m", "bytelm", "generate", "--checkpoint", str(run_folder), "--gate", "0"]
    base += ["--prompts", str(tmp_path / "p.jsonl"), "--max-bytes", "60", "--batch", "4", *sampling]
    alone = python(*base, "--out", str(tmp_path / "one.jsonl"))
    many = torchrun(*base, "--out", str(tmp_path / "two.jsonl"))
    assert (alone.returncode, many.returncode) == (0, 0), many.stderr
    assert (tmp_path / "two.jsonl").read_bytes() == (tmp_path / "one.jsonl").read_bytes()
    [line] = many.stdout.splitlines()
    one, two = json.loads(alone.stdout), json.loads(line)
    for name in ("prompts", "completions", "bytes", "forwards", "bytes_per_forward"):
        assert one[name] == two[name]
    assert "1 of 2 shares" in many.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.jsonl", "p.jsonl", "two.jsonl"]


@pytest.mark.slow
def test_more_ranks_than_prompts(run_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_text('{"id": 1, "prompt": "x"}\n')
    base = ["-m", "bytelm", "generate", "--checkpoint", str(run_folder), "--heads", "1"]
    done = torchrun(*base, "--prompts", str(tmp_path / "p.jsonl"), "--max-bytes", "9")
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["id"] for line in done.stdout.splitlines()] == [1]


# A command whose second rank comes to grief, in the ways that there are.
FAILING = """
import os, sys, time
sys.path.insert(0, {root!r})
from dataclasses import dataclass
from typing import ClassVar
from bytelm.base import ranks
from bytelm.commands.cli import main
from bytelm.base.errors import InputError

@dataclass
class Work:
    how: str
    on_ranks: ClassVar[bool] = True

    def run(self):
        if self.how == "before" and ranks.rank() == 1:
            raise InputError("the second rank is broken")
        if self.how == "all":
            raise InputError("the option is wrong")
        with ranks.joined():
            if ranks.rank() == 1:
                time.sleep(0.5)
                if self.how == "killed":
                    os.kill(os.getpid(), 9)
                raise InputError("the second rank is broken")
            if self.how == "busy":
                time.sleep(200)
            ranks.gather_objects(1)

@dataclass
class Idle:
    on_ranks: ClassVar[bool] = True

    def run(self):
        pass

ranks.leave(main("work", "", {{"work": Work, "idle": Idle}}))
"""


BROKEN = "error (rank 1): the second rank is broken"
LOST = "error (rank 0): another rank ended before its work was done"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("waiting", BROKEN),
        pytest.param("busy", BROKEN, marks=pytest.mark.slow),
        pytest.param("before", BROKEN, marks=pytest.mark.slow),
        pytest.param("killed", LOST, marks=pytest.mark.slow),
        pytest.param("all", "the option is wrong", marks=pytest.mark.slow),
    ],
    ids=["waiting", "busy", "before", "killed", "all"],
)
def test_a_rank_that_fails_ends_the_others_with_one_message(
    tmp_path: Path, how: str, words: str
) -> None:
    """Whether the first rank waits for it, works, or has yet to join; and if all fail alike."""
    (tmp_path / "work.py").write_text(FAILING.format(root=str(ROOT)))
    done = torchrun(str(tmp_path / "work.py"), "work", "--how", how)
    assert done.returncode != 0
    assert done.stdout == ""
    errors = [line for line in done.stderr.splitlines() if line.startswith("error")]
    assert len(errors) == 1, done.stderr
    assert words in errors[0]
    # What torchrun says where a rank does not heed it for half a minute.
    assert "forcefully exiting" not in done.stderr


# A rank that has done its work while one of gloo's threads has yet to let go of it.
LEAVING = """
import atexit, sys, time
sys.path.insert(0, {root!r})
import torch
import torch.distributed as dist
from bytelm.base import ranks

atexit.register(lambda: print("at exit"))
with ranks.joined():
    kept = dist.group.WORLD
    work = dist.all_reduce(torch.ones(1), async_op=True)
    late = work.get_future().then(lambda _: time.sleep(0.5))
print("done")
ranks.leave(7)
"""


@pytest.mark.medium
def test_a_rank_leaves_in_good_order_while_gloo_still_works(tmp_path: Path) -> None:
    """By `sys.exit` it aborts."""
    (tmp_path / "work.py").write_text(LEAVING.format(root=str(ROOT)))
    lone = {"RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0"}
    done = python(str(tmp_path / "work.py"), env={**os.environ, **lone})
    assert (done.returncode, done.stdout) == (7, "done\nat exit\n"), done.stderr


def test_without_ranks_leaving_is_pythons_own() -> None:
    with pytest.raises(SystemExit) as left:
        ranks.leave(3)
    assert left.value.code == 3


def test_what_had_ended_is_kept_where_a_rank_is_stopped(
    run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, third_of_four: None,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Each rank keeps its own, in a file of its own."""
    write_prompts(tmp_path / "p.jsonl")

    def stopped(*_: Any, only: list[int]) -> Iterator[tuple[int, Any]]:
        from bytelm.decode.row import Completion

        assert only[0] == 2
        yield 2, Completion(b"text", "length", 4, (4,))
        raise KeyboardInterrupt

    monkeypatch.setattr("bytelm.decode.progress.generate_rows", stopped)
    monkeypatch.setattr("bytelm.base.ranks.barrier", lambda: None)
    monkeypatch.setattr("bytelm.base.ranks.joined", contextlib.nullcontext)
    out = tmp_path / "o.jsonl"
    arguments = ["generate", "--checkpoint", str(run_folder), "--out", str(out)]
    status = bytelm_command(*arguments, "--prompts", str(tmp_path / "p.jsonl"))
    assert status == 130
    _, row = read_rows(tmp_path / "o.jsonl.partial.2")
    assert (row["index"], base64.b64decode(row["text"])) == (2, b"text")
    assert "1 finished rows are in" in capsys.readouterr().err
