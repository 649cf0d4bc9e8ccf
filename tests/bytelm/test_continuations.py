"""Bits of texts given their prompts equal a reference that reads one text at a time."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support import random_model, small_config

from bytelm.continuations import (
    Continuation,
    gaps_in,
    score_continuations,
    score_continuations_on_ranks,
)
from bytelm.decode.prompts import Gap, prompt_ids
from bytelm.model.head_logits import HeadLogits

MODEL = random_model(small_config(window=24, layers=1))
PAIRS = [
    Continuation(b"def f(x):\n", b"    return x\n"),
    Continuation(b"", b"abc"),
    Continuation(b"ab", b"\x00\xff" * 40),
    Continuation(bytes(range(200)), b"z"),
    Continuation("é ".encode() * 30, "ü\n".encode() * 9),
    Continuation(Gap(b"def f(x):\n", b"    return y\n"), b"    y = x\n"),
    Continuation(Gap(b"", b""), b"\xff"),
]


def by_hand(one: Continuation) -> tuple[list[float], list[int]]:
    """Bits and symbols of each head: one softmax a byte."""
    ids = [*prompt_ids(one.prompt), *one.text]
    logits = HeadLogits(MODEL)(torch.tensor([ids[:-1]]))[0].double()
    bits, symbols = [0.0] * 8, [0] * 8
    for at in range(1 + len(one.prompt), len(ids)):
        for ahead in range(1, 9):
            if at >= ahead:
                log = logits[at - ahead, ahead - 1].log_softmax(-1)
                bits[ahead - 1] -= float(log[ids[at]]) / math.log(2)
                symbols[ahead - 1] += 1
    return bits, symbols


@pytest.mark.parametrize("batch", [1, 2, 8])
def test_scores_are_those_of_single_texts(batch: int) -> None:
    score = score_continuations(MODEL, PAIRS, batch)
    for row, one in enumerate(PAIRS):
        bits, symbols = by_hand(one)
        assert score.symbols_DN[row].tolist() == symbols
        np.testing.assert_allclose(score.bits_DN[row], bits, rtol=1e-5)
    # Head i looks i bytes ahead: without a prompt, BOS is the farthest that it looks from.
    assert score.symbols_DN[1].tolist() == [3, 2, 1, 0, 0, 0, 0, 0]
    assert score.symbols_DN[0].tolist() == [13] * 8


@pytest.mark.parametrize("kind", ["linear", "causal", "anticausal"])
def test_all_kinds_of_heads(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = random_model(small_config(head_kind=kind, layers=9))
    monkeypatch.setattr(f"{__name__}.MODEL", model)
    score = score_continuations(model, PAIRS[:3])
    for row, one in enumerate(PAIRS[:3]):
        np.testing.assert_allclose(score.bits_DN[row], by_hand(one)[0], rtol=1e-4)


def test_the_prompt_loses_its_beginning() -> None:
    one = Continuation(b"prompt", b"text")
    assert one.fitted(10) == one
    assert one.fitted(9) == Continuation(b"rompt", b"text")
    assert one.fitted(4) == Continuation(b"", b"text")
    assert one.fitted(3) is None
    # The longest that fits can be read.
    full = Continuation(b"p" * 300, b"t" * 20).fitted(MODEL.config.context)
    assert full is not None
    assert full.size == MODEL.config.context
    bits, symbols = by_hand(full)
    score = score_continuations(MODEL, [full])
    np.testing.assert_allclose(score.bits_DN[0], bits, rtol=1e-5)
    assert symbols == [20] * 8


def test_around_a_gap_both_outer_ends_are_lost() -> None:
    one = Continuation(Gap(b"before", b"after"), b"text")
    assert one.fitted(18) == one
    assert one.fitted(17) == Continuation(Gap(b"efore", b"after"), b"text")
    assert one.fitted(13) == Continuation(Gap(b"ore", b"aft"), b"text")
    assert one.fitted(7) == Continuation(Gap(b"", b""), b"text")
    assert one.fitted(6) is None


def test_ranks_score_what_one_process_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Six ranks in turn, the last without a text; then what each makes of their parts."""
    parts: list[object] = []
    monkeypatch.setattr("bytelm.base.ranks.world_size", lambda: 6)

    def gathered(part: object) -> list[object]:
        parts.append(part)
        return parts

    monkeypatch.setattr("bytelm.base.ranks.gather_objects", gathered)
    for rank in range(6):
        monkeypatch.setattr("bytelm.base.ranks.rank", lambda rank=rank: rank)
        score = score_continuations_on_ranks(MODEL, PAIRS, 8, progress=False)
    alone = score_continuations(MODEL, PAIRS)
    np.testing.assert_allclose(score.bits_DN, alone.bits_DN, rtol=1e-5)
    assert score.symbols_DN.tolist() == alone.symbols_DN.tolist()


@given(st.lists(st.binary(max_size=40), max_size=8), st.integers(1, 50))
def test_gaps_are_cut_out_of_the_beginnings_of_texts(texts: list[bytes], size: int) -> None:
    found = gaps_in(texts, size)
    assert found == gaps_in(texts, size)
    whole = iter(text[:size] for text in texts)
    for one in found:
        assert isinstance(one.prompt, Gap)
        assert one.text
        # In the order of the texts: those before it that are passed over have an empty gap.
        assert one.prompt.prefix + one.text + one.prompt.suffix in whole
