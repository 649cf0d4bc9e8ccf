"""Exports: other engines compute what bytelm does, and only exports are ever replaced."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from near_ties import assert_same_bytes
from support import llama_config, random_model, save_model

from bytelm.alphabet import BOS, BYTES, EOD, PAD, VOCAB
from bytelm.base.errors import InputError
from bytelm.config import HEAD_KINDS, LAYERED_KINDS, ModelConfig
from bytelm.decode.generate import generate
from bytelm.decode.options import DecodeOptions
from bytelm.export import gguf_file
from bytelm.export.command import Export
from bytelm.export.llama import SPECIALS
from bytelm.model.model import Model

PROMPT = "def f(x):\n\tétat = ☃ \x00\x7f <|x|>\r\n".encode()
FORMATS = pytest.mark.parametrize(
    "format", ["hf", pytest.param("gguf", marks=pytest.mark.peers("gguf"))]
)


def saved(folder: Path, config: ModelConfig, seed: int = 0) -> Model:
    model = random_model(config, seed)
    generator = torch.Generator().manual_seed(seed + 2)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name:
                parameter.uniform_(0.5, 1.5, generator=generator)
    save_model(folder, model)
    return model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Model]:
    folder = tmp_path_factory.mktemp("llama")
    return folder, saved(folder, llama_config(rope_base=5000.0))


@pytest.mark.peers("transformers")
@pytest.mark.parametrize(
    ("kv_heads", "kind"),
    [(1, "unembed"), (2, "unembed"), (4, "unembed"), *((2, kind) for kind in HEAD_KINDS[1:])],
)
def test_transformers_computes_our_logits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kv_heads: int, kind: str
) -> None:
    """Of every kind of head the part that says the next byte."""
    import transformers

    layers = 5 if kind in LAYERED_KINDS else 2
    shape = {"layers": layers, "head_kind": kind, "prediction_heads": 3, "kv_heads": kv_heads}
    model = saved(tmp_path, llama_config(rope_base=5000.0, norm_eps=1e-3, **shape))
    figures = Export(tmp_path, "hf", tmp_path / "hf").run()
    other = transformers.LlamaForCausalLM.from_pretrained(tmp_path / "hf", local_files_only=True)
    assert other.dtype == torch.float32
    assert sum(p.numel() for p in other.parameters()) == figures["parameters"]
    ids_BT = torch.cat([torch.tensor([[BOS]]), torch.arange(200)[None] * 7 % BYTES], dim=1)
    T = ids_BT.shape[1]
    turns = tuple(
        torch.cat((table[:T], table[:T]), 1)[None] for table in (model.cos_SC, model.sin_SC)
    )
    rotary = other.model.rotary_emb
    with torch.inference_mode():
        # They compute the angles in float32. The attention of such a model makes of 1e-6 in an
        # angle 4e-4 in a logit, so the angles are compared by themselves, and the rest with ours.
        torch.testing.assert_close(
            rotary(turns[0], torch.arange(T)[None]), turns, atol=1e-5, rtol=0
        )
        monkeypatch.setattr(rotary, "forward", lambda x, position_ids: turns)
        # Logits go to 20.
        torch.testing.assert_close(
            other(ids_BT).logits, model.logits(model(ids_BT)), atol=2e-4, rtol=0
        )


@pytest.mark.peers("transformers")
def test_transformers_writes_our_bytes(model: tuple[Path, Model], tmp_path: Path) -> None:
    import transformers

    folder, own = model
    Export(folder, "hf", tmp_path / "hf").run()
    other = transformers.LlamaForCausalLM.from_pretrained(tmp_path / "hf", local_files_only=True)
    ids_BT = torch.tensor([[BOS, *PROMPT]])
    # What may be said and what ends a completion come from the folder itself.
    found = other.generate(ids_BT, attention_mask=torch.ones_like(ids_BT), max_new_tokens=100)
    ids = [id for id in found[0, ids_BT.shape[1] :].tolist() if id != EOD]
    assert bytes(ids) == generate(own, [PROMPT], DecodeOptions(100, 1, 1))[0].text


@pytest.mark.peers("xllamacpp", "gguf")
def test_llama_cpp_writes_our_bytes(model: tuple[Path, Model], tmp_path: Path) -> None:
    import xllamacpp

    folder, own = model
    Export(folder, "gguf", tmp_path / "model.gguf").run()
    params = xllamacpp.CommonParams()
    params.model.path = str(tmp_path / "model.gguf")
    params.n_ctx, params.n_parallel, params.n_gpu_layers = 256, 1, 0
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    # It rounds to float16, on some processors only.
    params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    params.warmup, params.verbosity, params.cache_ram_mib = False, -1, 0
    server = xllamacpp.Server(params)
    request = {
        "temperature": 0,
        "logit_bias": [[special, False] for special in range(BYTES, VOCAB)],
        "return_tokens": True,
        "verbose": True,
    }

    def answer(prompt: object, size: int) -> dict[str, Any]:
        found = server.handle_completions({"prompt": prompt, "n_predict": size, **request})
        values: dict[str, Any] = found if isinstance(found, dict) else json.loads(found)
        return values

    def complete(prompt: bytes, size: int) -> bytes:
        return bytes(answer([BOS, *prompt], size)["__verbose"]["tokens"])

    assert_same_bytes(complete, own, [PROMPT], 100)
    # As text: llama.cpp's own tokenizer finds the same bytes, and begins with BOS.
    found = answer(PROMPT.decode(), 100)
    assert found["usage"]["prompt_tokens"] == 1 + len(PROMPT)
    assert bytes(found["__verbose"]["tokens"]) == complete(PROMPT, 100)
    assert found["choices"][0]["text"] == complete(PROMPT, 100).decode(errors="replace")


@pytest.mark.peers("gguf")
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_gguf_file(model: tuple[Path, Model], tmp_path: Path, dtype: Any) -> None:
    import gguf

    folder, own = model
    path = tmp_path / "new" / "model.gguf"
    figures = Export(folder, "gguf", path, dtype).run()
    assert figures["files"] == {"model.gguf": path.stat().st_size}
    reader = gguf.GGUFReader(path)
    value = {name: field.contents() for name, field in reader.fields.items()}
    tokens = value["tokenizer.ggml.tokens"]
    assert len(tokens) == len(set(tokens)) == VOCAB
    # llama.cpp reads and writes GPT-2's alphabet of bytes: one character a byte.
    assert all(len(token) == 1 and token.isprintable() for token in tokens[:BYTES])
    assert [tokens[byte] for byte in b"A~\n \x00\xff"] == ["A", "~", "Ċ", "Ġ", "Ā", "ÿ"]
    assert tuple(tokens[BYTES:]) == SPECIALS
    assert value["tokenizer.ggml.token_type"] == [1] * BYTES + [3] * 8
    ends = [value[f"tokenizer.ggml.{name}_token_id"] for name in ("bos", "eos", "padding")]
    assert ends == [BOS, EOD, PAD]
    kinds = {tensor.name: tensor.tensor_type.name for tensor in reader.tensors}
    matrix = {"float32": "F32", "bfloat16": "BF16"}[dtype]
    assert all(kind == ("F32" if "norm" in name else matrix) for name, kind in kinds.items())
    sizes = sum(int(tensor.n_elements) for tensor in reader.tensors)
    assert sizes == figures["parameters"]
    head = next(tensor for tensor in reader.tensors if tensor.name == "output.weight")
    if dtype == "bfloat16":
        bits = torch.from_numpy(head.data.copy()).view(torch.bfloat16)
        assert torch.equal(bits, own.heads.unembedding(0).bfloat16())


def test_bfloat16_in_the_folder(model: tuple[Path, Model], tmp_path: Path) -> None:
    from safetensors.torch import load_file

    Export(model[0], "hf", tmp_path / "hf", "bfloat16").run()
    for name, tensor in load_file(tmp_path / "hf" / "model.safetensors").items():
        assert tensor.dtype == (torch.float32 if "norm" in name else torch.bfloat16), name
    config = json.loads((tmp_path / "hf" / "config.json").read_text())
    assert config["dtype"] == config["torch_dtype"] == "bfloat16"
    assert config["rope_theta"] == config["rope_parameters"]["rope_theta"] == 5000.0


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"ngram_orders": (2, 3), "ngram_rows": 97}, "n-grams .ngram_orders 2, 3."),
        ({"window": 48}, "the last 48 only"),
        ({"short_window": 9}, "all layers but the last attend to the last 9 positions only"),
    ],
)
@FORMATS
def test_what_is_no_llama_is_refused(
    tmp_path: Path, changes: dict[str, object], word: str, format: Any
) -> None:
    saved(tmp_path, llama_config(**changes))
    with pytest.raises(InputError, match=word):
        Export(tmp_path, format, tmp_path / "out").run()
    assert not (tmp_path / "out").exists()


@FORMATS
def test_only_an_export_is_replaced(model: tuple[Path, Model], tmp_path: Path, format: Any) -> None:
    out = tmp_path / "out"
    first = Export(model[0], format, out).run()
    second = Export(model[0], format, out, "bfloat16").run()
    assert sum(second["files"].values()) < sum(first["files"].values())
    assert list(tmp_path.iterdir()) == [out]
    # The other format makes another kind of thing.
    other: Any = "gguf" if format == "hf" else "hf"
    with pytest.raises(InputError, match="is there and no"):
        Export(model[0], other, out).run()


def test_another_folder_is_left_alone(model: tuple[Path, Model], tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(InputError, match="other things than an export"):
        Export(model[0], "hf", folder).run()
    # Nothing is lost with what is empty.
    (folder / "config.json").unlink()
    Export(model[0], "hf", folder).run()


@pytest.mark.peers("gguf")
def test_another_file_is_left_alone(model: tuple[Path, Model], tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("words")
    with pytest.raises(InputError, match="not an export"):
        Export(model[0], "gguf", file).run()
    assert file.read_text() == "words"
    file.write_text("")
    Export(model[0], "gguf", file).run()


@pytest.mark.peers("gguf")
def test_a_failed_write_leaves_the_old_file(
    model: tuple[Path, Model], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "model.gguf"
    Export(model[0], "gguf", out).run()
    before = out.read_bytes()

    def fail(*_: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(gguf_file, "_add_tensor", fail)
    with pytest.raises(OSError, match="full"):
        Export(model[0], "gguf", out).run()
    assert list(tmp_path.iterdir()) == [out]
    assert out.read_bytes() == before


def test_a_missing_package_is_named(
    model: tuple[Path, Model], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "gguf", None)
    with pytest.raises(InputError, match=r"gguf.*pip install '\.\[peers\]'"):
        Export(model[0], "gguf", tmp_path / "x.gguf").run()


def test_an_export_says_how_long_its_model_was_trained(
    model: tuple[Path, Model], tmp_path: Path
) -> None:
    Export(model[0], format="bytelm", out=tmp_path / "out").run()
    assert json.loads((tmp_path / "out" / "checkpoint.json").read_bytes())["step"] == 1


def test_an_export_with_notes_beside_it_is_not_replaced(
    model: tuple[Path, Model], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    Export(model[0], "hf", out).run()
    (out / "notes.md").write_text("mine")
    with pytest.raises(InputError, match=r"other things than an export \(notes.md\)"):
        Export(model[0], "hf", out).run()
    assert (out / "notes.md").read_text() == "mine"
