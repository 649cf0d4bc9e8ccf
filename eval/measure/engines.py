"""Other engines, and bytelm itself, behind one call: a prompt in, greedy bytes out.

All of them run the same weights (`python -m bytelm export` makes the files of the others) and are
asked for bytes alone: specials are barred, so that none ends before the others. Ids go in and come
out; no engine's text handling is trusted with bytes that are no UTF-8.
"""

import importlib
import importlib.metadata
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import torch

from bytelm.toolkit import Checkpoint, DecodeOptions, Export, InputError, generate, load_checkpoint
from eval.measure.speed import DTYPES

BYTES, BOS, PAD, VOCAB = 256, 256, 261, 264
SPECIALS = list(range(BYTES, VOCAB))

Dtype = Literal["float32", "bfloat16"]
NAMES = ("bytelm", "bytelm-plain", "llama.cpp", "transformers")


@dataclass(frozen=True)
class Answer:
    """What one call gave. `prefill_s`: the seconds of the prompt, where the engine tells."""

    text: bytes
    prefill_s: float | None = None


class Peer(Protocol):
    def complete(self, prompt: bytes, max_bytes: int) -> Answer:
        """Continue `prompt`, greedily, by `max_bytes` bytes."""


def load_model(where: Path, dtype: Dtype) -> Checkpoint:
    """A checkpoint whose model runs in `dtype`."""
    return load_checkpoint(where, "cpu", DTYPES[dtype])


def check_available(names: tuple[str, ...]) -> None:
    """Raise InputError for an engine that does not exist or is not installed."""
    for name in names:
        if name not in NAMES:
            raise InputError(f"--engines: there is no engine {name!r}; known: {', '.join(NAMES)}")
    packages = {"llama.cpp": ("xllamacpp", "gguf"), "transformers": ("transformers",)}
    for name in names:
        for package in packages.get(name, ()):
            _package(package, name)


def versions(names: tuple[str, ...]) -> dict[str, str]:
    """The versions of the other engines' packages."""
    packages = {"llama.cpp": "xllamacpp", "transformers": "transformers"}
    found = [packages[name] for name in names if name in packages]
    return {package: importlib.metadata.version(package) for package in found}


def _package(package: str, engine: str) -> Any:
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise InputError(
            f"the engine {engine} needs the package {package} ({error}): pip install '.[peers]'"
        ) from error


def _export(where: Path, kind: Literal["hf", "gguf"], out: Path, dtype: Dtype) -> None:
    Export(where, kind, out, dtype).run()


def open_engine(
    name: str, checkpoint: Checkpoint, dtype: Dtype, threads: int, context: int, scratch: Path
) -> Peer:
    """The engine `name` with the checkpoint's weights in `dtype`; exports go into `scratch`.

    `checkpoint` is loaded in `dtype`; the caller sets torch's threads.
    """
    if name == "llama.cpp":
        path = scratch / f"{dtype}.gguf"
        _export(checkpoint.folder, "gguf", path, dtype)
        return LlamaCpp(path, dtype, threads, context)
    if name == "transformers":
        path = scratch / f"{dtype}-hf"
        _export(checkpoint.folder, "hf", path, dtype)
        return Transformers(path, dtype)
    heads = checkpoint.config.prediction_heads if name == "bytelm" else 1
    return Bytelm(checkpoint, heads)


class Bytelm:
    """Our own decoder, `heads` = 1: without drafts."""

    def __init__(self, checkpoint: Checkpoint, heads: int) -> None:
        self.model, self.heads = checkpoint.model, heads

    def complete(self, prompt: bytes, max_bytes: int) -> Answer:
        options = DecodeOptions(max_bytes, heads=self.heads, batch=1)
        return Answer(generate(self.model, [prompt], options)[0].text)


class LlamaCpp:
    """llama.cpp's server in this process, asked by a call and not over HTTP.

    One slot, no cache across calls, and no flash attention: on the CPU measured, llama.cpp wrote
    1.4 (bfloat16) to 2.7 times (float32) as many bytes a second without it, and its code for CPUs
    rounds to float16 even where the cache is float32 (logits off by 0.01 against 0.00005). The
    cache of keys and values is float32 for float32 weights, else llama.cpp's default, float16.
    """

    def __init__(self, path: Path, dtype: Dtype, threads: int, context: int) -> None:
        package = _package("xllamacpp", "llama.cpp")
        params = package.CommonParams()
        params.model.path = str(path)
        params.n_ctx = context
        params.n_parallel = 1
        params.n_gpu_layers = 0
        params.cpuparams.n_threads = threads
        params.cpuparams_batch.n_threads = threads
        params.cache_ram_mib = 0
        params.warmup = False
        params.verbosity = -1
        flash = package.llama_flash_attn_type
        params.flash_attn_type = flash.LLAMA_FLASH_ATTN_TYPE_DISABLED
        if dtype == "float32":
            params.cache_type_k = params.cache_type_v = package.ggml_type.GGML_TYPE_F32
        self.server = package.Server(params)

    def complete(self, prompt: bytes, max_bytes: int) -> Answer:
        request = {
            "prompt": [BOS, *prompt],
            "n_predict": max_bytes,
            "temperature": 0,
            "ignore_eos": True,
            "logit_bias": [[special, False] for special in SPECIALS],
            "cache_prompt": False,
            # The ids are told only in the verbose part of the answer.
            "return_tokens": True,
            "verbose": True,
        }
        found = self.server.handle_completions(request)
        answer = found if isinstance(found, dict) else json.loads(found)
        if "error" in answer:
            raise RuntimeError(f"llama.cpp: {answer['error']}")
        prefill_s = answer["timings"]["prompt_ms"] / 1000
        return Answer(bytes(answer["__verbose"]["tokens"]), prefill_s)


class Transformers:
    """`generate` of transformers, with its cache of keys and values."""

    def __init__(self, path: Path, dtype: Dtype) -> None:
        package = _package("transformers", "transformers")
        package.logging.set_verbosity_error()
        package.logging.disable_progress_bar()
        self.model = package.LlamaForCausalLM.from_pretrained(
            path, dtype=DTYPES[dtype], local_files_only=True
        ).eval()

    def complete(self, prompt: bytes, max_bytes: int) -> Answer:
        ids_BT = torch.tensor([[BOS, *prompt]])
        with torch.inference_mode():
            found_BT = self.model.generate(
                ids_BT,
                attention_mask=torch.ones_like(ids_BT),
                max_new_tokens=max_bytes,
                do_sample=False,
                use_cache=True,
                suppress_tokens=SPECIALS,
                pad_token_id=PAD,
            )
        return Answer(bytes(found_BT[0, ids_BT.shape[1] :].tolist()))
