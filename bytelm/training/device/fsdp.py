"""Training on several ranks: FSDP2 for the layers' matrices, copies of everything else.

The matrices of all layers, in trunk and heads, are sharded by rows (`fully_shard`, one group per
layer). They are gathered when a layer runs; their gradients are reduce-scattered when its backward
ends. All other parameters (embeddings, unembeddings, norms, n-gram tables) are whole on every rank.
The n heads use them without gathering, and their gradients are summed once a step, after the last
head. Each loss is divided by the number of labels on all ranks, so gradients are sums, not means.
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
    """All layers of `model`: the trunk's, then the heads'."""
    heads = [layer for head in range(model.heads.n) for layer in model.heads.layers_of(head)]
    return [*model.trunk(), *heads]


def shard(model: Model, device: str, dtype: torch.dtype) -> None:
    """Shard the layers' matrices over all ranks, in place. Gathered copies have type `dtype`."""
    mesh = init_device_mesh(device.partition(":")[0], (dist.get_world_size(),))
    # Gradients are summed in float32. Inputs keep their type, as on one rank.
    policy = MixedPrecisionPolicy(dtype, torch.float32, cast_forward_inputs=False)
    whole = set(model.parameters())
    trunk = set(model.trunk())
    for layer in layers_of(model):
        matrices = {m.weight for m in layer.modules() if isinstance(m, nn.Linear)}
        whole -= matrices
        ignored = set(layer.parameters()) - matrices
        # A head that is not chained runs backward right after forward, so its copy is kept.
        group = fully_shard(
            layer,
            mesh=mesh,
            reshard_after_forward=layer in trunk or model.heads.chained,
            mp_policy=policy,
            ignored_params=ignored,
        )
        group.set_gradient_divide_factor(1.0)
        # Gloo cannot scale while it reduces, and a factor of 1 needs no scaling.
        group.set_force_sum_reduction_for_comms(True)
    fully_shard(model, mesh=mesh, mp_policy=policy, ignored_params=whole)
    register_fsdp_forward_method(model, "run_layers")
    _say_what_comes_next(model)


def _say_what_comes_next(model: Model) -> None:
    """Set what FSDP2 prefetches in a backward: the layer before in the trunk, nothing for heads.

    Each head has its own backward, and FSDP2 frees all gathered parameters at its end. By default,
    FSDP2 would prefetch the module that ran before, which is then freed unused. A layer that names
    itself prefetches nothing.
    """
    trunk = model.trunk()
    before = dict(zip(trunk[1:], trunk, strict=False))
    for layer in layers_of(model):
        following = before.get(layer, layer)
        assert isinstance(layer, FSDPModule)
        assert isinstance(following, FSDPModule)
        layer.set_modules_to_backward_prefetch([following])


def release_gathered(model: Model) -> None:
    """Free the gathered matrices of all layers.

    Those of heads stay gathered after a forward without a backward, as in evaluation.
    """
    for layer in layers_of(model):
        if isinstance(layer, FSDPModule):
            layer.reshard()


def sum_gradients(parameters: Iterable[Tensor]) -> None:
    """Sum over the ranks the gradients of parameters that are whole on every rank, in place."""
    dense: list[Tensor] = []
    for parameter in parameters:
        if isinstance(parameter, DTensor) or not parameter.requires_grad:
            continue
        grad = parameter.grad
        if grad is None:
            # This rank's blocks did not use the parameter, but those of other ranks may have.
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
    """The sum of the ranks' sparse gradients: rows and values are gathered and merged."""
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
    # Without an explicit check_invariants, torch warns on every rank.
    merged = torch.sparse_coo_tensor(rows[None], values, grad.shape, check_invariants=False)
    return merged.coalesce()


def _ranks() -> range:
    return range(dist.get_world_size())
