"""Stories by rule: names are where they are said to be, new ones are new, the same every time."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bytelm.toolkit import InputError
from eval.study.stories import CONSONANTS, PART, VOWELS, Names, Story, held_out_stories, make_story

seeds = st.integers(0, 2**32)


def names_in(story: Story) -> list[str]:
    return [story.text[m.start : m.start + 2 * PART].decode() for m in story.mentions]


@given(seeds, st.sampled_from((0, 2, 7, 300)))
@settings(max_examples=60, deadline=None)
def test_mentions_are_all_the_names_of_a_story(seed: int, size: int) -> None:
    rng = random.Random(seed)
    story = make_story(rng, Names(rng, size))
    named = names_in(story)
    assert len(set(named)) == 2
    assert len({name[0] for name in named}) == 2, "a first letter must settle which name it is"
    starts = [mention.start for mention in story.mentions]
    assert starts == sorted(set(starts))
    for name in set(named):
        assert [m.before for m, own in zip(story.mentions, named, strict=True) if own == name] == (
            list(range(named.count(name)))
        )
        assert story.text.count(name.encode()) == named.count(name), "a mention was not noted"
        assert all(
            letter in (VOWELS if place % 2 else CONSONANTS)
            for place, letter in enumerate(name.lower())
        )
    assert len(named) >= 8, "too few mentions to learn from"


@given(seeds, st.integers(2, 40))
@settings(max_examples=40, deadline=None)
def test_a_pool_has_its_size_and_can_always_make_a_pair(seed: int, size: int) -> None:
    rng = random.Random(seed)
    names = Names(rng, size)
    assert len(set(names.pool)) == len(names.pool) == size
    for _ in range(5):
        assert set(names.pair(rng)) <= set(names.pool)


def test_training_stories_have_no_held_out_name() -> None:
    _, banned = held_out_stories(3, 100)
    assert 150 < len(banned) <= 200
    # Most of all names banned: chance would meet one at once.
    for size in (0, 50):
        rng = random.Random(1)
        many = frozenset(a + b + c + d for a in "BCDFGHJK" for b in VOWELS
                         for c in CONSONANTS for d in VOWELS)  # fmt: skip
        names = Names(rng, size, banned | many)
        for _ in range(200):
            assert not set(names_in(make_story(rng, names))) & (banned | many)


def test_the_same_seed_tells_the_same_stories() -> None:
    assert held_out_stories(5, 4) == held_out_stories(5, 4)
    assert held_out_stories(5, 4)[0] != held_out_stories(6, 4)[0]
    assert held_out_stories(5, 6)[0][:4] == held_out_stories(5, 4)[0]


@pytest.mark.parametrize("size", [-1, 1, 5001])
def test_pools_that_cannot_be(size: int) -> None:
    with pytest.raises(InputError, match="a story needs two names"):
        Names(random.Random(0), size)
