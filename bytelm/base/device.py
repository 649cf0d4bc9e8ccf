"""Check the device that a user asks for, and whether its memory can hold what is asked of it."""

import os
import re
from typing import TYPE_CHECKING, Annotated

from bytelm.base.errors import InputError, option, setting
from bytelm.base.options import CheckedBy

if TYPE_CHECKING:
    import torch

_DEVICE = re.compile(r"(cpu|cuda)(?::(0|[1-9][0-9]{0,3}))?", re.ASCII)


def check_device(device: "str | torch.device") -> str:
    """`device` as text: cpu, cuda or cuda:N.

    Raises InputError for any other device, and for one that this machine does not have. torch is
    imported only to look for CUDA devices.
    """
    name = str(device)
    found = _DEVICE.fullmatch(name)
    if found is None:
        raise InputError(f"{option('device')} must be cpu, cuda or cuda:N, not {name!r}")
    count = 1
    if found[1] == "cuda":
        import torch

        count = torch.cuda.device_count()
    if int(found[2] or 0) >= count:
        have = f"{count} CUDA devices" if count else "no CUDA device"
        if found[1] == "cpu":
            have = "no second CPU"
        raise InputError(f"{setting('device', name)}: this machine has {have} that torch can use")
    return name


Device = Annotated[str, CheckedBy(check_device)]
"""An option that names a device. A wrong one is refused before the command's work."""


def memory_bytes(device: str) -> int | None:
    """The memory of `device` in bytes, used or not; None where it is not known."""
    if device.startswith("cuda"):
        import torch

        return int(torch.cuda.get_device_properties(device).total_memory)
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return None


def check_memory(needed_bytes: float, device: str, what: str, instead: str) -> None:
    """Raise InputError if `what` needs more bytes than `device` has in all.

    The bytes are a lower bound, so that nothing that would fit is refused. `instead`: what to do.
    """
    have_bytes = memory_bytes(device)
    if have_bytes is not None and needed_bytes > have_bytes:
        raise InputError(
            f"{what} would take at least {needed_bytes / 2**30:.0f} GiB of memory, and this "
            f"machine has {have_bytes / 2**30:.0f} GiB; {instead}"
        )
