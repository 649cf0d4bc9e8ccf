"""Completing and scoring suites with gaps: by both sides, by the prefix, or not at all."""

import json
from pathlib import Path
from typing import Any

import pytest
from support import (
    eval_command,
    one_line,
    random_model,
    read_rows,
    save_model,
    small_config,
    write_rows,
)

from bytelm.checkpoint import save_checkpoint
from bytelm.toolkit import (
    Continuation,
    DecodeOptions,
    Gap,
    Journal,
    Prompt,
    generate,
    load_checkpoint,
    score_continuations,
)


def row(number: int, kind: str = "SingleLine", **changes: str) -> dict[str, str]:
    values = {
        "task_id": f"{kind}Infilling/Own/{number}/L0",
        "prompt": f"def f{number}(x):\n",
        "suffix": "    return y\n",
        "canonical_solution": "    y = x\n",
        "entry_point": f"f{number}",
        "test": "def check(f):\n    pass\n",
    }
    return {**values, **changes}


ROWS = [row(0), row(1, "MultiLine", prompt="# é\n"), row(2, suffix="")]


@pytest.fixture(scope="module")
def filling(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model that says that it was trained with infilling."""
    folder, model = tmp_path_factory.mktemp("filling"), random_model(small_config(), 2)
    save_checkpoint(folder, 1, model.config, model.state_dict(), {}, {}, 0.5)
    return folder


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same model, trained without."""
    folder = tmp_path_factory.mktemp("plain")
    save_model(folder, random_model(small_config(), 2))
    return folder


def prompt(values: dict[str, str], way: str) -> Prompt:
    before = values["prompt"].encode()
    return Gap(before, values["suffix"].encode()) if way == "fim" else before


@pytest.mark.parametrize(
    ("words", "way"),
    [([], "fim"), (["--infill", "fim"], "fim"), (["--infill", "prefix"], "prefix")],
)
def test_both_sides_are_read_unless_the_prefix_is_asked_for(
    filling: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], way: str
) -> None:
    problems, out = write_rows(tmp_path / "p.jsonl", ROWS), tmp_path / "out.jsonl"
    base = ["--problems", str(problems), "--checkpoint", str(filling), "--out", str(out)]
    status, figures, said = eval_command(capsys, "complete", *base, *words, "--max-bytes", "80")
    assert status == 0, said
    assert (figures["stops"], figures["prompt_form"]) == ("own", f"{way} raw")
    model = load_checkpoint(filling).model
    for values, sample in zip(ROWS, read_rows(out), strict=True):
        assert sample["prompt_form"] == f"{way} raw"
        # A line keeps its stop.
        line = values["task_id"].startswith("Single")
        options = DecodeOptions(80, 1, 1, (b"\n",) if line else ())
        [alone] = generate(model, [prompt(values, way)], options)
        closing = b"\n" if alone.finish_reason == "stop" else b""
        assert sample["completion"] == (alone.text + closing).decode("utf-8", "replace")
        assert sample["finish_reason"] == alone.finish_reason
    graded = ["--problems", str(problems), "--samples", str(out)]
    status, figures, _ = eval_command(capsys, "grade", *graded)
    assert (status, figures["prompt_form"]) == (0, f"{way} raw")


