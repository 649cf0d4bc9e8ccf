"""The decoders that `eval peers` compares, behind one call: a prompt in, greedy bytes out.

They are bytelm itself, llama.cpp and transformers. All run the same weights: `python -m bytelm
export` makes the files of the others. All write bytes only: specials are barred, so that none ends
before the others. They are given ids and give ids back, because a text interface might change bytes
that are not UTF-8.
"""

import importlib
import importlib.metadata
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Literal, Protocol, get_args

import torch

from bytelm.toolkit import (
    BOS,
    BYTES,
    PAD,
    VOCAB,
    Checkpoint,
    DecodeOptions,
    Export,
    InputError,
    generate,
)
from eval.measure.options import DTYPES, Dtype

SPECIALS = list(range(BYTES, VOCAB))

PeerName = Literal["bytelm", "bytelm-plain", "llama.cpp", "transformers"]
NAMES: tuple[PeerName, ...] = get_args(PeerName)
PLAIN: PeerName = "bytelm-plain"
LLAMA_CPP: PeerName = "llama.cpp"
# Of llama.cpp too, but a build for this machine, which comes as a program and not as a package.
NATIVE = "llama.cpp-native"
# The packages that a peer needs. Of a peer in NAMES, the first is the peer itself.
PACKAGES: dict[str, tuple[str, ...]] = {
    LLAMA_CPP: ("xllamacpp", "gguf"),
    "transformers": ("transformers",),
    NATIVE: ("gguf",),
}


@dataclass(frozen=True)
class Answer:
    """What one call gave. `prefill_s`: the seconds of the prompt's forward, if the peer says so."""

    text: bytes
    prefill_s: float | None = None


class Peer(Protocol):
    """A decoder with a model loaded."""

    def complete(self, prompt: bytes, max_bytes: int) -> Answer:
        """Continue `prompt`, greedily, by `max_bytes` bytes."""


def check_available(names: Sequence[str]) -> None:
    """Raise InputError for a peer that is not installed."""
    for name in names:
        for package in PACKAGES.get(name, ()):
            _package(package, name)


def versions(names: Sequence[str]) -> dict[str, str]:
    """The versions of the peers' packages, by package; bytelm's is in the seal."""
    found = [PACKAGES[name][0] for name in names if name in PACKAGES]
    return {package: importlib.metadata.version(package) for package in found}


def _package(package: str, peer: str) -> ModuleType:
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise InputError(
            f"the peer {peer} needs the package {package} ({error}): pip install '.[peers]'"
        ) from error


def exported_gguf(checkpoint: Checkpoint, dtype: Dtype, scratch: Path) -> Path:
    """llama.cpp's file of the checkpoint in the folder `scratch`, written at the first call."""
    path = scratch / f"{dtype}.gguf"
    if not path.exists():
        Export(checkpoint.folder, "gguf", path, dtype).run()
    return path


def open_peer(
    name: PeerName, checkpoint: Checkpoint, dtype: Dtype, threads: int, context: int, scratch: Path
) -> Peer:
    """The peer `name` with the checkpoint's weights in `dtype`; exports go into `scratch`.

    `checkpoint` is loaded in `dtype`; the caller sets torch's threads. `context`: positions for
    which llama.cpp reserves memory.
    """
    if name == "llama.cpp":
        return LlamaCpp(exported_gguf(checkpoint, dtype, scratch), dtype, threads, context)
    if name == "transformers":
        path = scratch / f"{dtype}-hf"
        Export(checkpoint.folder, "hf", path, dtype).run()
        return Transformers(path, dtype)
    heads = checkpoint.config.prediction_heads if name == "bytelm" else 1
    return Bytelm(checkpoint, heads)


class Bytelm:
    """Our own decoder with k = `heads`; 1 is plain decoding."""

    def __init__(self, checkpoint: Checkpoint, heads: int) -> None:
        self.model, self.heads = checkpoint.model, heads

    def complete(self, prompt: bytes, max_bytes: int) -> Answer:
        options = DecodeOptions(max_bytes, heads=self.heads, batch=1)
        return Answer(generate(self.model, [prompt], options)[0].text)


class LlamaCpp:
    """llama.cpp's server in this process, called directly and not over HTTP.

    It has one slot, no cache across calls and no flash attention. On the CPU measured, llama.cpp
    wrote 1.4 (bfloat16) to 2.7 times (float32) as many bytes a second without flash attention, and
    its flash attention for CPUs rounds to float16 even where the cache is float32 (logits off by
    0.01 against 0.00005). The cache of keys and values is float32 for float32 weights. Otherwise it
    is float16, llama.cpp's default.
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
            # The ids are only in the verbose part of the answer.
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
