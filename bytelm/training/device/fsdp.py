"""Training on several ranks: FSDP2 for the layers' matrices, copies of everything else.

The matrices of the layers, trunk's and heads', are sharded by rows (`fully_shard`, one group a
layer): gathered when a layer runs, their gradients summed and scattered as its backward ends. What
is small or looked up (embeddings, unembeddings, norms, n-gram tables) is whole on every rank; the
heads' loop uses it n times without gathering anything, and its gradients are summed once a step,
after the last head. Losses are over counts of all ranks, so that gradients are sums, not means.
"""

from collections.abc import Iterable

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import (
    FSDPModule,
    MixedPrecisionPolicy,
    fully_shard,
    register_fsdp_forward_method,
)
from torch.distributed.tensor import DTensor

from bytelm.model.layers import Layer
from bytelm.model.model import Model


def layers_of(model: Model) -> list[Layer]:
    """All layers, the trunk's and then the heads'."""
    heads = [layer for head in range(model.heads.n) for layer in model.heads.layers_of(head)]
    return [*model.trunk(), *heads]


def shard(model: Model, device: str, dtype: torch.dtype) -> None:
    """Shard the layers' matrices over all ranks, in place. Gathered copies are in `dtype`."""
    mesh = init_device_mesh(device.partition(":")[0], (dist.get_world_size(),))
    # Gradients are summed in float32; inputs keep the type that they have on one rank.
    policy = MixedPrecisionPolicy(dtype, torch.float32, cast_forward_inputs=False)
    whole = set(model.parameters())
    trunk = set(model.trunk())
    for layer in layers_of(model):
        matrices = {m.weight for m in layer.modules() if isinstance(m, nn.Linear)}
        whole -= matrices
        ignored = set(layer.parameters()) - matrices
        # A head that runs backward right after its forward needs no gathering in between.
        group = fully_shard(
            layer,
            mesh=mesh,
            reshard_after_forward=layer in trunk or model.heads.chained,
            mp_policy=policy,
            ignored_params=ignored,
        )
        group.set_gradient_divide_factor(1.0)
        # Gloo cannot scale while it reduces; with a factor of 1 there is nothing to scale.
        group.set_force_sum_reduction_for_comms(True)
    fully_shard(model, mesh=mesh, mp_policy=policy, ignored_params=whole)
    register_fsdp_forward_method(model, "run_layers")
    _say_what_comes_next(model)


def _say_what_comes_next(model: Model) -> None:
    """In a backward, gather the trunk's layer before while one computes; for a head, nothing.

    Heads have backwards of their own, at the end of which FSDP2 lets go of all that is gathered;
    its own guess would gather there what ran before. Whoever names itself gathers nothing.
    """
    trunk = model.trunk()
    before = dict(zip(trunk[1:], trunk, strict=False))
    for layer in layers_of(model):
        following = before.get(layer, layer)
        assert isinstance(layer, FSDPModule)
        assert isinstance(following, FSDPModule)
        layer.set_modules_to_backward_prefetch([following])


def release_gathered(model: Model) -> None:
    """Drop the gathered matrices of layers; heads' stay so after a forward without a backward."""
    for layer in layers_of(model):
        if isinstance(layer, FSDPModule):
            layer.reshard()


def sum_gradients(parameters: Iterable[Tensor]) -> None:
    """Add up, over the ranks, the gradients of parameters that every rank has whole."""
    dense: list[Tensor] = []
    for parameter in parameters:
        if isinstance(parameter, DTensor) or not parameter.requires_grad:
            continue
        grad = parameter.grad
        if grad is None:
            # Nothing of this rank's share reached it; others' may have.
            grad = parameter.grad = torch.zeros_like(parameter)
        if grad.is_sparse:
            parameter.grad = _sum_sparse(grad)
        else:
            dense.append(grad)
    flat = torch.cat([grad.flatten() for grad in dense])
    dist.all_reduce(flat)
    sizes = [grad.numel() for grad in dense]
    for grad, summed in zip(dense, torch.split(flat, sizes), strict=True):
        grad.copy_(summed.view_as(grad))


def _sum_sparse(grad: Tensor) -> Tensor:
    """The sum of the ranks' sparse gradients: rows and values, gathered and merged."""
    mine = grad.coalesce()
    rows_N, values_ND = mine.indices()[0], mine.values()
    counts = [torch.zeros(1, dtype=torch.int64, device=rows_N.device) for _ in _ranks()]
    dist.all_gather(counts, torch.tensor([len(rows_N)], device=rows_N.device))
    most = int(max(int(count) for count in counts))
    padded_rows = rows_N.new_zeros(most)
    padded_rows[: len(rows_N)] = rows_N
    padded_values = values_ND.new_zeros(most, values_ND.shape[1])
    padded_values[: len(rows_N)] = values_ND
    all_rows = [torch.empty_like(padded_rows) for _ in _ranks()]
    all_values = [torch.empty_like(padded_values) for _ in _ranks()]
    dist.all_gather(all_rows, padded_rows)
    dist.all_gather(all_values, padded_values)
    sizes = [int(count) for count in counts]
    rows = torch.cat([part[:size] for part, size in zip(all_rows, sizes, strict=True)])
    values = torch.cat([part[:size] for part, size in zip(all_values, sizes, strict=True)])
    # Said outright: torch warns, on every rank, of not being told.
    merged = torch.sparse_coo_tensor(rows[None], values, grad.shape, check_invariants=False)
    return merged.coalesce()


def _ranks() -> range:
    return range(dist.get_world_size())
