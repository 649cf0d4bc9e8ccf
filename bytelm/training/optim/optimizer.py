"""One optimizer per kind of parameter: Muon, and torch's own AdamW and SparseAdam.

Muon (Jordan et al. 2024) trains the hidden matrices, with updates as large as AdamW's. AdamW trains
embeddings, unembeddings and norms. SparseAdam trains the n-gram tables: a batch touches few of
their rows, and SparseAdam leaves the other rows alone.
"""

from collections.abc import Iterable

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from bytelm.model.model import Model
from bytelm.training.optim.muon import Muon, local
from bytelm.training.optim.options import OptimizerOptions


def _learning(parameters: Iterable[Tensor]) -> list[Tensor]:
    return [parameter for parameter in parameters if parameter.requires_grad]


# State values that each optimizer keeps per parameter value: one momentum, or two moments.
MOMENTS = {"muon": 1, "adamw": 2, "sparse": 2}


def parameters_by_optimizer(model: Model) -> dict[str, list[Tensor]]:
    """The parameters that require gradients, by the optimizer that trains them."""
    tables = [] if model.ngrams is None else _learning([model.ngrams.weight])
    hidden = [*model.layers.modules(), *model.heads.modules()]
    matrices = _learning([m.weight for m in hidden if isinstance(m, nn.Linear)])
    known = {id(p) for p in (*tables, *matrices)}
    rest = [p for p in _learning(model.parameters()) if id(p) not in known]
    return {"muon": matrices, "adamw": rest, "sparse": tables}


def kept_values(model: Model) -> int:
    """The number of state values that the optimizers keep, over all ranks."""
    kinds = parameters_by_optimizer(model).items()
    return sum(MOMENTS[kind] * sum(p.numel() for p in parameters) for kind, parameters in kinds)


class Optimizers:
    """The three optimizers as one: step, zero, scale the learning rates, save, load.

    They train the parameters that require gradients. An optimizer without parameters is left out.
    `dtype` is the type of Muon's matrix products.
    """

    def __init__(
        self, model: Model, options: OptimizerOptions, dtype: torch.dtype = torch.bfloat16
    ) -> None:
        if model.ngrams is not None:
            model.ngrams.sparse = True
        matrices, rest, tables = parameters_by_optimizer(model).values()
        betas = (options.beta1, options.beta2)
        self.parts: dict[str, torch.optim.Optimizer] = {}
        if matrices:
            self.parts["muon"] = Muon(
                matrices, options.matrix_lr, options.momentum, options.weight_decay, dtype
            )
        if rest:
            self.parts["adamw"] = torch.optim.AdamW(
                rest, lr=options.embedding_lr, betas=betas, weight_decay=0.0, fused=True
            )
        if tables:
            self.parts["sparse"] = torch.optim.SparseAdam(tables, lr=options.table_lr, betas=betas)
        self.peaks = {name: part.param_groups[0]["lr"] for name, part in self.parts.items()}
        self.clip = options.clip
        self.clipped: list[Tensor] = [*matrices, *rest]

    def _grads(self, sharded: bool) -> list[Tensor]:
        """The gradients to clip: this rank's parts of sharded ones, or those that are whole."""
        return [
            local(p.grad)
            for p in self.clipped
            if p.grad is not None and isinstance(p, DTensor) == sharded
        ]

    def norm(self) -> float:
        """The gradient's 2-norm over all ranks, without the sparse tables.

        SparseAdam scales each row of the tables by itself, so clipping them would change little.
        """
        norm = nn.utils.get_total_norm(self._grads(sharded=False), foreach=True)
        parts = self._grads(sharded=True)
        if not parts:
            return float(norm)
        square = nn.utils.get_total_norm(parts, foreach=True) ** 2
        dist.all_reduce(square)
        return float((norm**2 + square) ** 0.5)

    def step(self, scale: float, norm: float) -> None:
        """One update at `scale` times the peak learning rates.

        `norm` is the gradient's norm; a gradient above the limit is clipped.
        """
        if self.clip and norm > self.clip:
            grads = self._grads(sharded=False) + self._grads(sharded=True)
            torch._foreach_mul_(grads, self.clip / (norm + 1e-6))
        for name, part in self.parts.items():
            part.param_groups[0]["lr"] = self.peaks[name] * scale
            part.step()
        self.zero()

    def zero(self) -> None:
        for part in self.parts.values():
            part.zero_grad(set_to_none=True)

    def blank(self, shapes: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
        """Zeros in the shapes of a stored state, to load it into.

        A tensor is sharded like its parameter, if the two have the same shape.
        """
        found = {}
        for where, shape in shapes.items():
            name, index, _ = where.split(".")
            parameter = self.parts[name].param_groups[0]["params"][int(index)]
            like = tuple(parameter.shape) == shape
            found[where] = torch.zeros_like(parameter) if like else torch.zeros(shape)
        return found

    def tensors(self) -> tuple[dict[str, Tensor], dict[str, int]]:
        """The optimizers' state: tensors and plain numbers, by name ("muon.0.momentum_buffer")."""
        tensors: dict[str, Tensor] = {}
        numbers: dict[str, int] = {}
        for name, part in self.parts.items():
            for index, state in part.state_dict()["state"].items():
                for key, value in state.items():
                    where = f"{name}.{index}.{key}"
                    if isinstance(value, Tensor):
                        tensors[where] = value
                    else:
                        numbers[where] = value
        return tensors, numbers

    def load(self, tensors: dict[str, Tensor], numbers: dict[str, int]) -> None:
        """The reverse of `tensors`."""
        states: dict[str, dict[int, dict[str, Tensor | int]]] = {name: {} for name in self.parts}
        values: dict[str, Tensor | int] = {**tensors, **numbers}
        for where, value in values.items():
            name, index, key = where.split(".")
            states[name].setdefault(int(index), {})[key] = value
        for name, part in self.parts.items():
            groups = part.state_dict()["param_groups"]
            part.load_state_dict({"state": states[name], "param_groups": groups})
