"""Several samples a problem: one file, the same bytes at any batch and after any stop."""

from pathlib import Path
from typing import Any

import pytest
from support import eval_command, one_line, read_rows, write_rows

from bytelm.toolkit import DecodeOptions, InputError, Journal, generate, load_checkpoint
from eval.suites.complete import SuiteSampling
from eval.suites.stops import STOPS

SAMPLES, WARM, HOT = 3, 0.4, 1.0
DRAWN = ["--samples", str(SAMPLES), "--temperatures", str(WARM), str(HOT), "--max-bytes", "24"]
PROMPTS = ["def add(a, b):\n", "class Point:\n", "import "]


@pytest.fixture
def problems(tmp_path: Path) -> Path:
    rows = [
        {"task_id": f"t/{i}", "prompt": prompt, "entry_point": "f", "test": "",
         "canonical_solution": ""}
        for i, prompt in enumerate(PROMPTS)
    ]  # fmt: skip
    return write_rows(tmp_path / "problems.jsonl", rows)


@pytest.fixture
def words(problems: Path, run_folder: Path) -> list[str]:
    return ["complete", "--problems", str(problems), "--checkpoint", str(run_folder)]


@pytest.mark.medium
def test_rows_are_the_models_samples(
    run_folder: Path, words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.jsonl"
    status, figures, said = eval_command(capsys, *words, *DRAWN, "--seed", "7", "--out", str(out))
    assert status == 0, said
    rows = read_rows(out)
    assert [(row["temperature"], row["task_id"], row["sample"]) for row in rows] == [
        (t, f"t/{i}", n) for t in (WARM, HOT) for i in range(3) for n in range(SAMPLES)
    ]
    assert all("forwards" not in row and "accepted" not in row for row in rows)
    model = load_checkpoint(run_folder).model
    stops = tuple(stop.encode() for stop in STOPS["paper"])
    expected = []
    for temperature in (WARM, HOT):
        sampling = SuiteSampling(seed=7).at(temperature)
        options = DecodeOptions(24, 1, 1, stops, sampling=sampling, samples=SAMPLES)
        expected += generate(model, [prompt.encode() for prompt in PROMPTS], options)
    assert [row["completion"] for row in rows] == [
        one.text.decode("utf-8", "replace") for one in expected
    ]
    assert figures["completions"] == len(rows) == 18
    assert (figures["samples"], figures["temperatures"], figures["seed"]) == (3, [WARM, HOT], 7)
    status, graded, said = eval_command(
        capsys, "grade", "--problems", words[2], "--samples", str(out), "--k", "1", "3"
    )
    assert status == 0, said
    assert [own["temperature"] for own in graded["by_temperature"]] == [WARM, HOT]
    assert "temperature 0.4: pass@1 0.0%, pass@3 0.0%" in said


@pytest.mark.medium
def test_a_sample_depends_on_nothing_beside_it(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def rows_of(name: str, *more: str) -> list[dict[str, Any]]:
        out = tmp_path / f"{name}.jsonl"
        status, _, said = eval_command(capsys, *words, *DRAWN, *more, "--out", str(out))
        assert status == 0, said
        return read_rows(out)

    reference = rows_of("reference")
    assert rows_of("batch", "--batch", "2", "--heads", "1") == reference
    hot = [row for row in reference if row["temperature"] == HOT]
    assert rows_of("hot", "--temperatures", str(HOT)) == hot
    other = rows_of("other", "--seed", "1")
    assert [row["completion"] for row in other] != [row["completion"] for row in reference]
    assert len({row["completion"] for row in hot}) > len(PROMPTS)


@pytest.mark.medium
def test_stopped_at_any_moment_it_writes_the_same_bytes(
    words: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = tmp_path / "whole.jsonl"
    assert eval_command(capsys, *words, *DRAWN, "--out", str(whole))[0] == 0
    append = Journal.append
    out = tmp_path / "out.jsonl"
    for moment in (2, 5, 6):
        done = 0

        def stopping(journal: Journal, row: dict[str, Any], moment: int = moment) -> None:
            nonlocal done
            if done == moment:
                raise KeyboardInterrupt
            append(journal, row)
            done += 1

        monkeypatch.setattr(Journal, "append", stopping)
        assert eval_command(capsys, *words, *DRAWN, "--out", str(out))[0] == 130
        assert not out.exists()
    monkeypatch.setattr(Journal, "append", append)
    journal = Path(f"{out}.partial").read_text().splitlines()
    assert len(journal) == 1 + 2 + 5 + 6
    status, figures, _ = eval_command(capsys, *words, *DRAWN, "--batch", "5", "--out", str(out))
    assert (status, figures["completions"]) == (0, 18)
    assert out.read_bytes() == whole.read_bytes()
    assert not Path(f"{out}.partial").exists()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--samples", "2"], "--samples 2 at temperature 0 would be 2 times the same"),
        (["--samples", "2", "--temperatures", "0.5", "0"], "--samples 2 at temperature 0"),
        (["--temperatures", "0.5", "0.5"], "--temperatures: a temperature is given twice"),
        (["--temperatures", "-1"], "--temperatures must be at least 0, not -1.0"),
        (["--top-p", "0"], "--top-p must be above 0 and at most 1, not 0.0"),
    ],
)
def test_wrong_options_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], said: str
) -> None:
    out = tmp_path / "o.jsonl"
    base = ["complete", "--suite", "micro", "--checkpoint", "nowhere", "--out", str(out)]
    status, _, err = eval_command(capsys, *base, *more)
    assert status == 2
    assert said in one_line(err)
    assert list(tmp_path.iterdir()) == []


def test_each_temperature_and_seed_has_its_own_random_numbers() -> None:
    seeds = [SuiteSampling(seed=s).at(t).seed for s in (0, 1) for t in (0.2, 0.8, 1.0)]
    assert len(set(seeds)) == 6
    assert SuiteSampling().at(1).seed == SuiteSampling().at(1.0).seed
    assert SuiteSampling(seed=3).at(0).temperature == 0
    with pytest.raises(InputError, match="temperatures needs at least one"):
        SuiteSampling(temperatures=()).check()
