"""What only a GPU shows: captured steps give the CPU's bytes, at every k and batch."""

import pytest
import torch
from support import random_model, small_config

from bytelm.decode.generate import generate
from bytelm.decode.options import DecodeOptions, Engine

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
PROMPTS = [b"def add(a, b):\n", b"", b"import os\n" * 8]


@pytest.mark.parametrize("engine", ["eager", "compiled"])
@pytest.mark.parametrize("kind", ["unembed", "block"])
def test_a_gpu_gives_the_cpus_bytes(engine: Engine, kind: str) -> None:
    config = small_config(layers=10 if kind == "block" else 2, head_kind=kind)
    expected = generate(random_model(config), PROMPTS, DecodeOptions(40, 1, 1))
    model = random_model(config).to("cuda")
    for k, batch in ((1, 1), (8, 1), (8, 2)):
        found = generate(model, PROMPTS, DecodeOptions(40, k, batch, engine=engine))
        assert [c.text for c in found] == [c.text for c in expected], (k, batch)
