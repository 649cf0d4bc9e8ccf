"""Ranks: the processes that torchrun starts, how they divide work and exchange results.

torchrun gives each process its rank in environment variables, and ends all processes when one
fails. Without torchrun there is one rank, rank 0, and no process group; every function here works
then too. A command that may run on several ranks wraps its work in `joined`.
"""

import atexit
import contextlib
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any, NoReturn, TypeVar

from bytelm.base.errors import InputError, setting

T = TypeVar("T")

# How long a rank waits for the results of another. Being slow is no failure, so the limit is long.
# It is not needed for a rank that ends: its closed connection is noticed at once.
PATIENCE = timedelta(days=30)

_results: list[Any] = []


def launched() -> bool:
    """Whether torchrun (or a launcher that sets the same variables) started this process."""
    return "RANK" in os.environ and "WORLD_SIZE" in os.environ


def rank() -> int:
    """The number of this rank, from 0; 0 without torchrun."""
    return int(os.environ["RANK"]) if launched() else 0


def world_size() -> int:
    """The number of ranks; 1 without torchrun."""
    return int(os.environ["WORLD_SIZE"]) if launched() else 1


def local_rank() -> int:
    """The number of this rank among those of this machine, which is also that of its GPU."""
    return int(os.environ.get("LOCAL_RANK", 0)) if launched() else 0


def local_world_size() -> int:
    """The number of ranks on this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", 1)) if launched() else 1


def is_first() -> bool:
    """Whether this is rank 0, which writes files, shows progress and prints figures."""
    return rank() == 0


def share(items: Sequence[T]) -> list[T]:
    """This rank's part of `items`: every world_size()-th, beginning at its own number."""
    return list(items[rank() :: world_size()])


def gather_objects(value: T) -> list[T]:
    """Gather `value` from all ranks; every rank returns the list, in the order of the ranks.

    Every rank must call this, inside `joined`. Raises ConnectionError if a rank ends meanwhile.
    """
    if world_size() == 1:
        return [value]
    import torch.distributed as dist

    assert _results, "ranks gather inside `joined`"
    found: list[Any] = [None] * world_size()
    try:
        dist.all_gather_object(found, value, group=_results[-1])
    except RuntimeError as error:
        raise ConnectionError("another rank ended before its work was done") from error
    return found


def is_lost(error: Exception) -> bool:
    """Whether `error` means that the connection to another rank was lost."""
    import torch.distributed as dist

    return isinstance(error, dist.DistError) or "gloo" in str(error)


def barrier() -> None:
    """Wait for all ranks."""
    gather_objects(None)


@contextlib.contextmanager
def joined(device: str = "cpu") -> Iterator[str]:
    """Join the ranks' process group for the length of the block; yields this rank's device.

    Tensors are sent by NCCL between GPUs and by gloo between CPUs, objects by gloo. The device
    `cuda` becomes the rank's own GPU. The CPU threads of a machine are divided among its ranks,
    unless OMP_NUM_THREADS sets their number (torchrun sets it to 1).

    Raises InputError if the machine has fewer GPUs than ranks, and ConnectionError if another rank
    is lost.
    """
    if not launched():
        yield device
        return
    import torch
    import torch.distributed as dist

    on_gpu = device.startswith("cuda")
    if on_gpu:
        device = f"cuda:{local_rank()}"
        count = torch.cuda.device_count()
        if local_rank() >= count:
            raise InputError(
                f"{setting('device', 'cuda')}: this machine has {count} CUDA devices that torch "
                f"can use, and {local_world_size()} ranks; start as many with --nproc-per-node"
            )
        torch.cuda.set_device(device)
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, torch.get_num_threads() // local_world_size()))
    with _ended_by_sigterm():
        dist.init_process_group("cpu:gloo,cuda:nccl" if on_gpu else "gloo")
        _results.append(dist.new_group(backend="gloo", timeout=PATIENCE))
    # After a failure the group is kept. The other ranks notice when this process ends, which is
    # after it has printed its error.
    try:
        yield device
    except RuntimeError as error:
        if not is_lost(error):
            raise
        # Leave out the place in gloo's source and its advice.
        why = str(error).splitlines()[0].partition("] ")[2].partition(". ")[0][:160]
        raise ConnectionError(f"another rank was lost{f' ({why})' * bool(why)}") from error
    _results.pop()
    dist.destroy_process_group()


@contextlib.contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Inside the block, SIGTERM ends the process at once, even during a call into C++.

    torchrun sends SIGTERM to a rank that waits here for a rank that never starts.
    """
    handler = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, handler)


def first_to_fail() -> bool:
    """Whether this rank is the first to report a failure. Only the first prints its error.

    A wrong option fails on every rank, and a rank that ends makes the others fail too.
    """
    if world_size() == 1:
        return True
    from torch.distributed import TCPStore  # type: ignore[attr-defined]

    try:
        where, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
        store = TCPStore(where, port, is_master=False, timeout=timedelta(seconds=5))
        attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
        return int(store.add(f"bytelm/failed/{attempt}", 1)) == 1
    except (RuntimeError, KeyError, ValueError):
        # The store cannot be reached. Printing an error twice is better than not at all.
        return True


def leave(status: int) -> NoReturn:
    """End the process with `status`. On a rank, skip the shutdown of the Python interpreter.

    DTensor's caches keep the process group alive, and with it gloo's threads. If such a thread
    frees a tensor during shutdown, Python ends the thread inside a destructor, which aborts the
    process. torchrun would then report a failure although the work was done.
    """
    if not launched():
        sys.exit(status)
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(status)
