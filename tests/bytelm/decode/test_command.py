"""The generate command: bytes on stdout, rows in files, wrong input in one line."""

import base64
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support import ROOT, bytelm_command, one_line, python, read_rows, write_rows

from bytelm.base.errors import InputError
from bytelm.checkpoint import load_checkpoint
from bytelm.decode.command import unescape
from bytelm.decode.generate import generate, generate_rows
from bytelm.decode.options import DecodeOptions
from bytelm.decode.row import Completion

PROMPT = b"def add(a, b):\n"


@pytest.mark.medium
def test_a_prompt_files_completion_goes_to_stdout_as_bytes(
    run_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "prompt").write_bytes(PROMPT + b"\xff\x00")
    arguments = ("--prompt-file", str(tmp_path / "prompt"), "--max-bytes", "90")
    done = python(
        "-m", "bytelm", "generate", "--checkpoint", str(run_folder), *arguments, text=False
    )
    assert done.returncode == 0
    model = load_checkpoint(run_folder).model
    [expected] = generate(model, [PROMPT + b"\xff\x00"], DecodeOptions(90, 8, 1))
    assert done.stdout == expected.text
    assert b"bytes a forward" in done.stderr


def test_rows_for_prompts_in_order(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prompts = [b"import ", b"", b"\xff\xfe\x00", "naïve = 1".encode(), PROMPT]
    rows: list[dict[str, object]] = [
        {"id": index, "prompt_base64": base64.b64encode(prompt).decode()}
        for index, prompt in enumerate(prompts)
    ]
    rows[3] = {"id": "text", "prompt": prompts[3].decode()}
    path, out = tmp_path / "p.jsonl", tmp_path / "o.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)) + "\n\n")
    arguments = ["--checkpoint", str(run_folder), "--prompts", str(path), "--out", str(out)]
    assert (
        bytelm_command(
            "generate", *arguments, "--max-bytes", "40", "--stop", r"\n\n", "--stop", "self"
        )
        == 0
    )
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    found = read_rows(out)
    options = DecodeOptions(40, 1, 1, (b"\n\n", b"self"))
    expected = generate(load_checkpoint(run_folder).model, prompts, options)
    assert [row["id"] for row in found] == [0, 1, 2, "text", 4]
    for row, completion in zip(found, expected, strict=True):
        assert set(row) == {
            "id", "completion", "completion_base64", "finish_reason", "bytes", "forwards",
        }  # fmt: skip
        assert base64.b64decode(row["completion_base64"]) == completion.text
        assert row["completion"] == completion.text.decode("utf-8", "replace")
        assert row["finish_reason"] == completion.finish_reason
        assert row["bytes"] == len(completion.text)
        assert 0 < row["forwards"] <= completion.forwards
    assert figures["prompts"] == 5
    assert figures["bytes"] == sum(row["bytes"] for row in found)


def test_the_prompt_may_stand_before_its_completion(run_folder: Path, tmp_path: Path) -> None:
    path, out = tmp_path / "p.jsonl", tmp_path / "o.jsonl"
    path.write_text(json.dumps({"id": 1, "prompt": "naïve = "}) + "\n")
    arguments = ["--checkpoint", str(run_folder), "--prompts", str(path), "--out", str(out)]
    assert bytelm_command("generate", *arguments, "--max-bytes", "20", "--with-prompt") == 0
    row = json.loads(out.read_text())
    assert row["text"] == "naïve = " + row["completion"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"id": 1, "prompt": "a"}\n{"id": 2, "pro', "p.jsonl:2: not JSON"),
        ("[1]", "p.jsonl:1: a JSON object is needed"),
        ('{"prompt": "a"}', 'with "id"'),
        ('{"id": 1}', 'either "prompt" or "prompt_base64"'),
        ('{"id": 1, "prompt": 5}', "text is needed under prompt"),
        ('{"id": 1, "prompt_base64": "!"}', "cannot be read"),
        ('{"id": 1, "prompt": "\\ud800"}', "half of a surrogate pair"),
        ("\n\n", "holds no prompts"),
    ],
)
def test_broken_prompts(
    run_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    content: str,
    words: str,
) -> None:
    path, out = tmp_path / "p.jsonl", tmp_path / "o.jsonl"
    path.write_text(content)
    arguments = ["--checkpoint", str(run_folder), "--prompts", str(path), "--out", str(out)]
    assert bytelm_command("generate", *arguments) == 2
    said = capsys.readouterr()
    assert words in one_line(said.err)
    assert said.out == ""
    assert not out.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--heads", "9"], "--heads must be 1 to 8"),
        (["--max-bytes", "0"], "--max-bytes must be at least 1"),
        (["--stop", ""], "empty stop"),
        (["--stop", "\\x"], "--stop"),
        (["--prompts", "x"], "either --prompt-file or --prompts"),
        (["--out", "x"], "--out goes with --prompts"),
        (["--checkpoint", "nowhere"], "does not exist"),
        (["--checkpoint", str(ROOT / "bytelm")], "is not a checkpoint"),
        (["--prompt-file", "nowhere"], "No such file"),
    ],
)
def test_wrong_arguments(
    run_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    words: str,
) -> None:
    (tmp_path / "prompt").write_bytes(PROMPT)
    base = ["--checkpoint", str(run_folder), "--prompt-file", str(tmp_path / "prompt")]
    assert bytelm_command("generate", *base, *arguments) == 2
    assert words in one_line(capsys.readouterr().err)


