"""Experiments end to end at toy size: fair, resumable, and honest about what came out."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support import ROOT, random_model, small_config, wait_until

from bytelm.toolkit import InputError, Split, load_checkpoint
from bytelm.training.batches.packing import Packing
from eval.study.arithmetic import Arithmetic, best_constant, domains, solve
from eval.study.experiment import FURTHEST, GRAIN
from eval.study.induction import Induction, recall
from eval.study.markdown import findings
from eval.study.polynomials import Problem
from eval.study.stories import Mention, Story, held_out_stories
from eval.study.summary import summarize, verdict

TOY: dict[str, Any] = {
    "widths": (32,), "layers": 1, "heads": (1, 2), "seeds": 1, "bytes": 6000, "points": 2,
    "block": 64, "batch": 8, "dtype": "float32", "compile": False,
}  # fmt: skip
WORDS = [
    "--widths", "32", "--layers", "1", "--heads", "1", "2", "--seeds", "1", "--points", "2",
    "--block", "64", "--batch", "8", "--dtype", "float32", "--no-compile", "--jobs", "1",
]  # fmt: skip


@pytest.mark.slow
def test_induction_end_to_end(tmp_path: Path) -> None:
    out, published = tmp_path / "induction", tmp_path / "results"
    first = Induction(out, **TOY, names=(20,), stories=5, publish=published)
    figures = first.run()
    assert figures["models"] == 2
    results = json.loads((out / "induction.json").read_bytes())
    assert results == json.loads((published / "induction.json").read_bytes())
    assert {"machine", "versions", "command"} <= set(results)
    for row in results["rows"]:
        assert [point["bytes"] for point in row["points"]] == [3072, 6144]
        assert row["points"][-1]["second_part"] == row["second_part"]
        # What was measured is what the checkpoint that is kept does.
        run = out / "runs" / f"{row['data']}-w32-n{row['n']}-s0"
        checkpoint = load_checkpoint(run)
        assert checkpoint.sha256 == row["checkpoint_sha256"]
        assert checkpoint.config.prediction_heads == row["n"]
        assert (checkpoint.config.window, checkpoint.config.ngram_orders) == (0, ())
        assert (
            recall(checkpoint.model, held_out_stories(0, 5)[0]).second_part == (row["second_part"])
        )
        assert len(list((run / "checkpoints").iterdir())) == 1
    for folder, page in ((out, "report"), (published, "induction")):
        text = (folder / f"{page}.md").read_text()
        assert "](induction.png)" in text
        assert (folder / "induction.png").stat().st_size > 5000
        assert "8,448 a head at width 32" in text
    trained = {path: path.stat().st_mtime_ns for path in out.rglob("*.safetensors")}
    assert Induction(out, **TOY, names=(20,), stories=5).run()["summary"] == figures["summary"]
    assert trained, "what was trained is trained once"
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.safetensors")} == trained
    with pytest.raises(InputError, match="was begun with bytes = 6000, not 7000"):
        Induction(out, **{**TOY, "bytes": 7000}, names=(20,), stories=5).run()


@pytest.mark.slow
def test_arithmetic_end_to_end(tmp_path: Path) -> None:
    small: dict[str, Any] = {"operations": 2, "operations_tested": 3, "problems": 12}
    figures = Arithmetic(tmp_path / "a", **{**TOY, "heads": (1,)}, **small).run()
    results = json.loads((tmp_path / "a" / "arithmetic.json").read_bytes())
    assert figures["models"] == len(results["rows"]) == 1
    assert set(results["rows"][0]["by_operations"]) == {"1", "2", "3"}
    assert "nothing to compare" in (tmp_path / "a" / "report.md").read_text()
    assert (tmp_path / "a" / "arithmetic.png").stat().st_size > 5000
    # More heads are added to what is there.
    more = Arithmetic(tmp_path / "a", **{**TOY, "heads": (1, 2)}, **small).run()
    assert more["models"] == 2
    assert more["summary"][0] == figures["summary"][0]


@pytest.mark.medium
@pytest.mark.parametrize("block", [64, 192, 256])
def test_every_n_reads_the_same_bytes_in_the_same_order(tmp_path: Path, block: int) -> None:
    values = {**TOY, "block": block, "batch": 4, "bytes": 9000, "points": 1}
    for command in (Induction(tmp_path / "i", **values), Arithmetic(tmp_path / "a", **values)):
        split = command._data(command.datasets()[0])
        assert (split.bytes + 2 * len(split)) % GRAIN >= FURTHEST
        wanted = [Packing(split, block, 4, 1, 0).batch_at(step) for step in range(command.steps)]
        # One epoch: nothing is read twice.
        assert command.steps * 4 <= Packing(split, block, 4, FURTHEST, 0).blocks_of(0)
        for n in (2, 8, FURTHEST):
            packing = Packing(split, block, 4, n, 0)
            for step, batch in enumerate(wanted):
                other = packing.batch_at(step)
                assert torch.equal(other.ids_BT, batch.ids_BT)
                assert torch.equal(other.labels_nBT[0], batch.labels_nBT[0])


def test_no_test_problem_is_in_the_training_data(tmp_path: Path) -> None:
    command = Arithmetic(tmp_path, **{**TOY, "bytes": 60_000})
    train = {document.tobytes() for document in command._data(command.datasets()[0])}
    held_out = {document.tobytes() for document in Split(tmp_path / "data" / "f2x2", "held_out")}
    assert len(held_out) == len(command.held_out()) > 200
    assert not train & held_out
    prompts = {text.partition(b"=")[0] for text in train}
    assert not prompts & {text.partition(b"=")[0] for text in held_out}


def test_a_folder_of_data_that_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    """`--out .` in a project with a folder `data`, say."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mine.csv").write_text("measured for a year")
    command = Arithmetic(tmp_path, **TOY)
    command._remember()
    assert (tmp_path / "data" / "mine.csv").read_text() == "measured for a year"


