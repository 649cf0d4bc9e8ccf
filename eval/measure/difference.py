"""Where two texts first differ, and how close the model's choice was there.

Shapes: B batch row, T position in block, V id.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from bytelm.toolkit import BOS, BYTES, Model
from eval.measure.options import DTYPES, Dtype
from eval.records import Count, Number, Record

NEAR_TIE_ULPS = 2.0
"""Rounding can turn a choice between bytes that are at most so many steps of the type apart."""


class FirstDifference(Record):
    """The first byte at which a completion leaves the reference, and how close the choice was."""

    prompt: Count
    """Which prompt, counted from 0."""
    offset: int
    """Which byte of the completion, counted from 0."""
    gap: Number
    """How far apart the logits of the two likeliest bytes are there, computed in float32."""
    gap_ulps: Number
    """The same in steps (ulps) of the type that wrote the text, at the greater of the two."""
    behind: Number | None = None
    """How far the less likely of the two bytes that were written lies behind the likeliest byte.
    This is the gap where the two are the likeliest, and more where one of them is not."""
    behind_ulps: Number | None = None
    """The same in steps of the type; None in files from before this was measured."""

    @property
    def ulps(self) -> float:
        """How wrong the worse of the two bytes is, in steps of the type."""
        return self.gap_ulps if self.behind_ulps is None else self.behind_ulps

    @property
    def near_tie(self) -> bool:
        """Whether rounding explains the difference: both bytes are as likely as any, or nearly."""
        return self.ulps <= NEAR_TIE_ULPS


def first_difference(
    texts: Sequence[bytes],
    reference: Sequence[bytes],
    prompts: Sequence[bytes],
    model: Model,
    dtype: Dtype,
) -> FirstDifference | None:
    """The first difference between completions and their reference; None where there is none.

    A text is compared up to the end of the shorter of the two. `model` computes in float32; it
    reads the prompt and the reference up to the difference. `dtype` is that of `texts`.
    """
    for index, (text, wanted) in enumerate(zip(texts, reference, strict=True)):
        pairs = enumerate(zip(text, wanted, strict=False))
        offset = next((at for at, (one, other) in pairs if one != other), None)
        if offset is not None:
            logits_V = _logits(model, prompts[index] + wanted[:offset])
            top, second = logits_V.topk(2).values.tolist()
            step = torch.finfo(DTYPES[dtype]).eps * 2.0 ** math.floor(math.log2(abs(top) or 1.0))
            gap, behind = top - second, top - float(logits_V[[text[offset], wanted[offset]]].min())
            return FirstDifference(
                prompt=index, offset=offset, gap=gap, gap_ulps=gap / step, behind=behind,
                behind_ulps=behind / step,
            )  # fmt: skip
    return None


def _logits(model: Model, past: bytes) -> Tensor:
    """The logits of the byte after `past`, of the 256 bytes alone."""
    ids_BT = torch.tensor([[BOS, *past]])
    with torch.inference_mode():
        logits_BTV = model.logits(model(ids_BT))
    return logits_BTV[0, -1, :BYTES]
