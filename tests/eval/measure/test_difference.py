"""Where two texts first differ, and how close the choice was."""

from pathlib import Path

import pytest
import torch
from support import saved_llama

from bytelm.toolkit import DecodeOptions, generate, load_checkpoint
from eval.measure.difference import FirstDifference, first_difference

PROMPT = "import os\n\tétat ☃\x00".encode()


def test_where_a_text_first_differs(tmp_path: Path) -> None:
    model = load_checkpoint(saved_llama(tmp_path)).model
    prompts = [PROMPT, b"x = "]
    wanted = [c.text for c in generate(model, prompts, DecodeOptions(20, 1, 1))]
    # A text that is shorter or longer is compared as far as both go.
    longer = [wanted[0][:5], wanted[1] + b"more"]
    assert first_difference(longer, wanted, prompts, model, "float32") is None
    changed = [wanted[0], wanted[1][:7] + bytes([wanted[1][7] ^ 1])]
    found = first_difference(changed, wanted, prompts, model, "bfloat16")
    assert found is not None
    assert (found.prompt, found.offset) == (1, 7)
    ids = torch.tensor([[256, *prompts[1], *wanted[1][:7]]])
    top = model.logits(model(ids))[0, -1, :256].topk(2)
    assert int(top.indices[0]) == wanted[1][7]
    assert found.gap == pytest.approx(float(top.values[0] - top.values[1]), abs=1e-5)
    exact = first_difference(changed, wanted, prompts, model, "float32")
    assert exact is not None
    assert exact.gap_ulps == pytest.approx(found.gap_ulps * 2**16)


def test_a_byte_that_is_not_among_the_likeliest_is_no_near_tie(tmp_path: Path) -> None:
    """However close the two likeliest bytes are."""
    model = load_checkpoint(saved_llama(tmp_path)).model
    ids = torch.tensor([[256, *PROMPT]])
    top, second, *_, last = model.logits(model(ids))[0, -1, :256].sort(descending=True).indices
    logits = model.logits(model(ids))[0, -1]
    right = bytes([int(top)])
    for byte, behind in (
        (second, logits[top] - logits[second]),
        (last, logits[top] - logits[last]),
    ):
        found = first_difference([bytes([int(byte)])], [right], [PROMPT], model, "bfloat16")
        assert found is not None
        assert found.gap == pytest.approx(float(logits[top] - logits[second]), abs=1e-5)
        assert found.behind == pytest.approx(float(behind), abs=1e-5)
        assert found.ulps == found.behind_ulps
    old = FirstDifference(prompt=0, offset=0, gap=0.1, gap_ulps=1.5)
    assert (old.ulps, old.near_tie) == (1.5, True)
    far = FirstDifference(prompt=0, offset=0, gap=0.1, gap_ulps=1.5, behind=9.0, behind_ulps=135.0)
    assert not far.near_tie
