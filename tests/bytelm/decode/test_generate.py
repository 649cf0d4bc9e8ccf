"""Self-speculation: the same bytes as plain decoding, whatever drafts, batch, and lengths."""

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support import random_model, random_prompts, small_config
from torch import Tensor

from bytelm.alphabet import BOS, BYTES, EOD, VOCAB
from bytelm.base.errors import InputError
from bytelm.config import HEAD_KINDS, LAYERED_KINDS
from bytelm.decode.generate import generate
from bytelm.decode.options import DecodeOptions, SamplingOptions
from bytelm.decode.step import lowest_argmax
from bytelm.model.heads import Output
from bytelm.model.model import Model
from bytelm.shards import Split


def plain(model: Model, prompt: bytes, max_bytes: int, stops: tuple[bytes, ...] = ()) -> bytes:
    """The definition: one id at a time, the whole text through the model each time, no cache."""
    ids, text = [BOS, *prompt], b""
    limit = min(max_bytes, model.config.context - len(ids))
    while len(text) < limit:
        logits = model.logits(model(torch.tensor([ids])))[0, -1]
        allowed = torch.cat((logits[:BYTES], logits[EOD : EOD + 1]))
        best = int(allowed.argmax())
        if best == BYTES:
            return text
        ids.append(best)
        text += bytes([best])
        for stop in stops:
            if text.endswith(stop):
                return text[: -len(stop)]
    return text


@pytest.fixture(scope="module")
def prompts(shards: Path) -> list[bytes]:
    """Held-out prompts of 1 to 700 bytes."""
    text = b"".join(document.tobytes() for document in Split(shards, "held_out"))
    return [text[n * 131 : n * 131 + 1 + n * 53 % 700] for n in range(20)]


@pytest.mark.medium
@pytest.mark.parametrize("k", [1, 2, 8])
def test_equals_the_definition(trained: Model, prompts: list[bytes], k: int) -> None:
    found = generate(trained, prompts[:4], DecodeOptions(40, k, 3, (b"return",)))
    expected = [plain(trained, prompt, 40, (b"return",)) for prompt in prompts[:4]]
    assert [completion.text for completion in found] == expected


@pytest.mark.medium
def test_the_same_at_every_k_and_batch(trained: Model, prompts: list[bytes]) -> None:
    reference = generate(trained, prompts, DecodeOptions(80, 1, 1))
    for k in (1, 2, 3, 4, 8):
        for batch in (1, 16):
            found = generate(trained, prompts, DecodeOptions(80, k, batch))
            assert [c.text for c in found] == [c.text for c in reference], (k, batch)
            assert [c.finish_reason for c in found] == [c.finish_reason for c in reference]
            if k == 1:
                assert all(c.forwards == len(c.text) for c in found)
                assert all(set(c.accepted) == {1} for c in found)


@pytest.mark.medium
def test_the_same_when_half_of_the_rows_stop_early(trained: Model, prompts: list[bytes]) -> None:
    texts = [c.text for c in generate(trained, prompts, DecodeOptions(80, 1, 16))]
    # Stops taken from the texts themselves, so that they do fall, at many offsets.
    stops = tuple({text[20:23] for text in texts[::2]})
    reference = generate(trained, prompts, DecodeOptions(80, 1, 1, stops))
    reasons = [c.finish_reason for c in reference]
    assert reasons.count("stop") >= len(prompts) // 2
    assert len({len(c.text) for c in reference}) > 3
    for k in (2, 4, 8):
        for batch in (1, 5, 16):
            found = generate(trained, prompts, DecodeOptions(80, k, batch, stops))
            assert [c.text for c in found] == [c.text for c in reference]
            assert [c.finish_reason for c in found] == reasons


