"""The comparison with other programs: the same bytes, honest counts, clear refusals."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from support import eval_command, saved_llama

from bytelm.toolkit import DecodeOptions, InputError, generate, load_checkpoint
from eval.measure.difference import FirstDifference
from eval.measure.peers.command import Peers, peers_table
from eval.measure.peers.compare import Runs, peer_row
from eval.measure.peers.decoders import NAMES, PACKAGES, Answer, PeerName, open_peer

PROMPT = "import os\n\tétat ☃\x00".encode()


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved_llama(tmp_path_factory.mktemp("llama"))


@pytest.mark.parametrize("name", NAMES)
def test_every_peer_gives_the_same_bytes(checkpoint: Path, tmp_path: Path, name: PeerName) -> None:
    for package in PACKAGES.get(name, ()):
        pytest.importorskip(package)
    loaded = load_checkpoint(checkpoint)
    wanted = generate(loaded.model, [PROMPT], DecodeOptions(60, 1, 1))[0].text
    answer = open_peer(name, loaded, "float32", 1, 256, tmp_path).complete(PROMPT, 60)
    assert answer.text[: len(wanted)] == wanted
    assert (answer.prefill_s is not None) == (name == "llama.cpp")


def test_the_whole_comparison(checkpoint: Path, shards: Path, tmp_path: Path) -> None:
    for package in ("xllamacpp", "gguf", "transformers"):
        pytest.importorskip(package)
    out, threads = tmp_path / "peers.json", torch.get_num_threads()
    command = Peers(checkpoint, shards, out, prompts=2, prompt_bytes=64, max_bytes=24, rounds=2)
    figures = json.loads(json.dumps(command.run()))
    rows = {(row["engine"], row["dtype"]): row for row in figures["rows"]}
    assert set(rows) == {(name, dtype) for name in NAMES for dtype in ("float32", "bfloat16")}
    assert all(rows[name, "float32"]["identical"] for name, _ in rows)
    for row in rows.values():
        low, high = row["ratio_range"]
        assert low <= row["ratio_to_llamacpp"] <= high
        assert row["bytes"] <= 48
        assert row["identical"] == (row["first_difference"] is None)
    assert rows["llama.cpp", "bfloat16"]["ratio_range"] == [1, 1]
    assert rows["transformers", "float32"]["bytes"] == 48
    assert set(figures["peer_versions"]) == {"xllamacpp", "transformers"}
    assert json.loads(out.read_text())["rows"] == figures["rows"]
    assert "machine" in json.loads(out.read_text())
    assert torch.get_num_threads() == threads


def test_bytelm_needs_no_other_package(
    checkpoint: Path, shards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in ("xllamacpp", "gguf", "transformers"):
        monkeypatch.setitem(sys.modules, package, None)
    few: dict[str, Any] = {"prompts": 1, "prompt_bytes": 32, "max_bytes": 8, "rounds": 1}
    peers: tuple[PeerName, ...] = ("bytelm", "bytelm-plain")
    figures = Peers(checkpoint, shards, **few, dtypes=("float32",), peers=peers).run()
    assert [row["ratio_to_llamacpp"] for row in figures["rows"]] == [None, None]
    others: tuple[PeerName, ...] = ("llama.cpp", "transformers")
    for other in others:
        with pytest.raises(InputError, match=r"pip install '\.\[peers\]'"):
            Peers(checkpoint, shards, **few, peers=(other,)).run()


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"rounds": 0}, "rounds must be at least 1"),
        ({"threads": 0}, "threads must be at least 1"),
        ({"max_bytes": 0}, "max_bytes must be at least 1"),
        ({"dtypes": ()}, "at least one each"),
        ({"peers": ("vllm",)}, "peers must be one of .*, not 'vllm'"),
        ({"prompt_bytes": 200, "max_bytes": 56}, "257 positions.*has 256"),
    ],
)
def test_wrong_options(checkpoint: Path, shards: Path, options: dict[str, Any], word: str) -> None:
    with pytest.raises(InputError, match=word):
        Peers(checkpoint, shards, **{"peers": ("bytelm",), **options}).run()


def test_a_model_that_no_peer_takes(tmp_path: Path, shards: Path) -> None:
    pytest.importorskip("transformers")
    few: dict[str, Any] = {"prompts": 1, "prompt_bytes": 32, "max_bytes": 8, "rounds": 1}
    with pytest.raises(InputError, match="window"):
        Peers(saved_llama(tmp_path, window=48), shards, **few, peers=("transformers",)).run()


def test_a_row_by_hand() -> None:
    own, peer = Runs(), Runs()
    for seconds, other in ((1.0, 2.0), (2.0, 2.0), (4.0, 12.0)):
        own.add([Answer(b"12345678")], seconds)
        peer.add([Answer(b"1234", 0.5)], other)
    difference = FirstDifference(prompt=0, offset=7, gap=0.001, gap_ulps=1.5)
    row = peer_row("bytelm", "float32", 3, own, peer, difference)
    assert (row.bytes, row.seconds, row.bytes_per_s) == (8, 2.0, 4.0)
    assert (row.ratio_to_llamacpp, row.ratio_range) == (4.0, (2.0, 6.0))
    assert row.prefill_s is None
    assert peer_row("llama.cpp", "float32", 3, peer, peer, None).prefill_s == 0.5
    text = peers_table([row])
    assert "4.00 (2.00 to 6.00)" in text
    assert "to byte 7 of prompt 0" in text


def test_the_old_name_of_an_option(
    checkpoint: Path, shards: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = ["peers", "--checkpoint", str(checkpoint), "--data", str(shards), "--prompts", "1"]
    base += ["--prompt-bytes", "32", "--max-bytes", "8", "--rounds", "1", "--dtypes", "float32"]
    status, figures, err = eval_command(capsys, *base, "--engines", "bytelm")
    assert (status, [row["engine"] for row in figures["rows"]]) == (0, ["bytelm"]), err
