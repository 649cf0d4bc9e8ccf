"""The comparison with other engines: the same bytes, honest counts, clear refusals."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from support import random_model, small_config

from bytelm.checkpoint import save_checkpoint
from bytelm.config import ModelConfig
from bytelm.toolkit import DecodeOptions, InputError, generate
from eval.measure.engines import Answer, load_model, open_engine
from eval.measure.peers import Peers, Runs, first_difference, table

PROMPT = "import os\n\tétat ☃\x00".encode()


def saved(folder: Path, **changes: object) -> Path:
    plain: dict[str, object] = {"ngram_orders": (), "ngram_rows": 0, "window": 0}
    config: ModelConfig = small_config(**{**plain, **changes})
    save_checkpoint(folder, 1, config, random_model(config, 3).state_dict(), {}, {})
    return folder


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("llama"))


@pytest.mark.parametrize("name", ["bytelm", "bytelm-plain", "llama.cpp", "transformers"])
def test_every_engine_gives_the_same_bytes(checkpoint: Path, tmp_path: Path, name: str) -> None:
    packages = {"llama.cpp": ("xllamacpp", "gguf"), "transformers": ("transformers",)}
    for package in packages.get(name, ()):
        pytest.importorskip(package)
    loaded = load_model(checkpoint, "float32")
    wanted = generate(loaded.model, [PROMPT], DecodeOptions(60, 1, 1))[0].text
    answer = open_engine(name, loaded, "float32", 1, 256, tmp_path).complete(PROMPT, 60)
    assert answer.text[: len(wanted)] == wanted
    assert (answer.prefill_s is not None) == (name == "llama.cpp")


def test_the_whole_comparison(checkpoint: Path, shards: Path, tmp_path: Path) -> None:
    for package in ("xllamacpp", "gguf", "transformers"):
        pytest.importorskip(package)
    out, threads = tmp_path / "peers.json", torch.get_num_threads()
    figures = Peers(
        checkpoint, shards, out, prompts=2, prompt_bytes=64, max_bytes=24, rounds=2
    ).run()
    rows = {(row["engine"], row["dtype"]): row for row in figures["rows"]}
    assert len(rows) == 8
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
    engines = ("bytelm", "bytelm-plain")
    figures = Peers(checkpoint, shards, **few, dtypes=("float32",), engines=engines).run()
    assert [row["ratio_to_llamacpp"] for row in figures["rows"]] == [None, None]
    for engine in ("llama.cpp", "transformers"):
        with pytest.raises(InputError, match=r"pip install '\.\[peers\]'"):
            Peers(checkpoint, shards, **few, engines=(engine,)).run()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"rounds": 0}, "--rounds must be at least 1"),
        ({"threads": 0}, "--threads must be at least 1"),
        ({"max_bytes": 0}, "--max-bytes must be at least 1"),
        ({"dtypes": ()}, "at least one each"),
        ({"engines": ("vllm",)}, "no engine 'vllm'"),
        ({"prompt_bytes": 200, "max_bytes": 56}, "257 positions.*has 256"),
    ],
)
def test_wrong_options(checkpoint: Path, shards: Path, options: dict[str, Any], word: str) -> None:
    with pytest.raises(InputError, match=word):
        Peers(checkpoint, shards, **{"engines": ("bytelm",), **options}).run()


def test_a_model_that_no_engine_takes(tmp_path: Path, shards: Path) -> None:
    pytest.importorskip("transformers")
    few: dict[str, Any] = {"prompts": 1, "prompt_bytes": 32, "max_bytes": 8, "rounds": 1}
    with pytest.raises(InputError, match="window"):
        Peers(saved(tmp_path, window=48), shards, **few, engines=("transformers",)).run()


def test_where_a_text_first_differs(checkpoint: Path) -> None:
    model = load_model(checkpoint, "float32").model
    prompts = [PROMPT, b"x = "]
    wanted = [c.text for c in generate(model, prompts, DecodeOptions(20, 1, 1))]
    # A text that is shorter or longer is compared as far as both go.
    longer = [wanted[0][:5], wanted[1] + b"more"]
    assert first_difference(longer, wanted, prompts, model, "float32") is None
    changed = [wanted[0], wanted[1][:7] + bytes([wanted[1][7] ^ 1])]
    found = first_difference(changed, wanted, prompts, model, "bfloat16")
    assert found is not None
    assert (found["prompt"], found["offset"]) == (1, 7)
    ids = torch.tensor([[256, *prompts[1], *wanted[1][:7]]])
    top = model.logits(model(ids))[0, -1, :256].topk(2)
    assert int(top.indices[0]) == wanted[1][7]
    assert found["gap"] == pytest.approx(float(top.values[0] - top.values[1]), abs=1e-5)
    exact = first_difference(changed, wanted, prompts, model, "float32")
    assert exact is not None
    assert exact["gap_ulps"] == pytest.approx(found["gap_ulps"] * 2**16)


def test_a_row_by_hand() -> None:
    command = Peers(Path("a"), Path("b"), prompt_bytes=3)
    own, peer = Runs(), Runs()
    for seconds, other in ((1.0, 2.0), (2.0, 2.0), (4.0, 12.0)):
        own.add([Answer(b"12345678")], seconds)
        peer.add([Answer(b"1234", 0.5)], other)
    row = command._row("bytelm", "float32", own, peer)
    assert (row["bytes"], row["seconds"], row["bytes_per_s"]) == (8, 2.0, 4.0)
    assert (row["ratio_to_llamacpp"], row["ratio_range"]) == (4.0, [2.0, 6.0])
    assert row["prefill_s"] is None
    assert command._row("llama.cpp", "float32", peer, peer)["prefill_s"] == 0.5
    other = {"prompt": 0, "offset": 7, "gap": 0.001, "gap_ulps": 1.5}
    text = table([{**row, "first_difference": other}])
    assert "4.00 (2.00 to 6.00)" in text
    assert "to byte 7 of prompt 0" in text