def test_the_journal_knows_how_gaps_are_filled(
    filling: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    problems, out = write_rows(tmp_path / "p.jsonl", ROWS), tmp_path / "out.jsonl"
    base = ["--problems", str(problems), "--checkpoint", str(filling), "--out", str(out)]
    base += ["--max-bytes", "8"]
    append = Journal.append

    def stopping(journal: Journal, row: dict[str, object]) -> None:
        append(journal, row)
        raise KeyboardInterrupt

    monkeypatch.setattr(Journal, "append", stopping)
    assert eval_command(capsys, "complete", *base)[0] == 130
    monkeypatch.setattr(Journal, "append", append)
    status, figures, said = eval_command(capsys, "complete", *base, "--infill", "prefix")
    assert (status, figures["prompt_form"]) == (0, "prefix raw")
    assert "has another infill, and is kept as" in said


def test_a_gap_that_does_not_fit_is_shortened_and_counted(
    filling: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [row(0), row(1, prompt="p" * 300, suffix="s" * 300)]
    problems, out = write_rows(tmp_path / "p.jsonl", rows), tmp_path / "out.jsonl"
    base = ["--problems", str(problems), "--checkpoint", str(filling), "--out", str(out)]
    status, figures, said = eval_command(capsys, "complete", *base, "--max-bytes", "7")
    assert (status, figures["shortened"]) == (0, 1)
    assert "1 prompts lose their outer ends, to fit the context of 256 bytes" in said
    gap = Gap(b"p" * 123, b"s" * 122)
    [alone] = generate(load_checkpoint(filling).model, [gap], DecodeOptions(7, 1, 1, (b"\n",)))
    assert read_rows(out)[1]["bytes"] == len(alone.text)


@pytest.mark.parametrize("command", ["complete", "bits"])
@pytest.mark.parametrize(
    ("model", "rows", "way", "words"),
    [
        ("plain", ROWS, "fim", "was trained without infilling, so it cannot fill a gap"),
        ("filling", None, "fim", "--infill fim is for suites with gaps, and this one has none"),
        ("filling", None, "prefix", "--infill prefix is for suites with gaps"),
    ],
)
def test_what_cannot_be_is_one_line(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    command: str,
    model: str,
    rows: list[dict[str, Any]] | None,
    way: str,
    words: str,
) -> None:
    out = tmp_path / "out.json"
    given = ["--suite", "micro"]
    if rows is not None:
        given = ["--problems", str(write_rows(tmp_path / "p.jsonl", rows))]
    folder = request.getfixturevalue(model)
    base = ["--checkpoint", str(folder), "--out", str(out), "--infill", way]
    status, _, err = eval_command(capsys, command, *given, *base)
    assert status == 2
    assert words in one_line(err)
    assert not out.exists()


def test_files_have_no_gaps(
    filling: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(write_rows(tmp_path / "p", [])), "--checkpoint", str(filling), "--infill", "fim"]
    status, _, err = eval_command(capsys, "bits", *words)
    assert status == 2
    assert "--infill is for suites with gaps, not for files" in one_line(err)


def test_without_infilling_nothing_has_changed(
    plain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    problems, out = write_rows(tmp_path / "p.jsonl", ROWS), tmp_path / "out.jsonl"
    base = ["--problems", str(problems), "--checkpoint", str(plain)]
    words = [*base, "--out", str(out), "--max-bytes", "8"]
    status, figures, _ = eval_command(capsys, "complete", *words)
    assert (status, figures["prompt_form"]) == (0, "prefix raw")
    status, figures, _ = eval_command(capsys, "bits", *base)
    assert (status, figures["prompt_form"]) == (0, "raw")


@pytest.mark.parametrize("way", ["fim", "prefix"])
def test_bits_of_a_middle_given_both_sides(
    filling: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], way: str
) -> None:
    rows = [*ROWS, row(3, suffix="s" * 300), row(4, canonical_solution="x" * 254)]
    problems, out = write_rows(tmp_path / "p.jsonl", rows), tmp_path / "bits.json"
    words = ["--problems", str(problems), "--checkpoint", str(filling), "--infill", way]
    status, figures, said = eval_command(capsys, "bits", *words, "--out", str(out))
    assert status == 0, said
    assert figures["prompt_form"] == ("fim raw" if way == "fim" else "raw")
    # The marks take three places, and so the last one has none.
    assert figures["problems"] == (4 if way == "fim" else 5)
    model = load_checkpoint(filling).model
    for values, found in zip(rows, json.loads(out.read_text())["solutions"], strict=False):
        one = Continuation(prompt(values, way), values["canonical_solution"].encode()).fitted(256)
        assert one is not None
        score = score_continuations(model, [one])
        assert found["heads_bpb"][0] == pytest.approx(score.heads_bpb()[0], rel=1e-5)
        marks = 3 if way == "fim" else 0
        assert found["prompt_bytes"] == len(one.prompt) - marks
    assert figures["shortened"] == 1
