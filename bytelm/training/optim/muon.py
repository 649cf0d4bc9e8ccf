"""Muon (Jordan et al. 2024) over stacks of matrices of one shape, whole or sharded over ranks.

The result is that of torch.optim.Muon. Torch's version orthogonalises one matrix at a time, always
in bfloat16; this one orthogonalises matrices of one shape together, in batched products. If a
matrix is sharded by rows (FSDP2), each rank holds and updates its own rows. For the
orthogonalisation, each matrix is sent to one rank, orthogonalised there, and sent back.

Shapes: M matrix, A rows, B columns; W ranks, R rows of a shard.
"""

import math
from collections.abc import Iterable

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.tensor import DTensor

# Newton-Schulz coefficients and steps, as in torch.optim.Muon.
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
STEPS = 5
EPSILON = 1e-7
# At most this many values are orthogonalised at a time, which bounds the memory.
MOST_VALUES = 1 << 27


def orthogonalized(updates_MAB: Tensor, dtype: torch.dtype) -> Tensor:
    """Each matrix (A, B) with its singular values moved near 1, computed in `dtype`."""
    a, b, c = COEFFICIENTS
    wide = updates_MAB.shape[1] <= updates_MAB.shape[2]
    x = (updates_MAB if wide else updates_MAB.mT).to(dtype)
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=EPSILON)
    for _ in range(STEPS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x if wide else x.mT


class Muon(torch.optim.Optimizer):
    """Muon with updates as large as AdamW's (Liu et al. 2025), so that learning rates carry over.

    `dtype` is the type of the orthogonalisation. bfloat16 trains as well as float32 (Jordan et al.
    2024), but its rounding makes runs on one rank and on several ranks drift apart.
    """

    def __init__(
        self,
        matrices: Iterable[Tensor],
        lr: float,
        momentum: float,
        weight_decay: float,
        dtype: torch.dtype = torch.bfloat16,
    ) -> None:
        self.dtype = dtype
        defaults = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay}
        super().__init__(matrices, defaults)

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One update of every matrix that has a gradient."""
        [group] = self.param_groups
        stacks: dict[tuple[bool, torch.Size], list[Tensor]] = {}
        for matrix in group["params"]:
            if matrix.grad is not None:
                key = (isinstance(matrix, DTensor), matrix.shape)
                stacks.setdefault(key, []).append(matrix)
        for (_, shape), matrices in stacks.items():
            most = max(1, MOST_VALUES // shape.numel())
            for start in range(0, len(matrices), most):
                self._step(matrices[start : start + most], group)

    def _step(self, matrices: list[Tensor], group: dict[str, float]) -> None:
        for matrix in matrices:
            if not self.state[matrix]:
                self.state[matrix]["momentum_buffer"] = torch.zeros_like(matrix)
        grads = [local(matrix.grad) for matrix in matrices if matrix.grad is not None]
        buffers = [local(self.state[matrix]["momentum_buffer"]) for matrix in matrices]
        torch._foreach_lerp_(buffers, grads, 1 - group["momentum"])
        updates_MRB = torch.stack(torch._foreach_lerp(grads, buffers, group["momentum"]))
        shape = matrices[0].shape
        if isinstance(matrices[0], DTensor):
            updates_MRB = _orthogonalized_shards(updates_MRB, shape[0], matrices[0], self.dtype)
        else:
            updates_MRB = orthogonalized(updates_MRB, self.dtype)
        values = [local(matrix) for matrix in matrices]
        rate = group["lr"]
        if group["weight_decay"]:
            torch._foreach_mul_(values, 1 - rate * group["weight_decay"])
        size = 0.2 * math.sqrt(max(shape))
        torch._foreach_add_(values, list(updates_MRB.to(values[0].dtype)), alpha=-rate * size)


def local(tensor: Tensor) -> Tensor:
    """This rank's part of a sharded tensor; the whole tensor if it is not sharded."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def _orthogonalized_shards(
    updates_MRB: Tensor, rows: int, like: DTensor, dtype: torch.dtype
) -> Tensor:
    """This rank's rows (M, R, B) of the orthogonalised matrices, from its rows of the updates.

    Rank m mod W orthogonalises matrix m. Rows are sharded as by torch.chunk: each rank has
    ceil(rows / W) rows, except the last ones, which may have fewer or none.
    """
    group = like.device_mesh.get_group()
    W, (M, R, B) = group.size(), updates_MRB.shape
    most, turns = -(-rows // W), -(-M // W)
    # [turn, rank, row, column], zero where M or the rows are no multiple of W.
    padded = updates_MRB.new_zeros(turns * W, most, B, dtype=dtype)
    padded[:M, :R] = updates_MRB
    sent = padded.view(turns, W, most, B).transpose(0, 1).contiguous()
    got_WTRB = torch.empty_like(sent)
    dist.all_to_all_single(got_WTRB, sent, group=group)
    whole_TAB = got_WTRB.transpose(0, 1).reshape(turns, W * most, B)[:, :rows]
    done = updates_MRB.new_zeros(turns, W * most, B, dtype=dtype)
    done[:, :rows] = orthogonalized(whole_TAB, dtype)
    back_WTRB = done.view(turns, W, most, B).transpose(0, 1).contiguous()
    dist.all_to_all_single(got_WTRB, back_WTRB, group=group)
    return got_WTRB.transpose(0, 1).reshape(turns * W, most, B)[:M, :R]
