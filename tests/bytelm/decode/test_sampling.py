"""Speculative sampling: head 1's exact distribution, replayable, whatever drafts and batch.

The toy model is small enough to enumerate: head 1's logits are a table over the two ids before, and
every drafting head has a table of its own over the two ids before the newest, so that it is right
only sometimes. Shapes as in bytelm.decode.sampling; N position in the text.
"""

import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from support import p_value, random_logits
from torch import Tensor

from bytelm.base.errors import InputError
from bytelm.decode.options import DraftRule, SamplingOptions
from bytelm.decode.sampling import (
    DRAW,
    draft_ids,
    draw,
    filtered,
    uniforms,
    verify,
)
from bytelm.decode.step import lowest_argmax

V = 4
PROMPT = (1, 3, 2)
SAMPLES = 100_000
GENERATOR = torch.Generator().manual_seed(11)
HEAD_1 = 1.5 * torch.randn(V, V, V, generator=GENERATOR)
HEADS = 1.5 * torch.randn(2, V, V, V, generator=GENERATOR)
Verify = Callable[..., tuple[Tensor, Tensor]]
Widths = Callable[[Tensor], Tensor]


def decode(
    options: SamplingOptions,
    k: int,
    samples_B: Tensor,
    steps: int = 3,
    *,
    verify: Verify = verify,
    widths: Widths | None = None,
) -> tuple[Tensor, Tensor]:
    """Texts (B, steps) behind the prompt, and the ids accepted in each step (B, steps)."""
    rows = torch.arange(len(samples_B))
    text_BN = torch.zeros(len(samples_B), len(PROMPT) + steps * k, dtype=torch.int64)
    text_BN[:, : len(PROMPT)] = torch.tensor(PROMPT)
    positions_B = torch.full_like(samples_B, len(PROMPT) - 1)
    counts = []
    for _ in range(steps):
        before_B, newest_B = text_BN[rows, positions_B - 1], text_BN[rows, positions_B]
        heads_BKV = HEADS[: k - 1, text_BN[rows, positions_B - 2], before_B].transpose(0, 1)
        drafts_BK, q_BKV = draft_ids(heads_BKV, samples_B, positions_B, options)
        block_BT = torch.cat((newest_B[:, None], drafts_BK), 1)
        contexts_BT = torch.cat((before_B[:, None], block_BT), 1)
        widths_B = torch.full_like(rows, k) if widths is None else widths(positions_B)
        ids_BT, at_B = verify(
            HEAD_1[contexts_BT[:, :-1], contexts_BT[:, 1:]],
            block_BT, q_BKV, widths_B, samples_B, positions_B, options,
        )  # fmt: skip
        assert (at_B < widths_B).all()
        for j in range(k):
            # What lies past the new id is overwritten by the next step.
            text_BN[rows, positions_B + 1 + j] = ids_BT[:, j]
        positions_B = positions_B + at_B + 1
        counts.append(at_B + 1)
    return text_BN[:, len(PROMPT) : len(PROMPT) + steps], torch.stack(counts, 1)


def plain_filtered(logits: list[float], options: SamplingOptions) -> list[float]:
    """The definition of `filtered`, id by id."""
    ranked = sorted(range(len(logits)), key=lambda i: (-logits[i], i))
    if options.temperature == 0:
        return [float(i == ranked[0]) for i in range(len(logits))]
    highest = max(logits)
    weights = [math.exp((value - highest) / options.temperature) for value in logits]
    if options.top_k:
        ranked = ranked[: options.top_k]
    mass = math.fsum(weights[i] for i in ranked)
    kept: list[int] = []
    for i in ranked:
        if math.fsum(weights[j] for j in kept) >= options.top_p * mass:
            break
        kept.append(i)
    mass = math.fsum(weights[i] for i in kept)
    return [weights[i] / mass if i in kept else 0.0 for i in range(len(logits))]


def exact_joint(options: SamplingOptions) -> Tensor:
    """The probability of each of the V^3 texts of three ids, by plain sampling."""
    joint = []
    for text in itertools.product(range(V), repeat=3):
        ids = [*PROMPT, *text]
        probability = 1.0
        for place in range(len(PROMPT), len(ids)):
            logits = HEAD_1[ids[place - 2], ids[place - 1]].double().tolist()
            probability *= plain_filtered(logits, options)[ids[place]]
        joint.append(probability)
    return torch.tensor(joint, dtype=torch.float64)


