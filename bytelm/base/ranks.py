"""Processes that work together: which one this is, and how they share work and exchange results.

torchrun starts the processes, tells each its rank by environment variables, and ends all of them
when one fails. Without it there is one rank, the first, and no process group: every function here
then does what one process needs. A command that may run on many ranks wraps its work in `joined`.
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

# How long a rank waits for another's results. A rank that ends is noticed at once, by its closed
# connection; this is for one that takes longer than the others, which is no failure.
PATIENCE = timedelta(days=30)

_results: list[Any] = []


def launched() -> bool:
    """Whether torchrun (or a launcher that sets the same variables) started this process."""
    return "RANK" in os.environ and "WORLD_SIZE" in os.environ


def rank() -> int:
    return int(os.environ["RANK"]) if launched() else 0


def world_size() -> int:
    return int(os.environ["WORLD_SIZE"]) if launched() else 1


def local_rank() -> int:
    """The rank among those of this machine: the number of its GPU."""
    return int(os.environ.get("LOCAL_RANK", 0)) if launched() else 0


def local_world_size() -> int:
    """The ranks of this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", 1)) if launched() else 1


def is_first() -> bool:
    """Whether this rank is the one that writes files, shows progress and prints figures."""
    return rank() == 0


def share(items: Sequence[T]) -> list[T]:
    """This rank's part of `items`, which are dealt out one by one."""
    return list(items[rank() :: world_size()])


def gather_objects(value: T) -> list[T]:
    """Every rank's `value`, in the order of the ranks, on every rank.

    Waits for the slowest. Raises ConnectionError if a rank ends meanwhile.
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
    """Whether an error says that another rank does not answer any more."""
    import torch.distributed as dist

    return isinstance(error, dist.DistError) or "gloo" in str(error)


def barrier() -> None:
    """Wait for all ranks."""
    gather_objects(None)


@contextlib.contextmanager
def joined(device: str = "cpu") -> Iterator[str]:
    """The ranks' process group, for the length of the block; yields this rank's device.

    Tensors travel by NCCL between GPUs and by gloo between CPUs, objects by gloo. `cuda` becomes
    the GPU of the rank's own. CPU threads are divided among a machine's ranks, unless
    OMP_NUM_THREADS says how many (torchrun sets it to 1).
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
    # After a failure the group stays: the others learn of it when this process has said why.
    try:
        yield device
    except RuntimeError as error:
        if not is_lost(error):
            raise
        # Of gloo's text: neither the place in its source nor its advice.
        why = str(error).splitlines()[0].partition("] ")[2].partition(". ")[0][:160]
        raise ConnectionError(f"another rank was lost{f' ({why})' * bool(why)}") from error
    _results.pop()
    dist.destroy_process_group()


@contextlib.contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Let SIGTERM end the process at once, also inside a call that Python cannot interrupt.

    That is how torchrun ends a rank that waits for one that never came.
    """
    handler = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, handler)


def first_to_fail() -> bool:
    """Whether no other rank has said yet why it fails. The first speaks for all.

    A wrong option is wrong on every rank, and one that ends takes the others with it.
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
        # No store to ask: better said twice than never.
        return True


def leave(status: int) -> NoReturn:
    """End the process with `status`; a rank without the end of its interpreter.

    gloo's threads outlive the process group: DTensor's caches hold it. One that lets go of a tensor
    while the interpreter ends is ended by Python, out of a destructor, and that aborts the process:
    all the work would be done and torchrun call it failed.
    """
    if not launched():
        sys.exit(status)
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
