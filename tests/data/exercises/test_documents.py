"""Documents: their code agrees, their examples hold, and one seed gives one text."""

import contextlib
import doctest
import os
import signal
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
from support import ROOT, wait_until

from data.exercises import documents, generate
from data.exercises.clean import Checks
from data.exercises.code import STYLES
from data.exercises.documents import block, kind_of
from data.exercises.exercise import WORDINGS, DisagreementError, make
from data.exercises.generate import Curriculum
from data.exercises.grammar.meaning import LEVELS, Meaning, draw, outcome
from data.exercises.grammar.singles import SINGLES
from data.exercises.grammar.small import SMALL
from data.exercises.grammar.values import MAKERS
from data.exercises.pages import page


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("style", STYLES)
def test_every_style_agrees_with_the_meaning_on_fresh_inputs(level: int, style: str) -> None:
    rng = Random(f"{level} {style}")
    for _ in range(25):
        meaning = draw(rng, level)
        exercise = make(meaning, rng.choice(WORDINGS["train"]), rng, style)
        for _ in range(20):
            values = tuple(MAKERS[name](rng) for name in meaning.types)
            expected = outcome(meaning.compute, values)
            assert outcome(exercise.function, values) == expected, exercise.text


def test_documents_parse_and_their_doctests_pass() -> None:
    found = [document for number in range(4) for document in block(3, number, Checks()).documents]
    examples = 0
    for document in found:
        assert max(map(len, document.content.splitlines())) <= 120
        space: dict[str, object] = {"__name__": document.name}
        exec(compile(document.content, document.name, "exec"), space)
        finder, runner = doctest.DocTestFinder(), doctest.DocTestRunner(verbose=False)
        for name, value in list(space.items()):
            for test in finder.find(value, name, globs=space) if callable(value) else ():
                result = runner.run(test)
                examples += result.attempted
                assert result.failed == 0, document.name
        for name, value in list(space.items()):
            if name.startswith("test_") and callable(value):
                value()
    assert examples > 100


def test_a_wrong_expression_stops_the_build(monkeypatch: pytest.MonkeyPatch) -> None:
    """Code that computes something else than its meaning is an error of the grammar."""
    rng = Random(2)
    meaning = draw(rng, 2)
    monkeypatch.setattr(Meaning, "compute", lambda self, *values: "something else")
    with pytest.raises(DisagreementError, match="something else"):
        make(meaning, WORDINGS["train"][0], rng)


def test_the_bytes_do_not_depend_on_the_processes() -> None:
    def made(processes: int) -> list[tuple[str, bytes, str]]:
        curriculum = Curriculum(400_000, 7, Checks(), processes)
        files = [(file.name, file.content, file.split) for file in curriculum.files()]
        assert curriculum.about["exercises"] > 100
        return files

    one = made(1)
    assert one == made(2)
    assert sum(len(content) for _, content, _ in one) >= 400_000
    assert {split for _, _, split in one} == {"train", "held_out"}


def test_blocks_hold_out_meanings_and_wordings() -> None:
    kinds = [kind_of(number) for number in range(40)]
    assert (kinds.count("held_out"), kinds.count("wordings"), kinds.count("train")) == (2, 2, 36)
    held = block(1, 0, Checks())
    assert {document.split for document in held.documents} == {"held_out"}
    train = set(WORDINGS["train"])
    assert not train & set(WORDINGS["held_out"])
    assert not held.meanings & block(1, 1, Checks()).meanings


def test_the_first_blocks_have_functions_of_one_operation_or_one_line() -> None:
    short = {scalar.family for scalar in (*SINGLES, *SMALL)}
    first = set(block(5, 2, Checks(), operations=3).families)
    assert {"one number", "one word", "one character", "constants", "one list"} <= first <= short
    assert not set(block(5, 3, Checks(), operations=3).families) <= short


def test_the_text_comes_in_stages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generate, "BYTES_PER_OPERATION_BLOCK", 250_000)
    curriculum = Curriculum(700_000, 5, Checks(), 2)
    assert curriculum.operations == 2
    stages = [file.stage for file in curriculum.files()]
    assert stages == sorted(stages)
    assert set(stages) == {0, 1, 2}


def test_two_seeds_differ() -> None:
    first, second = (documents.block(seed, 1, Checks()).documents[0].content for seed in (1, 2))
    assert first != second


def test_the_page_shows_what_is_made() -> None:
    """`python -c "from data.exercises.pages import page; print(page(), end='')"` makes it again."""
    assert (ROOT / "docs" / "exercises.md").read_text(encoding="utf-8") == page()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
@pytest.mark.medium
def test_workers_end_with_the_build(tmp_path: Path, number: signal.Signals) -> None:
    words = ["--recipe", "exercises", "--megabytes", "500", "--processes", "2"]
    command = [sys.executable, "-m", "data", "build", *words, "--out", str(tmp_path / "out")]
    build = subprocess.Popen(
        command, cwd=ROOT, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        wait_until(lambda: any(tmp_path.glob(".out.*.unfinished/*")), 60)
        build.send_signal(number)
        build.wait(30)
        wait_until(lambda: not group_lives(build.pid), 30)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(build.pid, signal.SIGKILL)
    assert not (tmp_path / "out").exists()
    if number != signal.SIGKILL:
        assert build.returncode == 128 + number
        assert list(tmp_path.iterdir()) == []


def group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