def joint_p_value(
    options: SamplingOptions, k: int, verify: Verify = verify, widths: Widths | None = None
) -> float:
    samples_B = torch.arange(SAMPLES)
    texts, _ = decode(options, k, samples_B, verify=verify, widths=widths)
    cells = (texts * torch.tensor([V * V, V, 1])).sum(1)
    return p_value(cells.bincount(minlength=V**3), exact_joint(options))


ARGMAX = SamplingOptions(temperature=0.8, seed=5)
SAMPLED = replace(ARGMAX, draft_rule="sampled")
FILTERS: list[dict[str, Any]] = [
    {},
    {"top_p": 0.8},
    {"top_k": 3},
    {"temperature": 1.7, "top_k": 3, "top_p": 0.85},
]


@pytest.mark.medium
@pytest.mark.parametrize("k", [1, 2, 3])
@pytest.mark.parametrize("limits", FILTERS, ids=str)
@pytest.mark.parametrize("options", [ARGMAX, SAMPLED], ids=["argmax", "sampled"])
def test_the_joint_distribution_is_head_1s(
    options: SamplingOptions, limits: dict[str, Any], k: int
) -> None:
    options = replace(options, **limits)
    assert joint_p_value(options, k) > 1e-4


@pytest.mark.medium
@pytest.mark.parametrize("options", [ARGMAX, SAMPLED], ids=["argmax", "sampled"])
def test_the_joint_distribution_when_widths_vary(options: SamplingOptions) -> None:
    def widths(positions_B: Tensor) -> Tensor:
        return 1 + (torch.arange(len(positions_B)) + positions_B) % 3

    assert joint_p_value(options, 3, widths=widths) > 1e-4


def accept_always(
    logits_BTV: Tensor, block_BT: Tensor, q: object, widths_B: Tensor, *rest: Any
) -> tuple[Tensor, Tensor]:
    last_B1 = logits_BTV[:, -1:].argmax(-1)
    return torch.cat((block_BT[:, 1:], last_B1), 1), widths_B - 1


def wrong_q(
    logits_BTV: Tensor, block_BT: Tensor, q_BKV: Tensor, *rest: Any
) -> tuple[Tensor, Tensor]:
    return verify(logits_BTV, block_BT, q_BKV**1.1, *rest)


def without_residual(
    logits_BTV: Tensor, block_BT: Tensor, q: Tensor, widths: Tensor, *rest: Any
) -> tuple[Tensor, Tensor]:
    """Draws from p, not from max(0, p - q), in place of a rejected draft."""
    ids_BT, at_B = verify(logits_BTV, block_BT, q, widths, *rest)
    samples_B, positions_B, options = rest
    p_BV = filtered(logits_BTV, options)[torch.arange(len(at_B)), at_B]
    u_B1 = uniforms(options.seed, samples_B, (positions_B + at_B + 1)[:, None], DRAW)
    return ids_BT.scatter(1, at_B[:, None], draw(p_BV, u_B1[:, 0])[:, None]), at_B


@pytest.mark.medium
@pytest.mark.parametrize("wrong", [accept_always, wrong_q, without_residual])
def test_the_chi_square_rejects_wrong_rules(wrong: Verify) -> None:
    assert joint_p_value(SAMPLED, 2, verify=wrong) < 1e-6


def test_acceptance_is_as_often_as_the_papers_say() -> None:
    samples_B = torch.arange(SAMPLES)
    p_V = filtered(HEAD_1[PROMPT[-2:]], ARGMAX)
    q_V = filtered(HEADS[0][PROMPT[:2]], ARGMAX)
    for options, expected in ((ARGMAX, p_V[q_V.argmax()]), (SAMPLED, p_V.minimum(q_V).sum())):
        _, counts = decode(options, 2, samples_B, steps=1)
        found = (counts == 2).double().mean()
        assert 0.05 < expected < 0.95
        assert abs(found - expected) < 4 * (expected * (1 - expected) / SAMPLES) ** 0.5


