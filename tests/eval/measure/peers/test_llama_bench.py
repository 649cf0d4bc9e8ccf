"""A native build of llama.cpp as a peer: what it is asked, what it says, and clear refusals."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from fake_llama_bench import DEPTH, USAGE, calls, fake_llama_bench
from support import eval_command, one_line, saved_llama

from bytelm.toolkit import InputError
from eval.measure.peers import decoders
from eval.measure.peers.command import Peers
from eval.measure.peers.decoders import NATIVE
from eval.measure.peers.llama_bench import (
    LlamaBench,
    check_llama_bench,
    find_program,
    open_llama_bench,
)

FEW: dict[str, Any] = {"prompts": 2, "prompt_bytes": 32, "max_bytes": 9, "rounds": 3}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF")
    return path


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved_llama(tmp_path_factory.mktemp("llama"))


@pytest.fixture
def without_gguf(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the package gguf were there: the fake program does not read its file."""

    class Written:
        def __init__(self, checkpoint: Path, format: str, out: Path, dtype: str) -> None:
            self.out = out

        def run(self) -> None:
            self.out.write_bytes(b"GGUF")

    monkeypatch.setattr(decoders, "Export", Written)
    monkeypatch.setitem(decoders.PACKAGES, NATIVE, ())


def test_what_it_is_asked_and_what_its_seconds_mean(tmp_path: Path, model: Path) -> None:
    program = fake_llama_bench(tmp_path, read_s=0.5, step_s=0.01)
    found = LlamaBench(program, model, threads=2).round(prompts=3, prompt_bytes=1024, max_bytes=11)
    # Three prompts; the first byte of each comes of its prompt's forward.
    assert found.prefill_s == pytest.approx(1.5)
    assert found.decoding_s == pytest.approx(3 * 10 * 0.01)
    reading, decoding = calls(program)
    for call in (reading, decoding):
        assert (call["-m"], call["-t"], call["-fa"]) == (str(model), "2", "0")
        assert (call["-r"], call["-o"]) == ("3", "json")
    assert (reading["-p"], reading["-n"], "-d" in reading) == ("1025", "0", False)
    assert (decoding["-p"], decoding["-n"], decoding["-d"]) == ("0", "10", "1025")
    assert found.version.startswith("build 4711 (abc1234), CPU, sha256 ")


def test_one_byte_is_no_step(tmp_path: Path, model: Path) -> None:
    program = fake_llama_bench(tmp_path)
    assert LlamaBench(program, model, 1).round(1, 8, 1).decoding_s == 0
    assert len(calls(program)) == 1


def test_the_version_says_what_the_program_says_of_its_build(tmp_path: Path, model: Path) -> None:
    program = fake_llama_bench(
        tmp_path, usage=USAGE + DEPTH + "  --version\n",
        more="print('warning: debug build, performance may be affected', file=sys.stderr)",
    )  # fmt: skip
    version = LlamaBench(program, model, 1).round(1, 8, 2).version
    assert "built with GNU 12.2.0 for Linux x86_64" in version
    assert "warning: debug build" in version


