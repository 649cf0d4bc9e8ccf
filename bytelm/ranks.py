"""The processes of one command under torchrun, each a rank; without torchrun there is one.

Nothing here imports torch.distributed before it is needed.
"""

import contextlib
import datetime
import os
from collections.abc import Iterator
from typing import Any

# A rank that waits so long for another one gives up.
PATIENCE = datetime.timedelta(minutes=10)


def rank() -> int:
    """This process's number, 0 to `world_size() - 1`."""
    return int(os.environ.get("RANK", "0"))


def world_size() -> int:
    """Processes in all."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_first() -> bool:
    """Whether this is the process that writes files and speaks for all."""
    return rank() == 0


def local_device(device: str) -> str:
    """`cuda` becomes this rank's own device of the node."""
    if device == "cuda" and world_size() > 1:
        return f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
    return device


@contextlib.contextmanager
def joined(device: str = "cpu") -> Iterator[None]:
    """Join the other ranks for the time of the block; nothing where there is one process.

    Raises ConnectionError when another rank is lost meanwhile.
    """
    if world_size() == 1:
        yield
        return
    import torch
    import torch.distributed as dist

    on_gpus = device.startswith("cuda")
    if on_gpus:
        torch.cuda.set_device(torch.device(local_device(device)))
    dist.init_process_group("cpu:gloo,cuda:nccl" if on_gpus else "gloo", timeout=PATIENCE)
    try:
        yield
    except RuntimeError as error:
        if not is_lost(error):
            raise
        # Of gloo's text: neither the place in its source nor its advice.
        why = str(error).splitlines()[0].partition("] ")[2].partition(". ")[0][:160]
        raise ConnectionError(
            "another rank was lost, so this one ends; go on from the last checkpoint with --resume"
            + f" ({why})" * bool(why)
        ) from error
    finally:
        dist.destroy_process_group()


def is_lost(error: Exception) -> bool:
    """Whether an error says that another rank does not answer any more."""
    import torch.distributed as dist

    return isinstance(error, dist.DistError) or "gloo" in str(error)


def barrier() -> None:
    """Wait for all ranks."""
    gather_objects(None)


def gather_objects(value: Any) -> list[Any]:
    """Every rank's `value`, in the order of the ranks, at every rank."""
    if world_size() == 1:
        return [value]
    import torch.distributed as dist

    found: list[Any] = [None] * world_size()
    dist.all_gather_object(found, value)
    return found