@pytest.mark.medium
@pytest.mark.parametrize("kind", HEAD_KINDS)
@settings(max_examples=10, deadline=None)
@given(
    lengths=st.lists(st.integers(0, 254), min_size=1, max_size=6),
    k=st.integers(1, 8),
    batch=st.integers(1, 4),
    max_bytes=st.integers(1, 60),
    seed=st.integers(0, 50),
)
def test_random_models_and_lengths_up_to_the_contexts_end(
    kind: str, lengths: list[int], k: int, batch: int, max_bytes: int, seed: int
) -> None:
    layers = 10 if kind in LAYERED_KINDS else 2
    model = random_model(small_config(layers=layers, head_kind=kind), seed)
    prompts = random_prompts(lengths, seed)
    reference = generate(model, prompts, DecodeOptions(max_bytes, 1, 1))
    found = generate(model, prompts, DecodeOptions(max_bytes, k, batch))
    assert [c.text for c in found] == [c.text for c in reference]
    for prompt, completion in zip(prompts, found, strict=True):
        if completion.finish_reason == "length":
            assert len(completion.text) == min(max_bytes, 256 - 1 - len(prompt))
        assert sum(completion.accepted) == len(completion.text)
        assert max(completion.accepted, default=1) <= k


class Oracle:
    """Drafts from known continuations: always right, or, shifted by one, never."""

    def __init__(self, prompts: list[bytes], texts: list[bytes], k: int, shift: int) -> None:
        self.known = [[BOS, *p, *t, *([0] * 64)] for p, t in zip(prompts, texts, strict=True)]
        self.k, self.shift = k, shift

    def __call__(self, output: Output, at_B: Tensor, positions_B: Tensor) -> Tensor:
        rows = [
            self.known[row][position + 1 : position + self.k]
            for row, position in enumerate(positions_B.tolist())
        ]
        return (torch.tensor(rows) + self.shift) % BYTES


@pytest.mark.parametrize(("shift", "expected"), [(0, 8.0), (1, 1.0)])
def test_drafts_that_are_always_or_never_right(
    trained: Model, prompts: list[bytes], shift: int, expected: float
) -> None:
    """k and 1 bytes a forward, after the first step, which has nothing to verify."""
    plainly = generate(trained, prompts[:4], DecodeOptions(1 + 8 * 6, 1, 4))
    pairs = [(p, c.text) for p, c in zip(prompts, plainly, strict=False) if len(c.text) == 49]
    assert pairs
    few, texts = [prompt for prompt, _ in pairs], [text for _, text in pairs]
    oracle = Oracle(few, texts, 8, shift)
    found = generate(trained, few, DecodeOptions(49, 8, 4, gate=0.0), drafter=oracle)
    assert [c.text for c in found] == texts
    for completion in found:
        assert completion.accepted[0] == 1
        assert (len(completion.text) - 1) / (completion.forwards - 1) == expected


def test_drafts_that_are_sometimes_right(trained: Model, prompts: list[bytes]) -> None:
    few = prompts[:4]
    texts = [c.text for c in generate(trained, few, DecodeOptions(49, 1, 4))]
    oracle = Oracle(few, texts, 8, 0)

    def sometimes(output: Output, at_B: Tensor, positions_B: Tensor) -> Tensor:
        drafts = oracle(output, at_B, positions_B)
        wrong = torch.arange(7) >= (positions_B % 8)[:, None]
        return torch.where(wrong, (drafts + 1) % BYTES, drafts)

    found = generate(trained, few, DecodeOptions(49, 8, 4, gate=0.0), drafter=sometimes)
    assert [c.text for c in found] == texts
    assert len({length for c in found for length in c.accepted}) > 3


@pytest.mark.medium
def test_trained_heads_do_draft(trained: Model, prompts: list[bytes]) -> None:
    found = generate(trained, prompts, DecodeOptions(80, 8, 16, gate=0.0))
    assert sum(len(c.text) for c in found) > 1.2 * sum(c.forwards for c in found)


def ending_model() -> Model:
    """A model that says the end of document after every newline, else the byte one higher."""
    model = Model(small_config(layers=1, width=544, attention_heads=2, kv_heads=1, hidden=2,
                               ngram_orders=(), ngram_rows=0))  # fmt: skip
    with torch.no_grad():
        model.embedding.weight.zero_()
        model.embedding.weight[:, :264] = torch.eye(264)
        for head in range(model.heads.n):
            weight = model.heads.unembedding(head)
            weight.zero_()
            for byte in range(256):
                target = byte
                for _ in range(head + 1):
                    target = EOD if target in (10, EOD) else (target + 1) % 256
                weight[target, byte] = 1
    return model.requires_grad_(False)