@pytest.mark.medium
def test_data_of_other_options_is_made_anew(tmp_path: Path) -> None:
    def documents(seed: int) -> list[bytes]:
        command = Arithmetic(tmp_path, **TOY, seed=seed)
        command._remember()
        return [document.tobytes() for document in command._data(command.datasets()[0])]

    first, folder = documents(1), tmp_path / "data" / Arithmetic(tmp_path).datasets()[0]
    stamp = (folder / "manifest.json").stat().st_mtime_ns
    assert documents(1) == first
    assert (folder / "manifest.json").stat().st_mtime_ns == stamp
    assert documents(2) != first
    assert documents(1) == first


def test_the_same_seed_makes_the_same_data(tmp_path: Path) -> None:
    for kind in (Induction, Arithmetic):
        texts = [
            list(
                islice(kind(tmp_path, **TOY, seed=seed).documents(kind(tmp_path).datasets()[0]), 9)
            )
            for seed in (1, 1, 2)
        ]
        assert texts[0] == texts[1] != texts[2]


class Copier:
    """Stands in for a model whose head 1 says the byte that stood `back` places before."""

    def __init__(self, back: int) -> None:
        self.back = back

    def __call__(self, ids_BT: torch.Tensor) -> torch.Tensor:
        return ids_BT

    def logits(self, ids_BT: torch.Tensor) -> torch.Tensor:
        said = ids_BT.roll(self.back - 1, 1)
        return torch.nn.functional.one_hot(said, 264).float()


def test_recall_counts_the_bytes_of_names() -> None:
    # The name comes again six bytes later, then with another second part after six more.
    story = Story(b"Mibo. Mibo. Mibu.", (Mention(0, 0), Mention(6, 1), Mention(12, 2)))
    six_back: Any = Copier(6)
    five_back: Any = Copier(5)
    found = recall(six_back, [story] * 3)
    assert found.second_part == 0.75
    assert found.second_part_whole == 0.5
    assert found.first_part == 1.0
    assert found.first_mention == 0.0
    assert recall(five_back, [story]).second_part == 0.0


def test_recall_does_not_depend_on_what_is_beside(tmp_path: Path) -> None:
    model = random_model(small_config(context=512))
    stories, _ = held_out_stories(0, 7)
    together = recall(model, stories)
    alone = [recall(model, [story]) for story in stories]
    weights = [sum(m.before > 0 for m in story.mentions) for story in stories]
    mean = np.average([one.second_part for one in alone], weights=weights)
    assert together.second_part == pytest.approx(mean, abs=0.02)


def test_solving_wants_the_whole_answer_and_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    said = {b"a=": b"10", b"b=": b"100", b"c=": b"1", b"d=": b"01"}

    class Said:
        def __init__(self, text: bytes) -> None:
            self.text = text

    def answers(_: Any, prompts: list[bytes], options: Any) -> list[Said]:
        assert (options.max_bytes, options.heads) == (3, 1)
        return [Said(said[prompt]) for prompt in prompts]

    monkeypatch.setattr("eval.study.arithmetic.generate", answers)
    problems = {1: [Problem(b"a=", b"10")], 2: [Problem(x, b"10") for x in (b"b=", b"c=", b"a=")]}
    nobody: Any = None
    assert solve(nobody, problems) == {1: 1.0, 2: 1 / 3}
    assert best_constant([Problem(b"x", a) for a in (b"1", b"1", b"2", b"3")]) == 0.5
    assert domains({1: 1.0, 2: 0.5, 3: 0.2, 4: 0.0}, 2) == {"in_domain": 0.75, "out_of_domain": 0.1}


