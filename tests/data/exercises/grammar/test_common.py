"""Frequent parts: which are drawn, and how often."""

from collections import Counter
from random import Random

import pytest

from data.exercises.exercise import WORDINGS, Wording, weighted
from data.exercises.grammar.atoms import PREDICATES, Kind
from data.exercises.grammar.common import ALL_PARTS, FREQUENT_PARTS, Weighted
from data.exercises.grammar.meaning import draw, nested
from data.exercises.grammar.singles import SINGLES, draw_single


def test_parts_are_drawn_by_their_weights() -> None:
    rng, weighted = Random(3), Weighted("abc", [1, 0, 3])
    found = Counter(weighted.draw(rng) for _ in range(4000))
    assert set(found) == {"a", "c"}
    assert 0.7 < found["c"] / 4000 < 0.8


@pytest.mark.parametrize("kind", PREDICATES)
def test_all_parts_are_many_and_frequent_ones_are_among_them(kind: Kind) -> None:
    for every, frequent in (
        (ALL_PARTS.predicates, FREQUENT_PARTS.predicates),
        (ALL_PARTS.changes, FREQUENT_PARTS.changes),
        (ALL_PARTS.ends, FREQUENT_PARTS.ends),
    ):
        assert {part.key for part in frequent[kind].parts} < {
            part.key for part in every[kind].parts
        }


def test_most_meanings_of_two_operations_are_said_in_one_phrase() -> None:
    rng = Random(4)
    found = [draw(rng, 2) for _ in range(500)]
    assert sum(nested(one.operations, one.steps) for one in found) < 50


def test_single_operations_are_drawn_from_those_that_are_known() -> None:
    rng, keys = Random(5), {single.key for single in SINGLES}
    found = Counter(draw_single(rng).key for _ in range(3000))
    assert set(found) <= keys
    assert found["is even number"] > found["number not 17"]
    assert len(found) > 100


def test_the_usual_wording_is_most_of_the_training_text() -> None:
    rng = Random(6)
    wordings = weighted(WORDINGS["train"])
    found = Counter(wordings.draw(rng) for _ in range(1000))
    assert found.most_common(1)[0][0] == Wording("return", "plain")
    assert found[Wording("return", "plain")] > 400
