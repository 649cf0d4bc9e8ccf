"""A loaded model: what complete, stream, bits_per_byte and module give."""

import gc
import math
import weakref
from typing import Any, Literal

import pytest
import torch
from support import ROOT

import bytelm
from bytelm import DecodeOptions, LanguageModel, SamplingOptions
from bytelm.decode import generate as decoding
from bytelm.decode.native.stepper import NativeStepper
from bytelm.scoring import score_documents

WEIGHTS = ROOT / "weights" / "plain-5m-n4"
PROMPT = b"def add(a, b):\n"


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    return bytelm.load(WEIGHTS)


def test_a_path_may_be_text(model: LanguageModel) -> None:
    found = bytelm.load(str(WEIGHTS))
    assert found.folder == model.folder == WEIGHTS
    assert bytelm.load_checkpoint(str(WEIGHTS)).step == model.step == found.step
    assert model.config.prediction_heads == 4
    assert repr(model) == (
        f"<LanguageModel {WEIGHTS}: 4.8M parameters, 4 heads, context 2560, float32 on cpu>"
    )


@pytest.mark.parametrize("dtype", ["bfloat16", torch.bfloat16])
def test_the_type_of_the_weights(dtype: torch.dtype) -> None:
    model = bytelm.load(WEIGHTS, dtype=dtype, device=torch.device("cpu"))
    assert model.module(model.encode(b"a")).dtype == torch.bfloat16


@pytest.mark.medium
def test_complete_gives_what_generate_gives(model: LanguageModel) -> None:
    raw = bytelm.load_checkpoint(WEIGHTS).model
    for heads in (None, 1, 2):
        options = DecodeOptions(40, heads, 1, (b"\n\n",))
        [expected] = bytelm.generate(raw, [PROMPT], options)
        assert model.complete(PROMPT, max_bytes=40, heads=heads, stops=["\n\n"]) == expected.text
    sampling = SamplingOptions(0.7, 40, 0.95, 3, "sampled")
    options = DecodeOptions(40, 3, 1, sampling=sampling, gate=0.5, engine="eager", exact=True)
    [expected] = bytelm.generate(raw, [PROMPT], options)
    found = model.complete(
        PROMPT, max_bytes=40, heads=3, temperature=0.7, top_k=40, top_p=0.95, seed=3,
        draft_rule="sampled", gate=0.5, engine="eager", exact=True,
    )  # fmt: skip
    assert found == expected.text


def test_all_heads_draft_unless_told_otherwise(model: LanguageModel) -> None:
    [[alone]] = model.complete_many([PROMPT], max_bytes=64, heads=1)
    [[all_heads]] = model.complete_many([PROMPT], max_bytes=64, gate=0)
    [[four]] = model.complete_many([PROMPT], max_bytes=64, gate=0, heads=4)
    assert alone.forwards == 64
    assert max(all_heads.accepted) == 4
    assert all_heads == four
    assert all_heads.text == alone.text


def test_text_stands_for_its_bytes(model: LanguageModel) -> None:
    text = "naïve = "
    assert model.complete(text, max_bytes=20) == model.complete(text.encode(), max_bytes=20)
    assert model.complete(b"\xff\x00", max_bytes=5)
    assert model.bits_per_byte(text) == model.bits_per_byte(text.encode())
    assert model.encode("é").tolist() == [[256, 0xC3, 0xA9]]


@pytest.mark.medium
def test_many_prompts_and_samples(model: LanguageModel) -> None:
    prompts: list[bytes | str] = [b"import ", "class A", b""]
    found = model.complete_many(
        prompts, samples=4, temperature=0.8, seed=1, max_bytes=20, batch=5, stops=["\n"]
    )
    assert [len(samples) for samples in found] == [4, 4, 4]
    assert len({sample.text for samples in found for sample in samples}) > 6
    options = DecodeOptions(
        20, None, 2, (b"\n",), sampling=SamplingOptions(0.8, seed=1), samples=4
    )  # fmt: skip
    raw = model.module.model
    expected = bytelm.generate(raw, [b"import ", b"class A", b""], options)
    assert [sample.text for samples in found for sample in samples] == [c.text for c in expected]
    assert model.complete_many([]) == []
    assert model.complete_many(iter(prompts[:1]), max_bytes=3)[0][0].finish_reason == "length"


# Streaming.


@pytest.mark.medium
def test_pieces_are_the_completion(model: LanguageModel) -> None:
    for stops in ((), (b"    self",), (b"\n\n", b"e")):
        for temperature in (0.0, 0.8):
            pieces = list(
                model.stream(PROMPT, max_bytes=60, stops=stops, temperature=temperature, seed=5)
            )
            expected = model.complete(
                PROMPT, max_bytes=60, stops=stops, temperature=temperature, seed=5
            )
            assert b"".join(pieces) == expected
            assert all(pieces)