def row(n: int, seed: int, value: float, width: int = 32) -> dict[str, Any]:
    return {
        "data": "d", "width": width, "n": n, "seed": seed, "x": value, "parameters": {"total": n}
    }  # fmt: skip


def test_figures_pair_models_by_seed() -> None:
    rows = [row(1, 0, 0.2), row(2, 0, 0.5), row(2, 1, 0.5), row(1, 1, 0.6), row(2, 0, 0.1, 64)]
    one, two, other = summarize(rows, ["x"])
    assert (one["x"]["mean"], one["x"]["low"], one["x"]["high"]) == pytest.approx((0.4, 0.2, 0.6))
    assert "gain" not in one["x"]
    assert two["x"]["gain"] == pytest.approx(
        {"mean": 0.1, "low": -0.1, "high": 0.3, "higher_in": 1}
    )
    assert "gain" not in other["x"]
    assert verdict([one, two], "x") == "n = 2: +10.0 points, higher with 1 of 2 seeds"
    lines = findings({"summary": [one, two, other]}, "x")
    assert lines[0].startswith("- d, width 32: n = 1 has 40.0 %; n = 2: +10.0 points")
    assert lines[1].endswith("nothing to compare")


@pytest.mark.parametrize(
    ("kind", "options", "word"),
    [
        (Induction, {"seeds": 0}, "^seeds must be at least 1, not 0"),
        (Induction, {"heads": ()}, "need at least one value each"),
        (Induction, {"heads": (0,)}, "^heads must be 1 to 32, not 0"),
        (Induction, {"heads": (2, 2)}, "--heads names one twice"),
        (Induction, {"widths": (48,)}, "multiples of 32"),
        (Induction, {"block": 100}, "multiple of 64"),
        (Induction, {"points": 20}, "too few for 20 points"),
        (
            Induction,
            {"train": replace(Induction().train, seed=3)},
            "--train.seed is set by --seed and --seeds",
        ),
        (Induction, {"jobs": -1}, "^jobs must be at least 0, not -1"),
        (Induction, {"names": (1,)}, "a story needs two names"),
        (Induction, {"names": ()}, "nothing to train on"),
        (Induction, {"stories": 0}, "^stories must be at least 1, not 0"),
        (Arithmetic, {"modulus": 4}, "--modulus must be one of"),
        (Arithmetic, {"problems": 0}, "^problems must be at least 1, not 0"),
        (Arithmetic, {"operations_tested": 5}, "more than --operations"),
        (Induction, {"preset": "nowhere", "heads": (1,)}, "there is no preset 'nowhere'"),
    ],
)
def test_wrong_options(tmp_path: Path, kind: Any, options: dict[str, Any], word: str) -> None:
    out = tmp_path / "out"
    with pytest.raises(InputError, match=word):
        kind(out, **{**TOY, **options}).run()
    assert not list(out.glob("runs/*/config.json"))


@pytest.mark.slow
def test_a_failed_start_does_not_spoil_the_folder(tmp_path: Path) -> None:
    few = {**TOY, "heads": (1,)}
    short = replace(Induction().model, context=32)
    with pytest.raises(InputError, match=r"--train\.block 64 exceeds the context"):
        Induction(tmp_path, **few, stories=2, model=short).run()
    assert Induction(tmp_path, **few, stories=2).run()["models"] == 1


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_keeps_the_work(tmp_path: Path, number: signal.Signals) -> None:
    words = ["induction", "--out", str(tmp_path), *WORDS, "--stories", "2", "--bytes", "3000000"]
    process = subprocess.Popen(
        [sys.executable, "-m", "eval", *words], cwd=ROOT, stderr=subprocess.PIPE,
        stdout=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    run = tmp_path / "runs" / "names0-w32-n1-s0"
    wait_until((run / "metrics.jsonl").exists)
    time.sleep(0.5)
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # as a terminal does
    else:
        process.send_signal(number)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 128 + number, said
    assert "Traceback" not in said
    # The training ended in good order: its work is in a whole checkpoint.
    load_checkpoint(run)
    assert not list(tmp_path.glob("runs/*/row.json"))
