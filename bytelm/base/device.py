"""Check the device that a user asks for."""

import torch

from bytelm.base.errors import InputError, option, setting


def check_device(device: str | torch.device) -> str:
    """`device` as text: cpu, cuda or cuda:N.

    Raises InputError for any other device, and for one that this machine does not have.
    """
    name = str(device)
    kind, colon, index = name.partition(":")
    if kind not in ("cpu", "cuda") or (colon and not index.isdecimal()):
        raise InputError(f"{option('device')} must be cpu, cuda or cuda:N, not {name!r}")
    count = torch.cuda.device_count() if kind == "cuda" else 1
    if int(index or 0) >= count:
        have = f"{count} CUDA devices" if count else "no CUDA device"
        raise InputError(f"{setting('device', name)}: this machine has {have} that torch can use")
    return name
