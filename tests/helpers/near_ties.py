"""Whether another program writes a model's bytes, up to what its rounding explains.

Some programs round to float16 inside attention where the processor has instructions for it, though
weights and caches are float32. Where two bytes are nearly as likely, such a program may take the
other one. A wrong weight or a wrong rotation leads to bytes that lie much further behind.
"""

from collections.abc import Callable, Sequence

import torch

from bytelm.toolkit import DecodeOptions, Model, generate
from eval.measure.difference import NEAR_TIE_ULPS, FirstDifference, first_difference

# Steps of float32 in NEAR_TIE_ULPS steps of float16.
MOST_ULPS = NEAR_TIE_ULPS * torch.finfo(torch.float16).eps / torch.finfo(torch.float32).eps

Complete = Callable[[bytes, int], bytes]
"""A prompt and a number of bytes in, that many bytes out."""


def worst_difference(
    complete: Complete, model: Model, prompts: Sequence[bytes], size: int
) -> FirstDifference | None:
    """The difference to plain decoding in float32 that rounding explains least, or None.

    After a near-tie the other program goes on behind it, so that every byte is looked at.
    """
    plain = DecodeOptions(size, 1, 1)
    found: list[FirstDifference] = []
    for prompt, completion in zip(prompts, generate(model, prompts, plain), strict=True):
        done, wanted = 0, completion.text
        while done < len(wanted):
            past, rest = prompt + wanted[:done], wanted[done:]
            text = complete(past, len(rest))
            assert len(text) >= len(rest), "the text ends early"
            other = first_difference([text], [rest], [past], model, "float32")
            if other is None:
                break
            found.append(other)
            if other.ulps > MOST_ULPS:
                break
            done += other.offset + 1
    return max(found, key=lambda difference: difference.ulps, default=None)


def assert_same_bytes(
    complete: Complete, model: Model, prompts: Sequence[bytes], size: int
) -> None:
    """Fail where a byte differs that is no near-tie."""
    worst = worst_difference(complete, model, prompts, size)
    assert worst is None or worst.ulps <= MOST_ULPS, worst
