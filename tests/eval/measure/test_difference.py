"""Where two texts first differ, and how close the choice was."""

from pathlib import Path

import pytest
import torch
from support import saved_llama

from bytelm.toolkit import DecodeOptions, generate, load_checkpoint
from eval.measure.difference import first_difference

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
