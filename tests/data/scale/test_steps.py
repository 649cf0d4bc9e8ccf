"""The filter: what it drops and counts, and what it refuses."""

from pathlib import Path

import pytest
from datatrove.data import Document
from scaling import program

from bytelm.toolkit import InputError
from data.scale import Choices, TakeSteps


@pytest.mark.medium
def test_a_filter_among_steps_of_others(tmp_path: Path) -> None:
    documents = [Document(text=program(1), id="1.py"), Document(text="x" * 2000, id="2.py")]
    steps = TakeSteps(tmp_path)
    assert [one.id for one in steps.run(documents)] == ["1.py"]
    assert steps.stats["dropped_longest line"].total == 1


@pytest.mark.medium
def test_texts_that_are_none(tmp_path: Path) -> None:
    """A reader of others may give an empty text, or half of a surrogate pair."""
    texts = {"whole": program(1), "half": "x = 1 \ud800\n", "byte": "x = 1 \udcff\n", "empty": ""}
    steps = TakeSteps(tmp_path)
    kept = list(steps.run([Document(text=text, id=name) for name, text in texts.items()]))
    assert [one.id for one in kept] == ["whole"]
    assert steps.stats["dropped_not UTF-8"].total == 2
    assert steps.stats["dropped_empty"].total == 1


def test_wrong_choices(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="most_error_percent"):
        TakeSteps(tmp_path, Choices(syntax="drop", most_error_percent=200))
    with pytest.raises(InputError, match="give WriteParts signed=True"):
        TakeSteps(tmp_path, Choices(near_duplicates="drop"))
