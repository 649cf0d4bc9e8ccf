"""The arguments of attention.cpp as structs. Compilation checks them against those in call.h.

Shapes: B batch row, T position in block, H attention head, C head dim.
"""

import ctypes
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from torch import Tensor


class TensorView(ctypes.Structure):
    """A tensor (B, T, H, C) with contiguous channels. Strides in values. Address 0: no tensor."""

    _fields_: ClassVar = [
        ("address", ctypes.c_void_p),
        ("batch_stride", ctypes.c_int64),
        ("position_stride", ctypes.c_int64),
        ("head_stride", ctypes.c_int64),
    ]

    @classmethod
    def of(cls, tensor_BTHC: "Tensor") -> "TensorView":
        """A view of `tensor_BTHC`. Keep the tensor alive as long as the view is used."""
        return cls(tensor_BTHC.data_ptr(), *tensor_BTHC.stride()[:3])


class AttentionCall(ctypes.Structure):
    """The arguments of one forward or backward call. Integers are counts unless noted."""

    _fields_: ClassVar = [
        ("batch", ctypes.c_int64),
        ("length", ctypes.c_int64),
        ("heads", ctypes.c_int64),
        ("kv_heads", ctypes.c_int64),
        ("channels", ctypes.c_int64),
        ("threads", ctypes.c_int64),
        # int64 (B or 1, T): the first key for each position. Address 0: key 0 for all.
        ("first_keys", ctypes.c_void_p),
        ("first_keys_batch_stride", ctypes.c_int64),
        # float32 (B, H, T): log of the sum of exp(score).
        ("log_sums", ctypes.c_void_p),
        ("q", TensorView),
        ("k", TensorView),
        ("v", TensorView),
        ("y", TensorView),
        # Used by the backward pass only.
        ("dy", TensorView),
        ("dq", TensorView),
        ("dk", TensorView),
        ("dv", TensorView),
    ]


STRUCTS = (TensorView, AttentionCall)
