"""Sentences say one thing: what is kept, what is changed, and of what the result is taken."""

from random import Random

import pytest

from data.exercises.grammar.meaning import named
from data.exercises.wording import sentence, verb

# Words for each of which a careful reader found a sentence that can be read in two ways.
SAID = {
    ("numbers", "square", "", "sum"): "Return the sum of the squares of the numbers in the list.",
    ("numbers", "under 3 square", "", "sum"): "Return the sum of the squares of those numbers in "
    "the list that are less than 3.",
    ("numbers", "under 3", "", "squares"): "Return the sum of the squares of those numbers in the "
    "list that are less than 3.",
    ("numbers", "under 3", "", "sum"): "Return the sum of the numbers in the list that are less "
    "than 3.",
    ("numbers", "plus 3", "", "sum"): "Return the sum of the numbers in the list, each increased "
    "by 3.",
    ("numbers", "from 3", "", "squares"): "Take the numbers in the list. Subtract each of them "
    "from 3. Return the sum of the squares of them.",
    ("numbers", "times 3", "", "min or None"): "Take the numbers in the list. Multiply each of "
    "them by 3. Return the smallest of them, or None if there are none.",
    ("numbers", "positive", "take 2", "max or None"): "Return the largest of the first 2 positive "
    "numbers in the list, or None if there are none.",
    ("numbers", "over 2", "take 2", "list"): "Return the list of the first 2 of the numbers in the "
    "list that are greater than 2.",
    ("numbers", "over 2", "drop 1", "list"): "Return the list of all but the first of the numbers "
    "in the list that are greater than 2.",
    ("numbers", "over 2", "drop 1", "count"): "Take the numbers in the list. Keep only those that "
    "are greater than 2. Leave out the first one. Return the number of them.",
    ("numbers", "", "take 3", "count"): "Return the number of the first 3 numbers in the list.",
    ("text", "", "take 3", "list"): "Return the list of the first 3 characters of the text.",
    ("words", "has a", "reverse", "list"): "Return the list of the words in the list that contain "
    "the letter a, in reverse order.",
    ("words", "", "alphabetical", "list"): "Return the list of the words in the list in "
    "alphabetical order.",
    ("numbers", "over 2", "descending", "tuple"): "Return a tuple of the numbers in the list that "
    "are greater than 2, in descending order.",
    ("numbers", "over 2|under 9", "", "count"): "Return the number of numbers in the list that are "
    "greater than 2 and less than 9.",
    ("numbers", "not divisible by 4|under 9", "", "count"): "Return the number of numbers in the "
    "list that are not divisible by 4 and are less than 9.",
    ("numbers", "", "steps", "list"): "Return the list of the differences between each of the "
    "numbers in the list and the one before it.",
}  # fmt: skip


@pytest.mark.parametrize("parts", SAID)
def test_a_sentence_says_one_thing(parts: tuple[str, str, str, str]) -> None:
    source, operations, step, end = parts
    keys = {"under 3 square": ["under 3", "square"]}.get(operations, operations.split("|"))
    meaning = named(source, [key for key in keys if key], [step] if step else [], end)
    # An argument of the noun's name: "the words in words" is not said.
    arguments = ({"text": "characters"}.get(source, source),)
    found = {
        sentence(meaning, "return", arguments, Random(seed)).replace("of characters", "of the text")
        for seed in range(20)
    }
    assert found == {SAID[parts]}


def test_numbers_are_computed_and_lists_are_made() -> None:
    def verbs(phrase: str, hint: str) -> set[str]:
        return {verb(phrase, hint, Random(seed)) for seed in range(50)}

    assert verbs("whether it is", "bool") == {"Check"}
    assert "Compute" in verbs("the sum", "int")
    assert "Compute" not in verbs("the words", "str") | verbs("the set", "set")