@pytest.mark.parametrize("draft", range(V))
def test_the_sampled_rule_takes_drafts_that_are_certain(draft: int) -> None:
    block_BT = torch.tensor([[PROMPT[-1], draft]]).expand(SAMPLES, -1)
    contexts_BT = torch.tensor([[PROMPT[-2], PROMPT[-1]]]).expand(SAMPLES, -1)
    logits_BTV = HEAD_1[contexts_BT, block_BT]
    q_BKV = torch.eye(V).double()[block_BT[:, 1:]]
    ids_BT, at_B = verify(
        logits_BTV, block_BT, q_BKV, torch.full((SAMPLES,), 2),
        torch.arange(SAMPLES), torch.zeros(SAMPLES, dtype=torch.int64), SAMPLED,
    )  # fmt: skip
    p_V = filtered(logits_BTV[0, 0], SAMPLED)
    assert p_value(ids_BT[:, 0].bincount(minlength=V), p_V) > 1e-4
    assert torch.equal(ids_BT[:, 0] == draft, at_B == 1)


@pytest.mark.medium
@pytest.mark.parametrize("limits", FILTERS, ids=str)
def test_argmax_rule_gives_the_same_ids_at_every_k_and_batch(limits: dict[str, Any]) -> None:
    options = replace(ARGMAX, **limits)
    samples_B = torch.arange(16)
    reference, _ = decode(options, 1, samples_B, steps=30)
    assert len({tuple(ids) for ids in reference.tolist()}) == 16
    for k in (1, 2, 3):
        mixed_B = torch.randperm(16, generator=torch.Generator().manual_seed(k))
        assert torch.equal(decode(options, k, mixed_B, steps=30)[0], reference[mixed_B])
        for sample in (0, 7):
            found, _ = decode(options, k, samples_B[sample : sample + 1], steps=30)
            assert torch.equal(found[0], reference[sample])
    assert not torch.equal(decode(replace(options, seed=6), 1, samples_B, 30)[0], reference)


@pytest.mark.medium
def test_sampled_rule_does_not_depend_on_the_batch() -> None:
    samples_B = torch.arange(16)
    for k in (1, 2, 3):
        texts, counts = decode(SAMPLED, k, samples_B, steps=30)
        mixed_B = torch.randperm(16, generator=torch.Generator().manual_seed(k))
        again, counts_again = decode(SAMPLED, k, mixed_B, steps=30)
        assert torch.equal(again, texts[mixed_B])
        assert torch.equal(counts_again, counts[mixed_B])
        for sample in (0, 7):
            found, _ = decode(SAMPLED, k, samples_B[sample : sample + 1], steps=30)
            assert torch.equal(found[0], texts[sample])


@pytest.mark.parametrize("rule", ["argmax", "sampled"])
@pytest.mark.parametrize("temperature", [0.0, 1e-300, 1e-4])
def test_no_temperature_is_greedy(rule: DraftRule, temperature: float) -> None:
    ids = list(PROMPT)
    for _ in range(12):
        ids.append(int(HEAD_1[ids[-2], ids[-1]].argmax()))
    for k in (1, 2, 3):
        options = SamplingOptions(temperature=temperature, draft_rule=rule)
        texts, _ = decode(options, k, torch.arange(5), steps=12)
        assert (texts == torch.tensor(ids[len(PROMPT) :])).all()


@pytest.mark.parametrize("rule", ["argmax", "sampled"])
def test_no_draft_past_the_width_is_accepted(rule: DraftRule) -> None:
    """The drafts are all right, so each row accepts as many as its width allows."""
    options = SamplingOptions(draft_rule=rule)
    block_BT = torch.tensor([[3, 0, 1, 2]]).expand(4, -1)
    logits_BTV = 5 * torch.eye(V)[torch.tensor([0, 1, 2, 3])].expand(4, -1, -1)
    q_BKV = torch.eye(V).double()[:3].expand(4, -1, -1)
    ids_BT, at_B = verify(
        logits_BTV, block_BT, q_BKV, torch.tensor([1, 2, 3, 4]),
        torch.arange(4), torch.zeros(4, dtype=torch.int64), options,
    )  # fmt: skip
    assert at_B.tolist() == [0, 1, 2, 3]
    for row, at in enumerate(at_B.tolist()):
        assert ids_BT[row, : at + 1].tolist() == [0, 1, 2, 3][: at + 1]


