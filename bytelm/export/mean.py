"""The mean of the weights of several checkpoints of one model.

Means of weights along a run, or before and after a second run on other data, are often better than
each of them (Izmailov et al. 2018, arXiv 1803.05407; Wortsman et al. 2022, arXiv 2109.01903).
"""

from collections.abc import Sequence
from pathlib import Path

import torch

from bytelm.base.errors import InputError
from bytelm.checkpoint import Checkpoint, load_checkpoint


def check_shares(shares: Sequence[float], count: int) -> list[float]:
    """The shares of `count` checkpoints: as given, or equal ones if there are none.

    Raises InputError unless there is one share each, and their sum is 1.
    """
    if not shares:
        return [1 / count] * count
    if len(shares) != count:
        raise InputError(
            f"--shares has {len(shares)} numbers for {count} checkpoints: that of --checkpoint, "
            "then those of --mean-with"
        )
    if abs(sum(shares) - 1) > 1e-6:
        raise InputError(f"--shares must add up to 1, not to {sum(shares):.6g}")
    return list(shares)


@torch.no_grad()
def mean_of(folders: Sequence[Path], shares: Sequence[float]) -> Checkpoint:
    """The mean, computed in float32; all else is the first checkpoint's.

    Holds two models at a time. Raises InputError if the sizes of two models differ.
    """
    mean = load_checkpoint(folders[0])
    weights = mean.model.state_dict()
    for tensor in weights.values():
        tensor.mul_(shares[0])
    for folder, share in zip(folders[1:], shares[1:], strict=True):
        other = load_checkpoint(folder)
        if other.config != mean.config:
            difference = _first_difference(mean, other)
            raise InputError(
                f"--mean-with {folder} is another model than {folders[0]}: {difference}"
            )
        for name, tensor in other.model.state_dict().items():
            weights[name].add_(tensor, alpha=share)
        mean.infilling = max(mean.infilling, other.infilling)
    return mean


def _first_difference(one: Checkpoint, other: Checkpoint) -> str:
    theirs = other.config.to_dict()
    for name, value in one.config.to_dict().items():
        if theirs[name] != value:
            return f"model.{name} is {theirs[name]}, not {value}"
    raise AssertionError
