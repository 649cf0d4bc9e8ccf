"""Scores equal a position-by-position reference, however documents are cut."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support import random_model, small_config

from bytelm.alphabet import BOS, EOD
from bytelm.model.model import Model
from bytelm.scoring import accepted_lengths, score_documents, score_on_ranks

MODEL = random_model(small_config(window=24, layers=1))


def plain_bits(model: Model, document: bytes) -> tuple[list[float], list[int], np.ndarray]:
    """Whole documents through the model at once: bits and symbols of each head, and guesses."""
    ids = torch.tensor([[BOS, *document, EOD]])
    output = model(ids[:, :-1])
    bits, symbols, guesses = [], [], []
    for head in range(model.config.prediction_heads):
        log = model.logits(output, head)[0].double().log_softmax(-1)
        guesses.append(log.argmax(-1).numpy())
        labels = ids[0, head + 1 :]
        picked = log[: len(labels)].gather(1, labels[: len(log), None])
        bits.append(float(-picked.sum() / math.log(2)))
        symbols.append(len(picked))
    return bits, symbols, np.stack(guesses)


@pytest.mark.medium
@settings(max_examples=15, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=200), min_size=1, max_size=5), st.integers(1, 4))
def test_scores_are_those_of_whole_documents(documents: list[bytes], batch: int) -> None:
    # One layer that looks back 24: the overlap of 24 makes every segment as good as the whole.
    score = score_documents(MODEL, documents, batch=batch)
    for index, document in enumerate(documents):
        bits, symbols, _ = plain_bits(MODEL, document)
        np.testing.assert_allclose(score.bits_DN[index], bits, rtol=1e-4, atol=1e-3)
        assert score.symbols_DN[index].tolist() == symbols
    totals = score.bits_DN.sum(0) / np.maximum(score.symbols_DN.sum(0), 1)
    assert score.heads_bpb() == pytest.approx(totals.tolist())


def test_the_forecast_is_the_walk_over_the_guesses() -> None:
    document = bytes(range(60)) * 2
    score = score_documents(MODEL, [document])
    counts, length = accepted_lengths(plain_bits(MODEL, document)[2].astype(np.int16), 8)
    assert score.accepted == counts
    assert score.forecast[8] == pytest.approx(length / sum(counts))
    assert score.forecast[1] == 1.0
    assert set(score.forecast) == {1, 2, 4, 8}


def test_ranks_score_what_one_process_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three ranks in turn, the last without a document; then what each makes of their parts."""
    documents = [bytes(range(60)) * 2, bytes(range(99, 140))]
    parts: list[object] = []
    monkeypatch.setattr("bytelm.base.ranks.world_size", lambda: 3)

    def gathered(part: object) -> list[object]:
        parts.append(part)
        return parts

    monkeypatch.setattr("bytelm.base.ranks.gather_objects", gathered)
    for rank in range(3):
        monkeypatch.setattr("bytelm.base.ranks.rank", lambda rank=rank: rank)
        score = score_on_ranks(MODEL, documents, 8, progress=False)
    alone = score_documents(MODEL, documents)
    np.testing.assert_allclose(score.bits_DN, alone.bits_DN, rtol=1e-5)
    assert score.symbols_DN.tolist() == alone.symbols_DN.tolist()
    assert (score.forecast, score.accepted) == (alone.forecast, alone.accepted)


def test_the_walk() -> None:
    right = np.array([[1, 2, 3, 4, 5, 6]] * 3)
    # Head 2 at t says what head 1 says at t + 1, head 3 what it says at t + 2.
    agreeing = np.stack([right[0], np.roll(right[0], -1), np.roll(right[0], -2)])
    assert accepted_lengths(agreeing, 3) == ([0, 0, 2], 6)
    assert accepted_lengths(agreeing, 1) == ([6], 6)
    never = np.stack([right[0], right[0] * 0, right[0] * 0])
    assert accepted_lengths(never, 3) == ([6, 0, 0], 6)
    second_wrong = np.stack([agreeing[0], agreeing[1], never[1]])
    assert accepted_lengths(second_wrong, 3) == ([0, 3, 0], 6)
    # The last block is cut by the end of the text.
    assert accepted_lengths(agreeing[:, :4], 3)[0] == [1, 0, 1]


def test_bfloat16_is_close() -> None:
    document = [bytes(range(200))]
    exact = score_documents(MODEL, document).heads_bpb()
    rough = score_documents(MODEL, document, dtype=torch.bfloat16).heads_bpb()
    assert rough == pytest.approx(exact, rel=0.05)