@pytest.mark.parametrize("k", [1, 2, 4, 8])
def test_the_end_of_document_inside_an_accepted_block(k: int) -> None:
    model = ending_model()
    prompts = [bytes([start]) for start in (0, 3, 9, 10, 4)]
    # Every draft is fed: which ones pay is judged by the clock, and this counts forwards.
    found = generate(model, prompts, DecodeOptions(30, k, 2, gate=0.0))
    for prompt, completion in zip(prompts, found, strict=True):
        assert completion.text == bytes(range(prompt[0] + 1, 11))
        assert completion.finish_reason == "end_of_document"
        symbols = len(completion.text) + 1
        assert completion.forwards == 1 + -(-(symbols - 1) // k)


def test_the_length_wins_over_an_end_of_document_after_it() -> None:
    [completion] = generate(ending_model(), [b"\x04"], DecodeOptions(6, 8, 1))
    assert (completion.text, completion.finish_reason) == (b"\x05\x06\x07\x08\t\n", "length")


def test_ties_go_to_the_lowest_id() -> None:
    logits = torch.zeros(3, 264)
    logits[1, [7, 200]] = 5.0
    logits[2, 263] = 1.0
    assert lowest_argmax(logits).tolist() == [0, 7, 263]


def test_specials_are_never_said() -> None:
    """However much the model wants to."""
    prompts, options = [b"abc", b"", b"\xff"], DecodeOptions(50, 8, 2)
    model = random_model(small_config())
    expected = generate(model, prompts, options)
    specials = [BOS, *range(EOD + 1, VOCAB)]
    for head in range(model.heads.n):
        model.heads.unembedding(head)[specials] *= 100
    ids = model.logits(model(torch.tensor([[BOS, *b"abc"]])))[0].argmax(-1)
    assert set(ids.tolist()) & set(specials)
    found = generate(model, prompts, options)
    assert [c.text for c in found] == [c.text for c in expected]


def test_streaming_hands_over_exactly_the_text(trained: Model, prompts: list[bytes]) -> None:
    shown = dict.fromkeys(range(6), b"")

    def show(index: int, piece: bytes) -> None:
        assert piece
        shown[index] += piece

    found = generate(trained, prompts[:6], DecodeOptions(60, 8, 2, (b"self", b"\n\n")), show)
    assert [shown[index] for index in range(6)] == [c.text for c in found]


def test_no_prompts_give_no_completions(trained: Model) -> None:
    assert generate(trained, [], DecodeOptions()) == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (DecodeOptions(heads=9), "heads must be 1 to 8"),
        (DecodeOptions(heads=0), "heads must be 1 to 8"),
        (DecodeOptions(max_bytes=0), "max_bytes must be at least 1"),
        (DecodeOptions(batch=0), "batch must be at least 1"),
        (DecodeOptions(stops=(b"",)), "empty stop"),
    ],
)
def test_options_that_cannot_be(trained: Model, options: DecodeOptions, words: str) -> None:
    with pytest.raises(InputError, match=words):
        generate(trained, [b"x"], options)


def test_a_prompt_longer_than_the_context(trained: Model) -> None:
    longest = trained.config.context - 2
    assert generate(trained, [b"x" * longest], DecodeOptions(5, 8, 1))[0].forwards == 1
    with pytest.raises(InputError, match=r"prompt 1 .* context of 2560 holds 2558"):
        generate(trained, [b"x", b"x" * (longest + 1)], DecodeOptions(5, 8, 1))


def test_more_completions_than_one_call_can_hold(trained: Model) -> None:
    options = DecodeOptions(sampling=SamplingOptions(temperature=1.0), samples=1_000_000)
    with pytest.raises(InputError, match="11 prompts and samples=1000000 give 11000000"):
        generate(trained, [b"x"] * 11, options)
    options.check_count(10)


def test_a_batch_whose_cache_is_larger_than_the_memory(
    trained: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bytelm.base.device.memory_bytes", lambda device: 2**20)
    with pytest.raises(InputError, match=r"batch=4000 at \d+ positions .* take a smaller batch"):
        generate(trained, [b"x"] * 4000, DecodeOptions(60, 1, 4000))
    assert len(generate(trained, [b"x"], DecodeOptions(5, 1, 1))) == 1
