"""Samples of one prompt share its prefill, and no bit of them changes."""

from dataclasses import replace
from typing import Any

import pytest
from support import random_model, random_prompts, small_config

from bytelm.decode.generate import generate
from bytelm.decode.native.library import NativeDecoder
from bytelm.decode.options import DecodeOptions, Engine, SamplingOptions
from bytelm.decode.stepper import TorchStepper

SAMPLES = 5


@pytest.mark.parametrize("engine", ["native", "eager"])
@pytest.mark.parametrize(
    "changes",
    [{}, {"window": 0}, {"layers": 10, "head_kind": "causal"}],
    ids=["window", "all", "causal"],
)
def test_samples_of_a_prompt_are_those_of_as_many_prompts(
    engine: Engine, changes: dict[str, Any]
) -> None:
    model = random_model(small_config(**changes))
    prompts = random_prompts((0, 1, 33, 150, 150), seed=3)
    sampling = SamplingOptions(0.8, seed=5)
    # The gate is given: the clock would choose how many drafts are fed, and so `accepted`.
    options = DecodeOptions(20, None, 3, sampling=sampling, gate=0.1, engine=engine)
    shared = generate(model, prompts, replace(options, samples=SAMPLES))
    alone = generate(model, [prompt for prompt in prompts for _ in range(SAMPLES)], options)
    assert [one.text for one in shared] == [one.text for one in alone]
    if engine == "native":
        assert shared == alone


@pytest.mark.parametrize("engine", ["native", "eager"])
def test_a_prompt_is_read_once(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    call, prefill = NativeDecoder.call, TorchStepper._prefill

    def counted_call(self: Any, name: str, *arguments: Any) -> float:
        if name == "prefill" and not arguments[1]:
            read.append(engine)
        return call(self, name, *arguments)

    def counted_prefill(self: Any, cache: Any, ids_T: Any, start: int) -> None:
        read.append(engine)
        prefill(self, cache, ids_T, start)

    monkeypatch.setattr(NativeDecoder, "call", counted_call)
    monkeypatch.setattr(TorchStepper, "_prefill", counted_prefill)
    model = random_model(small_config(window=0))
    options = DecodeOptions(
        8, None, 2, sampling=SamplingOptions(0.8), samples=SAMPLES, engine=engine
    )
    prompts = random_prompts((40, 60, 90), seed=1)
    assert len(generate(model, prompts, options)) == SAMPLES * len(prompts)
    assert len(read) == len(prompts)
