"""The same bits on machines with registers of 4, 8 and 16 lanes: SSE and NEON, AVX2, AVX-512."""

import os
import shutil
from pathlib import Path

import pytest
from support import python, random_model, save_model, small_config

CODE = """
import hashlib, sys, torch
from bytelm.checkpoint import load_checkpoint
from bytelm.decode.generate import generate
from bytelm.decode.options import DecodeOptions, SamplingOptions
for dtype in (torch.float32, torch.bfloat16):
    model = load_checkpoint(sys.argv[1], dtype=dtype).model
    for heads in (1, 3, 8):
        options = DecodeOptions(60, heads, 5, sampling=SamplingOptions(1.0, seed=1), gate=0.0,
                                engine="native")
        prompts = [b"def f(x):" * n for n in range(9)]
        texts = [completion.text for completion in generate(model, prompts, options)]
        print(dtype, heads, hashlib.sha256(b"|".join(texts)).hexdigest())
"""


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="g++ is not installed")
def test_the_text_does_not_depend_on_the_size_of_registers(tmp_path: Path) -> None:
    # Heads of 20 channels: padded, and no power of two.
    save_model(tmp_path, random_model(small_config(width=80, hidden=72)))
    said = {}
    for lanes in (4, 8, 16):
        environment = {**os.environ, "CXX": f"g++ -DBYTELM_REGISTER_LANES={lanes}"}
        done = python("-c", CODE, str(tmp_path), env=environment, timeout=280)
        assert done.returncode == 0, done.stderr
        said[lanes] = done.stdout.splitlines()
    assert len(said[4]) == 6
    assert said[4] == said[8] == said[16]
    # In each type, heads change no byte.
    for same in (said[4][:3], said[4][3:]):
        assert len({line.rpartition(" ")[2] for line in same}) == 1