@pytest.mark.medium
def test_a_row_beside_the_others(
    checkpoint: Path, shards: Path, tmp_path: Path, without_gguf: None
) -> None:
    """4 prompts of 32 bytes and 8 steps, by hand: 64 B / 1 s, 16 B / 0.16 s, 18 B / 1.16 s."""
    program, out = fake_llama_bench(tmp_path, read_s=0.5, step_s=0.01), tmp_path / "peers.json"
    Peers(
        checkpoint, shards, out, **FEW, dtypes=("float32",), peers=("bytelm", "bytelm-plain"),
        llama_bench=program,
    ).run()  # fmt: skip
    sealed = json.loads(out.read_text())
    rows = {row["engine"]: row for row in sealed["rows"]}
    native = rows.pop(NATIVE)
    assert native["reading_bytes_per_s"] == pytest.approx(64)
    assert native["decoding_bytes_per_s"] == pytest.approx(100)
    assert native["bytes_per_s"] == pytest.approx(18 / 1.16)
    assert (native["prefill_s"], native["bytes"], native["prompts"]) == (pytest.approx(1), 18, 2)
    assert (native["identical"], native["first_difference"]) == (None, None)
    assert native["ratios"][NATIVE]["whole_range"] == [1, 1]
    assert set(rows) == {"bytelm", "bytelm-plain"}
    for row in rows.values():
        ratios = row["ratios"][NATIVE]
        assert ratios["whole"] == pytest.approx(row["bytes_per_s"] / (18 / 1.16))
        assert ratios["reading"] == pytest.approx(row["reading_bytes_per_s"] / 64)
        assert row["prefill_s"] > 0
        assert row["ratio_to_llamacpp"] is None
    assert sealed["peer_versions"][NATIVE].startswith("build 4711 (abc1234), CPU")
    # A short one to see that it works, then the rounds; each reads and decodes.
    assert [call["-r"] for call in calls(program)] == ["1"] * 2 + ["2"] * 2 * 3


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        ("nothing", "is not there"),
        ("folder", "is a folder: name the program in it"),
        ("data", "is no program"),
        ("not for here", "cannot be run"),
        ("fails", "failed with status 3: it is broken"),
        ("dies", "failed with SIGILL .was it built for another processor"),
        ("another", "is no llama-bench"),
        ("old", "is too old: it cannot decode at a depth"),
    ],
)
def test_what_is_no_such_program(
    kind: str, word: str, tmp_path: Path, checkpoint: Path, shards: Path, without_gguf: None,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    program = tmp_path / "program"
    if kind == "folder":
        program.mkdir()
    elif kind == "old":
        program = fake_llama_bench(tmp_path, usage=USAGE)
    elif kind != "nothing":
        program.write_bytes({
            "data": b"words", "not for here": b"\x7fELF of another machine",
            "fails": b"#!/bin/sh\necho working\necho it is broken >&2\nexit 3\n",
            "dies": b"#!/bin/sh\nkill -ILL $$\n", "another": b"#!/bin/sh\necho usage: ls\n",
        }[kind])  # fmt: skip
        program.chmod(0o644 if kind == "data" else 0o755)
    status, figures, err = eval_command(
        capsys, "peers", "--checkpoint", str(checkpoint), "--data", str(shards),
        "--llama-bench", str(program),
    )  # fmt: skip
    assert (status, figures) == (2, {})
    line = one_line(err)
    assert line.startswith(f"error: --llama-bench {program}")
    with pytest.raises(InputError, match=word):
        check_llama_bench(program)


@pytest.mark.parametrize(
    ("more", "changes", "word"),
    [
        ("print('| model | t/s |'); sys.exit()", {}, "printed no JSON.*is it llama-bench"),
        ("sys.exit()", {}, "printed no JSON"),
        ("print('{}'); sys.exit()", {}, "other JSON than a list of one test"),
        ("print('[]'); sys.exit()", {}, "other JSON than a list of one test"),
        ("print('[1]'); sys.exit()", {}, "a JSON object is needed"),
        ("print('[{}]'); sys.exit()", {}, "'n_prompt' is missing"),
        ("", {"samples_ns": []}, "1 repetitions and says 0"),
        ("", {"samples_ns": [0]}, "samples_ns"),
        ("", {"samples_ns": ["1"]}, "samples_ns"),
        ("", {"n_depth": 0}, "was asked for n_depth 9 and says 0"),
        ("", {"n_threads": 64}, "was asked for n_threads 1 and says 64"),
        ("print('ggml: out of memory', file=sys.stderr); sys.exit(1)", {}, "ggml: out of memory"),
    ],
)
def test_an_answer_that_is_none(
    tmp_path: Path, model: Path, more: str, changes: dict[str, Any], word: str
) -> None:
    program = fake_llama_bench(tmp_path, more=more, changes=changes)
    with pytest.raises(InputError, match=word) as caught:
        LlamaBench(program, model, 1).round(1, 8, 4)
    assert "\n" not in str(caught.value)


def test_a_program_that_only_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from eval.measure.peers import llama_bench

    monkeypatch.setattr(llama_bench, "PATIENCE_S", 0.2)
    program = tmp_path / "waits"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o755)
    with pytest.raises(InputError, match="has not explained its options"):
        check_llama_bench(program)


def test_a_name_is_looked_up_as_a_shell_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = fake_llama_bench(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert find_program(Path("llama-bench")) == program
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "/nowhere")
    assert find_program(Path("./llama-bench")) == program


@pytest.mark.peers("gguf")
def test_the_weights_are_exported_once(checkpoint: Path, tmp_path: Path) -> None:
    from bytelm.toolkit import load_checkpoint

    loaded = load_checkpoint(checkpoint)
    first = open_llama_bench(tmp_path / "x", loaded, "float32", 1, tmp_path)
    assert first.model.read_bytes()[:4] == b"GGUF"
    written = first.model.stat().st_mtime_ns
    second = open_llama_bench(tmp_path / "x", loaded, "float32", 1, tmp_path)
    assert second.model.stat().st_mtime_ns == written