@pytest.mark.medium
@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    size=st.sampled_from([1, 2, 7, 264]),
    temperature=st.sampled_from([0.0, 1e-6, 0.2, 0.8, 1.0, 3.0, 1e6]),
    top_k=st.sampled_from([0, 1, 2, 5, 40, 1000]),
    top_p=st.one_of(st.just(1.0), st.floats(1e-9, 1.0)),
)
def test_filtered_equals_the_definition(
    seed: int, size: int, temperature: float, top_k: int, top_p: float
) -> None:
    logits = random_logits(seed, size)
    options = SamplingOptions(temperature, top_k, top_p)
    options.check()
    found = filtered(logits, options)
    values = logits.double().tolist()
    expected = plain_filtered(values, options)
    # The definition's own rounding may cut one id earlier or later right at top_p.
    for nudge in (-1e-10, 1e-10):
        nudged = replace(options, top_p=top_p + nudge if top_p < 1 else 1.0)
        assume([p > 0 for p in plain_filtered(values, nudged)] == [p > 0 for p in expected])
    assert found.dtype == torch.float64
    assert torch.allclose(found, torch.tensor(expected).double(), rtol=1e-6, atol=1e-11)
    assert abs(float(found.sum()) - 1) < 1e-12
    assert (found[logits == -torch.inf] == 0).all()
    assert found[lowest_argmax(logits)] == found.max() > 0
    rows = filtered(torch.stack((logits, logits.flip(0), logits)), options)
    assert torch.equal(rows[0], found)
    assert torch.equal(rows[2], found)


def test_ties_are_cut_by_the_lowest_id() -> None:
    logits = torch.tensor([0.0, 1.0, 1.0, 1.0, 1.0])
    for options in (SamplingOptions(1.0, top_k=2), SamplingOptions(1e-3, top_p=0.5)):
        assert filtered(logits, options).tolist() == [0, 0.5, 0.5, 0, 0]


def test_the_best_id_survives_the_smallest_top_p() -> None:
    options = SamplingOptions(1.0, top_p=5e-324)
    assert filtered(torch.tensor([0.0, 1e-3, 0.0]), options).tolist() == [0, 1, 0]


@pytest.mark.medium
@pytest.mark.parametrize("options", [ARGMAX, SAMPLED], ids=["argmax", "sampled"])
def test_one_graph_without_a_word_to_the_host(options: SamplingOptions) -> None:
    """Dynamo finds no break, which a value that the host waits for would be."""
    options = replace(options, top_k=3, top_p=0.9)

    def both(logits_BTV: Tensor, heads_BKV: Tensor, state_B: Tensor) -> tuple[Tensor, Tensor]:
        drafts_BK, q_BKV = draft_ids(heads_BKV, state_B, state_B, options)
        block_BT = torch.cat((state_B[:, None], drafts_BK), 1)
        return verify(logits_BTV, block_BT, q_BKV, state_B + 1, state_B, state_B, options)

    inputs = (HEAD_1[:3, :3], HEADS[0, :3, :2], torch.arange(3))
    compiled = torch.compile(both, backend="eager", fullgraph=True)
    for found, expected in zip(compiled(*inputs), both(*inputs), strict=True):
        assert torch.equal(found, expected)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (SamplingOptions(temperature=-0.1), "temperature must be"),
        (SamplingOptions(temperature=math.nan), "temperature must be"),
        (SamplingOptions(temperature=math.inf), "temperature must be"),
        (SamplingOptions(top_k=-1), "top_k must be"),
        (SamplingOptions(top_k=2**63), "top_k must be"),
        (SamplingOptions(top_p=0.0), "top_p must be"),
        (SamplingOptions(top_p=1.01), "top_p must be"),
        (SamplingOptions(top_p=math.nan), "top_p must be"),
        (SamplingOptions(seed=-1), "seed must be"),
        (SamplingOptions(seed=2**64), "seed must be"),
        (SamplingOptions(draft_rule="best"), "draft_rule must be"),  # type: ignore[arg-type]
    ],
)
def test_options_that_cannot_be(options: SamplingOptions, words: str) -> None:
    with pytest.raises(InputError, match=words):
        options.check()


def test_options_that_can() -> None:
    SamplingOptions().check()
    SamplingOptions(0.8, 40, 0.95, 2**64 - 1, "sampled").check()
