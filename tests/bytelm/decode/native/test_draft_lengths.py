"""How many drafts a step feeds: those that pay, by step times and by how many were right."""

import torch
from support import random_model, small_config

from bytelm.alphabet import BOS
from bytelm.decode.generate import generate
from bytelm.decode.native.pack import packed
from bytelm.decode.native.stepper import NativeStepper
from bytelm.decode.options import DecodeOptions
from bytelm.model.model import Model

K = 4


def looping_model() -> Model:
    """Says one byte for ever, and so do its heads: every draft is right, and not one is sure.

    Embeddings and layers add up to a constant, so that logits do not depend on the text.
    """
    model = random_model(small_config(layers=1, ngram_orders=(), ngram_rows=0))
    with torch.no_grad():
        model.embedding.weight.copy_(torch.ones_like(model.embedding.weight))
        for layer in model.trunk():
            layer.attention.out.weight.zero_()
            layer.feed_forward.down.weight.zero_()
        for head in range(model.heads.n):
            unembedding = model.heads.unembedding(head)
            unembedding.zero_()
            unembedding[65] = 1 / 32
    return model


def widths(model: Model, costs_s: list[float], steps: int) -> list[int]:
    """Bytes of each step of one row, every step taking just these seconds."""
    stepper = NativeStepper(model, 1, 2000, DecodeOptions(10, K, 1, gate=0.0))
    stepper._set_costs(costs_s, by_clock=False)
    stepper.admit(0, [BOS], 1900, 0)
    return stepper.run(steps)[1][:, 0].tolist()


def test_right_drafts_are_learnt_to_be_worth_their_time() -> None:
    """The heads say one in a hundred; after some steps the drafts' record says otherwise."""
    model = looping_model()
    stepper = NativeStepper(model, 1, 256, DecodeOptions(10, K, 1, gate=0.0))
    stepper.admit(0, [BOS], 200, 0)
    sure = stepper.logits_after(0)[1].softmax(-1).max()
    assert sure < 0.02
    found = widths(model, [1.0, 1.1, 1.2, 1.3], 60)
    assert found[0] == 1
    assert found[-20:] == [K] * 20


def test_drafts_that_cost_as_much_as_a_step_are_not_fed() -> None:
    assert set(widths(looping_model(), [1.0, 2.1, 3.2, 4.3], 60)) == {1}


def test_drafts_that_cost_nothing_are_fed() -> None:
    assert widths(looping_model(), [1.0, 1.0, 1.0, 1.0], 10)[-1] == K


def test_wrong_drafts_are_learnt_to_be_worthless() -> None:
    """Heads that are sure of another byte: fed at first, then no more."""
    model = looping_model()
    with torch.no_grad():
        for head in range(1, model.heads.n):
            model.heads.unembedding(head).zero_()
            model.heads.unembedding(head)[66] = 1
    stepper = NativeStepper(model, 1, 2000, DecodeOptions(10, K, 1, gate=0.0))
    stepper._set_costs([1.0, 1.2, 1.4, 1.6], by_clock=False)
    stepper.admit(0, [BOS], 1900, 0)
    fed = []
    for _ in range(120):
        stepper.run(1)
        fed += stepper.fed()
    assert max(fed[:5]) > 1
    assert set(fed[-20:]) == {1}


def test_step_times_are_measured_once_for_a_model_and_batch() -> None:
    model = random_model(small_config())
    generate(model, [b"abc"] * 3, DecodeOptions(20, 4, 2))
    [(key, costs_s)] = packed(model).costs_s.items()
    assert key[:2] == (2, 4)
    assert len(costs_s) == 4
    assert all(cost > 0 for cost in costs_s)
    generate(model, [b"abcd"] * 2, DecodeOptions(20, 4, 2))
    assert len(packed(model).costs_s) == 1
