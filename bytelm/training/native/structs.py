"""What crosses the border to attention.cpp. call.h has the same structs, checked when compiled.

Shapes: B batch row, T position in block, H attention head, C head dim.
"""

import ctypes
from typing import ClassVar

from torch import Tensor


class TensorView(ctypes.Structure):
    """A tensor (B, T, H, C) whose channels adjoin. Strides are in values. Address 0: no tensor."""

    _fields_: ClassVar = [
        ("address", ctypes.c_void_p),
        ("batch_stride", ctypes.c_int64),
        ("position_stride", ctypes.c_int64),
        ("head_stride", ctypes.c_int64),
    ]

    @classmethod
    def of(cls, tensor_BTHC: Tensor) -> "TensorView":
        """The view lives no longer than the tensor."""
        return cls(tensor_BTHC.data_ptr(), *tensor_BTHC.stride()[:3])


class AttentionCall(ctypes.Structure):
    """One call of the forward or the backward pass. Counts unless said otherwise."""

    _fields_: ClassVar = [
        ("batch", ctypes.c_int64),
        ("length", ctypes.c_int64),
        ("heads", ctypes.c_int64),
        ("kv_heads", ctypes.c_int64),
        ("channels", ctypes.c_int64),
        ("threads", ctypes.c_int64),
        # int64 (B or 1, T): the first key that each position sees. Address 0: all see from key 0.
        ("first_keys", ctypes.c_void_p),
        ("first_keys_batch_stride", ctypes.c_int64),
        # float32 (B, H, T): log of the sum of exp(score).
        ("log_sums", ctypes.c_void_p),
        ("q", TensorView),
        ("k", TensorView),
        ("v", TensorView),
        ("y", TensorView),
        # Of the backward pass alone.
        ("dy", TensorView),
        ("dq", TensorView),
        ("dk", TensorView),
        ("dv", TensorView),
    ]


STRUCTS = (TensorView, AttentionCall)