def test_a_prompt_longer_than_the_context_is_named(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "prompt").write_bytes(b"x" * 3000)
    base = ["--checkpoint", str(run_folder), "--prompt-file", str(tmp_path / "prompt")]
    assert bytelm_command("generate", *base) == 2
    assert "3000 bytes" in capsys.readouterr().err


def test_a_cut_checkpoint_is_one_line(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "run"
    shutil.copytree(run_folder, copy)
    [weights] = copy.glob("checkpoints/*/model.safetensors")
    weights.write_bytes(weights.read_bytes()[:5000])
    (tmp_path / "prompt").write_bytes(PROMPT)
    for where in (copy, weights.parent):
        base = ["--checkpoint", str(where), "--prompt-file", str(tmp_path / "prompt")]
        assert bytelm_command("generate", *base) == 2
        assert "model.safetensors is damaged: 5000 bytes" in capsys.readouterr().err


def test_escapes() -> None:
    assert unescape(r"\ndef") == b"\ndef"
    assert unescape(r"a\\n\x00é") == b"a\\n\x00" + "é".encode()
    with pytest.raises(InputError, match="backslash"):
        unescape("\\")


def test_the_prompt_cannot_stand_before_streamed_bytes(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "p").write_bytes(b"x")
    arguments = ["--checkpoint", str(run_folder), "--prompt-file", str(tmp_path / "p")]
    assert bytelm_command("generate", *arguments, "--with-prompt") == 2
    assert "--samples and --with-prompt go with --prompts" in capsys.readouterr().err


def test_a_stopped_command_goes_on_and_its_rows_are_those_of_one_that_was_not(
    run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    path = write_rows(tmp_path / "p.jsonl", [{"id": n, "prompt": "x" * n} for n in range(6)])
    arguments = ["generate", "--checkpoint", str(run_folder), "--prompts", str(path)]
    arguments += ["--max-bytes", "20", "--batch", "2", "--samples", "2", "--temperature", "1"]
    # A gate by the measured cost of a step would change the number of forwards.
    arguments += ["--gate", "0"]
    whole, out = tmp_path / "whole.jsonl", tmp_path / "out.jsonl"
    assert bytelm_command(*arguments, "--out", str(whole)) == 0
    made: list[int] = []

    def stopped(
        model: Any, prompts: Any, options: Any, only: list[int]
    ) -> Iterator[tuple[int, Completion]]:
        for index, completion in generate_rows(model, prompts, options, only=only):
            if len(made) in (5, 9):
                made.append(-1)
                raise KeyboardInterrupt
            made.append(index)
            yield index, completion

    monkeypatch.setattr("bytelm.decode.progress.generate_rows", stopped)
    for rows in (5, 8):
        assert bytelm_command(*arguments, "--out", str(out)) == 130
        assert f"{rows} finished rows are in {out}.partial" in capsys.readouterr().err
        assert not out.exists()
    assert bytelm_command(*arguments, "--out", str(out)) == 0
    assert out.read_bytes() == whole.read_bytes()
    assert sorted(index for index in made if index >= 0) == list(range(12))
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "out.jsonl", "p.jsonl", "whole.jsonl",
    ]  # fmt: skip


def test_rows_on_stdout_are_printed_at_a_stop(
    run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:  # fmt: skip
    path = write_rows(tmp_path / "p.jsonl", [{"id": n, "prompt": "x"} for n in "abc"])

    def stopped(
        model: Any, prompts: Any, options: Any, only: list[int]
    ) -> Iterator[tuple[int, Completion]]:
        yield next(iter(generate_rows(model, prompts, options, only=only)))
        raise KeyboardInterrupt

    monkeypatch.setattr("bytelm.decode.progress.generate_rows", stopped)
    arguments = ["--checkpoint", str(run_folder), "--prompts", str(path), "--max-bytes", "9"]
    assert bytelm_command("generate", *arguments) == 130
    [row] = capsysbinary.readouterr().out.splitlines()
    assert json.loads(row)["id"] in "abc"


@pytest.mark.parametrize("heads", ["1", "4"])
def test_figures_count_what_was_accepted(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], heads: str
) -> None:
    path, out = tmp_path / "p.jsonl", tmp_path / "o.jsonl"
    path.write_text(json.dumps({"id": 1, "prompt": "import os\n"}) + "\n")
    arguments = ["--checkpoint", str(run_folder), "--prompts", str(path), "--heads", heads]
    # Two bytes that the model writes, so that bytes are cut off.
    model, prompt = load_checkpoint(run_folder).model, b"import os\n"
    stop = generate(model, [prompt], DecodeOptions(60, 1))[0].text[20:22]
    stops = ["--stop", "".join(f"\\x{byte:02x}" for byte in stop)]
    assert bytelm_command("generate", *arguments, "--out", str(out), *stops) == 0
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    options = DecodeOptions(heads=1, stops=(stop,))
    [one] = generate(model, [prompt], options)
    assert figures["bytes"] == len(one.text) < one.forwards
    assert figures["bytes_per_forward"] == figures["accepted_bytes"] / figures["forwards"]
    if heads == "1":
        assert (figures["bytes_per_forward"], figures["forwards"]) == (1.0, one.forwards)
    else:
        assert figures["bytes_per_forward"] >= 1.0
    assert bytelm_command("generate", "--checkpoint", str(run_folder), "--prompt-file",
                          str(path), "--heads", "1", *stops) == 0  # fmt: skip
    assert "(1.00 bytes a forward)" in capsys.readouterr().err
