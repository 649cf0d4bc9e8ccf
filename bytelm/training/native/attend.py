"""Causal attention in C++ as a torch operator: differentiable, and one node for torch.compile.

Shapes: B batch row, T position in block, H attention head, G KV head, C head dim.
"""

import ctypes
from typing import Any

import torch
from torch import Tensor

from bytelm.files.streams import say
from bytelm.model.layers import Attend
from bytelm.model.model import Model
from bytelm.native.build import NoCompilerError
from bytelm.training.native.library import attention_library
from bytelm.training.native.structs import AttentionCall, TensorView

KINDS = {torch.float32: "F32", torch.bfloat16: "BF16"}
MAX_HEAD_SIZE = 256

_said: set[str] = set()


def _call(name: str, first_BT: Tensor | None, log_sums_BHT: Tensor, **tensors: Tensor) -> None:
    """Call a function of attention.cpp. `tensors` have the names of AttentionCall's fields."""
    (B, T, H, C), G = tensors["q"].shape, tensors["k"].shape[2]
    call = AttentionCall(
        batch=B, length=T, heads=H, kv_heads=G, channels=C, threads=torch.get_num_threads(),
        log_sums=log_sums_BHT.data_ptr(),
        **{name: TensorView.of(tensor) for name, tensor in tensors.items()},
    )  # fmt: skip
    if first_BT is not None:
        call.first_keys = first_BT.data_ptr()
        call.first_keys_batch_stride = first_BT.stride(0) if first_BT.shape[0] > 1 else 0
    function = getattr(attention_library(), f"{name}_{KINDS[tensors['q'].dtype]}")
    function(ctypes.byref(call))


def _channels_adjoin(*tensors: Tensor) -> list[Tensor]:
    return [t if t.stride(3) == 1 or t.shape[3] == 1 else t.contiguous() for t in tensors]


@torch.library.custom_op("bytelm::attend", mutates_args=(), device_types="cpu")
def _attend(
    q_BTHC: Tensor, k_BTGC: Tensor, v_BTGC: Tensor, first_BT: Tensor | None
) -> tuple[Tensor, Tensor]:
    B, T, H, C = q_BTHC.shape
    y_BTHC = q_BTHC.new_empty(B, T, H, C)
    log_sums_BHT = q_BTHC.new_empty(B, H, T, dtype=torch.float32)
    if y_BTHC.numel():
        q, k, v = _channels_adjoin(q_BTHC, k_BTGC, v_BTGC)
        _call("forward", first_BT, log_sums_BHT, q=q, k=k, v=v, y=y_BTHC)
    return y_BTHC, log_sums_BHT


@_attend.register_fake
def _(
    q_BTHC: Tensor, k_BTGC: Tensor, v_BTGC: Tensor, first_BT: Tensor | None
) -> tuple[Tensor, Tensor]:
    B, T, H, C = q_BTHC.shape
    return q_BTHC.new_empty(B, T, H, C), q_BTHC.new_empty(B, H, T, dtype=torch.float32)


@torch.library.custom_op("bytelm::attend_backward", mutates_args=(), device_types="cpu")
def _attend_backward(
    dy_BTHC: Tensor,
    q_BTHC: Tensor,
    k_BTGC: Tensor,
    v_BTGC: Tensor,
    first_BT: Tensor | None,
    y_BTHC: Tensor,
    log_sums_BHT: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    q, k, v, y, dy = _channels_adjoin(q_BTHC, k_BTGC, v_BTGC, y_BTHC, dy_BTHC)
    dq, dk, dv = (tensor.new_empty(tensor.shape) for tensor in (q_BTHC, k_BTGC, v_BTGC))
    if y_BTHC.numel():
        _call(
            "backward", first_BT, log_sums_BHT, q=q, k=k, v=v, y=y, dy=dy, dq=dq, dk=dk, dv=dv
        )  # fmt: skip
    return dq, dk, dv


@_attend_backward.register_fake
def _(
    dy_BTHC: Tensor,
    q_BTHC: Tensor,
    k_BTGC: Tensor,
    v_BTGC: Tensor,
    first_BT: Tensor | None,
    y_BTHC: Tensor,
    log_sums_BHT: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    return (
        q_BTHC.new_empty(q_BTHC.shape),
        k_BTGC.new_empty(k_BTGC.shape),
        v_BTGC.new_empty(v_BTGC.shape),
    )


def _setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    ctx.save_for_backward(*inputs, *output)


def _gradient(ctx: Any, dy_BTHC: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
    q, k, v, first_BT, y, log_sums = ctx.saved_tensors
    return *_attend_backward(dy_BTHC, q, k, v, first_BT, y, log_sums), None


_attend.register_autograd(_gradient, setup_context=_setup)


def attend(q_BTHC: Tensor, k_BTGC: Tensor, v_BTGC: Tensor, first_BT: Tensor | None) -> Tensor:
    """Causal attention. Each position attends to the keys from `first_BT` to its own position.

    `first_BT` (B or 1, T), int64, must not decrease within a row, nor exceed the position. None:
    all positions attend from key 0. Returns (B, T, H, C). The result and its gradients are the same
    bit for bit with any number of threads.
    """
    y_BTHC: Tensor = _attend(q_BTHC, k_BTGC, v_BTGC, first_BT)[0]
    return y_BTHC


def native_attention(model: Model) -> Attend | None:
    """`attend` if it supports `model`, else None. On a CPU, a line on stderr then says why."""
    weight = model.embedding.weight
    if weight.device.type != "cpu" or weight.dtype not in KINDS:
        return None
    try:
        if model.config.head_size > MAX_HEAD_SIZE:
            raise NoCompilerError(f"heads of more than {MAX_HEAD_SIZE} channels")
        attention_library()
    except NoCompilerError as error:
        why = f"without the C++ attention for whole blocks, which is several times faster: {error}"
        if why not in _said:
            _said.add(why)
            say(why)
        return None
    return attend
