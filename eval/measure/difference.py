"""Where two texts first differ, and how close the model's choice was there.

Shapes: B batch row, T position in block, V id.
"""

import math
from collections.abc import Sequence

import torch

from bytelm.toolkit import BOS, BYTES, Model
from eval.measure.options import DTYPES, Dtype
from eval.records import Count, Number, Record


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
            top, second = _two_top_logits(model, prompts[index] + wanted[:offset])
            step = torch.finfo(DTYPES[dtype]).eps * 2.0 ** math.floor(math.log2(abs(top) or 1.0))
            gap = top - second
            return FirstDifference(prompt=index, offset=offset, gap=gap, gap_ulps=gap / step)
    return None


def _two_top_logits(model: Model, past: bytes) -> tuple[float, float]:
    ids_BT = torch.tensor([[BOS, *past]])
    with torch.inference_mode():
        logits_BTV = model.logits(model(ids_BT))
    top, second = logits_BTV[0, -1, :BYTES].topk(2).values.tolist()
    return top, second