def test_a_piece_comes_before_the_rest_is_decoded(
    model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[int] = []
    run = NativeStepper.run

    def noting(self: NativeStepper, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        steps.append(count)
        return run(self, count)

    monkeypatch.setattr(NativeStepper, "run", noting)
    pieces = model.stream(PROMPT, max_bytes=60, heads=1, engine="native")
    assert steps == []
    assert len(next(pieces)) == 1
    # The prompt may have taken a step of its own.
    first = len(steps)
    assert first <= 2
    for more in (1, 2, 3):
        assert len(next(pieces)) == 1
        assert len(steps) == first + more
    pieces.close()
    assert list(pieces) == []
    assert len(steps) == first + 3


def test_a_stop_takes_back_no_piece(model: LanguageModel) -> None:
    """What may begin a stop is held until it is decided; here the stop is what comes."""
    text = model.complete(PROMPT, max_bytes=60, temperature=1.0, seed=2)
    stop = text[20:30]
    expected = text[: text.find(stop)]
    shown = b"".join(model.stream(PROMPT, max_bytes=60, temperature=1.0, seed=2, stops=[stop]))
    assert shown == expected


@pytest.mark.medium
@pytest.mark.parametrize("engine", ["native", "eager"])
def test_leaving_early_frees_the_engine(
    model: LanguageModel, engine: Literal["native", "eager"], monkeypatch: pytest.MonkeyPatch
) -> None:
    alive: list[weakref.ref[object]] = []
    make = decoding.make_stepper

    def noting(*arguments: Any) -> object:
        stepper = make(*arguments)
        alive.append(weakref.ref(stepper))
        return stepper

    monkeypatch.setattr(decoding, "make_stepper", noting)
    pieces = model.stream(PROMPT, max_bytes=60, engine=engine)
    next(pieces)
    assert alive[0]() is not None
    pieces.close()
    gc.collect()
    assert alive[0]() is None


def test_two_streams_and_a_completion_at_once(model: LanguageModel) -> None:
    prompts = [b"import ", b"class A"]
    expected = [model.complete(prompt, max_bytes=30, temperature=1.0) for prompt in prompts]
    streams = [model.stream(prompt, max_bytes=30, temperature=1.0) for prompt in prompts]
    found = [b"", b""]
    for _ in range(30):
        for index, pieces in enumerate(streams):
            found[index] += next(pieces, b"")
    assert found == expected


# Scores and logits.


def test_bits_per_byte_by_head(model: LanguageModel) -> None:
    text = (ROOT / "bytelm" / "alphabet.py").read_bytes()
    found = model.bits_per_byte(text)
    assert found == score_documents(bytelm.load_checkpoint(WEIGHTS).model, [text]).heads_bpb()
    assert len(found) == model.config.prediction_heads
    assert 0 < found[0] < found[-1] < 8


def test_bits_by_hand(model: LanguageModel) -> None:
    """From the logits: byte i places ahead, the document's end included."""
    text = b"import os\n"
    labels = torch.tensor([*text, 257])
    logits_TnV = model.module(model.encode(text))[0]
    for head, bits in enumerate(model.bits_per_byte(text)):
        logp = logits_TnV[: len(labels) - head, head].log_softmax(-1)
        nats = -logp.gather(1, labels[head:, None]).mean()
        assert bits == pytest.approx(float(nats) / math.log(2), abs=1e-4)


def test_heads_that_look_past_a_short_text(model: LanguageModel) -> None:
    found = model.bits_per_byte(b"a")
    assert [math.isnan(bits) for bits in found] == [False, False, True, True]


def test_the_module_gives_all_heads_logits(model: LanguageModel) -> None:
    ids_BT = torch.cat([model.encode(b"import os"), model.encode(b"class A: ")])
    logits_BTnV = model.module(ids_BT)
    assert logits_BTnV.shape == (2, 10, 4, 264)
    raw = bytelm.load_checkpoint(WEIGHTS).model
    output = raw(ids_BT)
    for head in range(4):
        assert torch.equal(logits_BTnV[:, :, head], raw.logits(output, head))
    greedy = model.complete(b"import os", max_bytes=1)
    assert greedy == bytes([int(logits_BTnV[0, -1, 0].argmax())])


def test_the_module_can_be_tuned(model: LanguageModel) -> None:
    own = bytelm.load(WEIGHTS)
    own.module.requires_grad_(True)
    own.module(own.encode(b"abc"))[..., 0, :].logsumexp(-1).sum().backward()
    assert all(p.grad is not None for p in own.module.model.trunk()[0].parameters())
