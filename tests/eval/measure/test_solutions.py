"""Bits per byte of reference solutions: the command, its figures and its errors."""

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support import eval_command, one_line, random_model, save_model, small_config, write_rows

import bytelm
from bytelm.alphabet import BOS
from bytelm.toolkit import Score, read_record
from eval.measure.solutions import _intervals, solutions_text
from eval.records import SolutionsResult
from eval.suites.problems import load_problems


def row(number: int, prompt: str, solution: str) -> dict[str, Any]:
    return {
        "task_id": f"t/{number}",
        "prompt": prompt,
        "canonical_solution": solution,
        "test": "",
        "entry_point": "f",
    }


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with a context of 256."""
    folder = tmp_path_factory.mktemp("model")
    save_model(folder, random_model(small_config()))
    return folder


def reference(folder: Path, prompt: bytes, solution: bytes) -> tuple[np.ndarray, np.ndarray]:
    """The sum of the cross-entropy of each head in bits, and its bytes: by hand, of one text."""
    module = bytelm.load(folder).module
    ids = [BOS, *prompt, *solution]
    with torch.no_grad():
        logits = module(torch.tensor([ids[:-1]]))[0].double()
    bits, count = np.zeros(8), np.zeros(8)
    for at in range(1 + len(prompt), len(ids)):
        for ahead in range(1, min(8, at) + 1):
            odds = logits[at - ahead, ahead - 1]
            nats = float(odds.logsumexp(0) - odds[ids[at]])
            bits[ahead - 1] += nats / math.log(2)
            count[ahead - 1] += 1
    return bits, count


def test_bits_of_a_suite_are_the_cross_entropy(
    model_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Those that fit the context of 256, of problems that `eval complete` would be given too.
    problems = [p for p in load_problems("micro") if len(p.prompt + p.canonical_solution) < 256]
    problems = problems[:6]
    path = write_rows(tmp_path / "some.jsonl", map(vars, problems))
    out = tmp_path / "bits.json"
    words = ["--problems", str(path), "--checkpoint", str(model_folder), "--out", str(out)]
    status, figures, err = eval_command(capsys, "bits", *words, "--batch", "4")
    assert status == 0
    pairs = [
        reference(model_folder, p.prompt.encode(), p.canonical_solution.encode()) for p in problems
    ]
    bits, count = (np.sum(parts, axis=0) for parts in zip(*pairs, strict=True))
    assert figures["heads_bpb"] == pytest.approx((bits / count).tolist(), rel=1e-5)
    assert (figures["problems"], figures["suite_problems"]) == (6, 6)
    assert (figures["left_out"], figures["shortened"], figures["prompt_form"]) == (0, 0, "raw")
    assert figures["bytes"] == sum(len(p.canonical_solution.encode()) for p in problems)
    assert "solutions" not in figures
    for value, (low, high) in zip(figures["heads_bpb"], figures["heads_interval"], strict=True):
        assert low < value < high
        assert f"{value:.3f} ({low:.3f} to {high:.3f})" in err

    written = read_record(out, SolutionsResult)
    assert written.command is not None
    assert written.problems_sha256 == figures["problems_sha256"]
    assert written.solutions is not None
    for found, problem, (own, symbols) in zip(written.solutions, problems, pairs, strict=True):
        assert found.task_id == problem.task_id
        assert found.bytes == len(problem.canonical_solution.encode())
        assert found.prompt_bytes == len(problem.prompt.encode())
        assert found.heads_bpb == pytest.approx((own / symbols).tolist(), rel=1e-5)


def test_what_does_not_fit_the_context(
    model_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        row(0, "p" * 10, "s" * 257),
        row(1, "def é():\n" * 40, "    return 1\n" * 3),
        row(2, "", "abc"),
        row(3, "x", "s" * 256),
    ]
    path = write_rows(tmp_path / "p.jsonl", rows)
    out = tmp_path / "bits.json"
    words = ["--problems", str(path), "--checkpoint", str(model_folder), "--out", str(out)]
    status, figures, err = eval_command(capsys, "bits", *words)
    assert status == 0
    assert (figures["problems"], figures["suite_problems"], figures["left_out"]) == (3, 4, 1)
    assert figures["shortened"] == 2
    assert "left out: 1 longer than" in err
    found = json.loads(out.read_text())["solutions"]
    assert [one["task_id"] for one in found] == ["t/1", "t/2", "t/3"]
    assert [one["prompt_bytes"] for one in found] == [256 - 39, 0, 0]
    prompt = ("def é():\n" * 40).encode()[39 - 256 :]
    bits, count = reference(model_folder, prompt, b"    return 1\n" * 3)
    assert found[0]["heads_bpb"] == pytest.approx((bits / count).tolist(), rel=1e-5)
    # No head looks further back than BOS.
    assert [value is None for value in found[1]["heads_bpb"]] == [False] * 3 + [True] * 5

    only = write_rows(tmp_path / "only.jsonl", [row(0, "p", "abc"), row(1, "", "ab")])
    words[1] = str(only)
    status, figures, err = eval_command(capsys, "bits", *words)
    assert status == 0
    assert figures["heads_bpb"][4:] == [None] * 4
    assert figures["heads_interval"][4:] == [None] * 4
    assert "head 5: no byte that it predicts" in err


def test_intervals_are_over_problems() -> None:
    # Two problems of unlike length: a resample has one of them twice, or both.
    score = Score(np.array([[10.0, 0.0], [10.0, 8.0]]), np.array([[10, 0], [90, 4]]))
    assert _intervals(score) == [(pytest.approx(10 / 90), 1.0), (2.0, 2.0)]


def test_the_text_of_the_figures() -> None:
    result = SolutionsResult(
        suite="micro",
        heads_bpb=[0.5, None],
        heads_interval=[(0.25, 0.75), None],
        problems=2,
        bytes=30,
        shortened=1,
    )
    assert solutions_text(result).splitlines() == [
        "micro: bits per byte of 2 solutions (30 bytes), given their prompts, with 95 % intervals",
        "head 1: 0.500 (0.250 to 0.750)",
        "head 2: no byte that it predicts",
        "prompts without their beginning, to fit the context: 1",
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--suite", "micro", "shards"], "--suite scores solutions of problems, not files: "),
        (["--problems", "{good}", "a", "b"], "--problems scores .* leave out --problems, or a, b"),
        (["--suite", "micro", "--problems", "{good}"], "give either --suite "),
        (["--suite", "nope"], "--suite: unknown suite 'nope': the suites are "),
        (["--problems", "{lacking}"], r"lacking\.jsonl:1: .* canonical_solution .* --problems "),
        (["--problems", "{empty}"], r"--problems .*empty\.jsonl: problem t/1 has no canonical_sol"),
        (["--problems", "{long}"], "--problems .*: no solution fits the model's context of 256"),
        ([], "nothing to score: give files or folders, or --suite NAME or --problems FILE"),
    ],
)
def test_what_cannot_be_scored_is_one_line(
    model_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    message: str,
) -> None:
    good = row(0, "p", "s")
    lacking = {key: value for key, value in good.items() if key != "canonical_solution"}
    files = {
        "good": [good],
        "lacking": [lacking],
        "empty": [good, row(1, "p", "")],
        "long": [row(0, "p", "s" * 300)],
    }
    paths = {name: write_rows(tmp_path / f"{name}.jsonl", rows) for name, rows in files.items()}
    out = tmp_path / "out.json"
    words = [word.format(**paths) for word in words]
    options = ["--checkpoint", str(model_folder), "--out", str(out)]
    status, _, err = eval_command(capsys, "bits", *words, *options)
    assert status == 2
    line = one_line(err)
    assert re.search(message, line), line
    assert not out.exists()
