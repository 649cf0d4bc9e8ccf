"""Philox and what is drawn by it: published words, unrelated, never an impossible id."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support import p_value, random_logits

from bytelm.decode.options import SamplingOptions
from bytelm.decode.sampling import (
    ACCEPT,
    DRAFT,
    DRAW,
    draw,
    filtered,
    philox,
    uniforms,
)


def test_philox_gives_the_published_words() -> None:
    """Random123's known answers for philox4x32-10."""
    ones = 0xFFFFFFFF
    for counter, key, expected in (
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((ones,) * 4, (ones,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        ((0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344), (0xA4093822, 0x299F31D0),
         (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1)),
    ):  # fmt: skip
        words = [torch.tensor([word]) for word in counter]
        found = philox((words[0], words[1], words[2], words[3]), key)
        assert tuple(int(word) for word in found) == expected


def test_uniforms_are_uniform_and_unrelated() -> None:
    """Over seeds, streams, samples and positions: axes 0 to 3."""
    seeds = (0, 1, 2, 3, 2**32, 2**64 - 1)
    samples = torch.arange(48)
    positions = torch.arange(96).expand(48, -1)
    u = torch.stack(
        [
            torch.stack([uniforms(seed, samples, positions, s) for s in (DRAW, ACCEPT, DRAFT)])
            for seed in seeds
        ]
    )
    assert u.dtype == torch.float64
    assert u.min() >= 0
    assert u.max() < 1
    assert len(set(u.flatten().tolist())) == u.numel()
    assert abs(u.mean() - 0.5) < 4 * (1 / 12 / u.numel()) ** 0.5
    assert abs(u.var() - 1 / 12) < 4 * (1 / 180 / u.numel()) ** 0.5
    bins = (u.flatten() * 64).long().bincount(minlength=64)
    assert p_value(bins, torch.full((64,), 1 / 64, dtype=torch.float64)) > 1e-4
    for axis in range(4):
        size = u.shape[axis]
        a, b = u.narrow(axis, 0, size - 1).flatten(), u.narrow(axis, 1, size - 1).flatten()
        correlation = ((a - 0.5) * (b - 0.5)).mean() * 12
        assert abs(correlation) < 4 * len(a) ** -0.5


def test_uniforms_know_large_numbers_apart() -> None:
    samples = torch.tensor([0, 1, 2**32, 2**32 + 1, 2**62])
    positions = torch.tensor([[0, 2**31 - 1, 2**31, 2**32 - 1]]).expand(5, -1)
    drawn = uniforms(7, samples, positions, DRAW).flatten().tolist()
    assert len(set(drawn)) == positions.numel()


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 10**6), size=st.sampled_from([2, 7, 264]), scale=st.integers(-40, 40))
def test_draw_never_returns_an_id_of_no_probability(seed: int, size: int, scale: int) -> None:
    probabilities = filtered(random_logits(seed, size), SamplingOptions(1.0)) * 2.0**scale
    edges = probabilities.cumsum(0) / probabilities.sum()
    ends = torch.tensor([0.0, 0.5, 1 - 2**-53, 1.0], dtype=torch.float64)
    u = torch.cat((ends, edges.clamp(max=1 - 2**-53)))
    ids = draw(probabilities.expand(len(u), -1), u)
    assert (probabilities[ids] > 0).all()
    said = probabilities.nonzero()[:, 0]
    assert ids[0] == said[0]
    assert ids[3] == said[-1]
    assert (probabilities[ids[2] + 1 :] <= probabilities.sum() * 2.0**-52).all()


def test_draw_is_the_inverse_of_the_cumulative_sum() -> None:
    probabilities = torch.tensor([0.0, 0.25, 0.0, 0.5, 0.25, 0.0]).double()
    u = torch.tensor([0.0, 0.2499, 0.25, 0.7499, 0.75, 0.9999]).double()
    assert draw(probabilities.expand(6, -1), u).tolist() == [1, 1, 3, 3, 4, 4]
