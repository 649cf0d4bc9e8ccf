"""Some exercises as a page of Markdown, for who wants to see what they are like."""

from random import Random

from data.exercises.exercise import WORDINGS, make
from data.exercises.grammar.meaning import LEVELS, Meaning, draw
from data.exercises.grammar.scalar import Scalar
from data.exercises.grammar.scalars import SCALARS

TITLE = "\n".join((
    "# Thirty exercises",
    "",
    "Exercises of the curriculum, six of each level, as "
    "`data build --recipe exercises` writes them. [data.md](data.md#exercises) says how",
    "they are made. A test makes this page again.",
    "",
))  # fmt: skip


def page(each: int = 6, seed: int = 1) -> str:
    """The page: `each` exercises of every level."""
    rng, lines = Random(f"page {seed}"), [TITLE]
    for level in LEVELS:
        lines.append(f"## Level {level}\n")
        for number in range(each):
            by_hand = [scalar for scalar in SCALARS if scalar.level == level]
            meaning: Meaning | Scalar
            meaning = rng.choice(by_hand) if by_hand and number == 0 else draw(rng, level)
            exercise = make(meaning, rng.choice(WORDINGS["train"]), rng)
            lines.append(f"```python\n{exercise.text}```\n")
    return "\n".join(lines)
