"""Random children's stories with random names, as text for `eval induction`.

A name has two parts, each a consonant and a vowel: `Mi` + `bo`. At a name's first mention, nothing
in the text predicts its second part. At later mentions, only the earlier mentions do. Each story
has two names with different first letters, so a name's first part always determines the second.
"""

import random
from dataclasses import dataclass

from bytelm.toolkit import InputError

CONSONANTS, VOWELS = "bcdfghjklmnpqrstvwxz", "aeiou"
PART = 2
"""Letters in a part of a name, one byte each."""

LOOKS = ("big", "kind", "little", "old", "sad", "shy")
ANIMALS = ("bear", "cat", "dog", "fox", "hen", "pig")
THINGS = ("ball", "book", "cake", "hat", "kite", "toy")
OPENINGS = (
    "{a} was a {look} {animal}.",
    "There was a {look} {animal} called {a}.",
    "Once there lived a {animal}, {a}.",
)
MEETINGS = (
    "One day {a} met {b}.",
    "{a} had a friend, {b}.",
    "Next door lived {b}.",
)
MIDDLES = (
    "{a} saw {b}.",
    "{a} ran to {b}.",
    "{a} gave {b} a {thing}.",
    '"Look, a {thing}!" said {a}.',
    '"I am {look}," said {a} to {b}.',
    "{a} and {b} sat down.",
    "{a} was {look}.",
    "So {a} helped {b}.",
    "Then {a} sang to {b}.",
    "{a} hid from {b}.",
)
ENDINGS = (
    "Then {a} and {b} went home.",
    "{a} thanked {b}.",
    "And {a} slept well.",
)
MIDDLES_IN_STORY = 8
# The number of different names: two parts, each a consonant and a vowel.
POSSIBLE = (len(CONSONANTS) * len(VOWELS)) ** 2


@dataclass(frozen=True)
class Mention:
    """One mention of a name: its first byte, and the number of earlier mentions in the story."""

    start: int
    before: int


@dataclass(frozen=True)
class Story:
    text: bytes
    mentions: tuple[Mention, ...]


def random_name(rng: random.Random) -> str:
    letters = (rng.choice(CONSONANTS) + rng.choice(VOWELS) for _ in range(2))
    return "".join(letters).capitalize()


class Names:
    """A source of names for stories: a pool of `size` names, or (0) new names in every story.

    Names in `banned` are never used. Raises InputError for a pool that is too small or too large.
    """

    def __init__(self, rng: random.Random, size: int, banned: frozenset[str] = frozenset()) -> None:
        if size == 1 or not 0 <= size <= POSSIBLE // 2:
            raise InputError(
                f"--names {size}: a story needs two names, and there are at most "
                f"{POSSIBLE // 2}; 0 makes new ones for every story"
            )
        self.banned = banned
        taken: dict[str, None] = {}
        while len(taken) < size or (size and len({name[0] for name in taken}) < 2):
            if len(taken) == size:
                # The two names of a story need different first letters.
                taken.popitem()
            taken[self._new(rng)] = None
        self.pool = list(taken)

    def _new(self, rng: random.Random) -> str:
        while (name := random_name(rng)) in self.banned:
            pass
        return name

    def _one(self, rng: random.Random) -> str:
        return rng.choice(self.pool) if self.pool else self._new(rng)

    def pair(self, rng: random.Random) -> tuple[str, str]:
        """Two names whose first letters differ."""
        one = self._one(rng)
        while (other := self._one(rng))[0] == one[0]:
            pass
        return one, other


def make_story(rng: random.Random, names: Names) -> Story:
    one, other = names.pair(rng)
    middles = [rng.choice(MIDDLES) for _ in range(MIDDLES_IN_STORY)]
    templates = [rng.choice(OPENINGS), rng.choice(MEETINGS), *middles, rng.choice(ENDINGS)]
    text, found = "", []
    for number, template in enumerate(templates):
        # The first two sentences introduce the two names in order. Later, either may come first.
        a, b = (one, other) if number < 2 or rng.random() < 0.5 else (other, one)
        words = {
            "look": rng.choice(LOOKS),
            "animal": rng.choice(ANIMALS),
            "thing": rng.choice(THINGS),
        }
        sentence = template.format(a=a, b=b, **words)
        text += " " * bool(text)
        # A template contains each of the two names at most once.
        places = [(sentence.find(name), name) for name in (one, other) if name in sentence]
        found += [(len(text) + at, name) for at, name in sorted(places)]
        text += sentence
    seen = dict.fromkeys((one, other), 0)
    mentions = []
    for start, name in found:
        mentions.append(Mention(start, seen[name]))
        seen[name] += 1
    return Story(text.encode(), tuple(mentions))


def held_out_stories(seed: int, count: int) -> tuple[list[Story], frozenset[str]]:
    """`count` stories to measure on, and their names, which no training story may use."""
    rng, fresh = random.Random(f"stories {seed} test"), Names(random.Random(), 0)
    stories = [make_story(rng, fresh) for _ in range(count)]
    size = 2 * PART
    names = {
        story.text[mention.start : mention.start + size].decode()
        for story in stories
        for mention in story.mentions
    }
    return stories, frozenset(names)
