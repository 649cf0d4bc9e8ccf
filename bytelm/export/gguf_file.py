"""Write and recognize the GGUF file that llama.cpp loads."""

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bytelm.alphabet import BOS, BYTES, EOD, PAD, VOCAB
from bytelm.base.errors import InputError
from bytelm.checkpoint import Checkpoint
from bytelm.config import ModelConfig
from bytelm.export.llama import FORMAT, SPECIALS, Part, in_dtype, parts
from bytelm.files.atomic import new_file

_MARK = "bytelm.export"
# How many bytes to read of a file to find the marks. They are in the metadata, at the beginning.
_HEAD = 1 << 16


def gguf_package() -> Any:
    """Import the optional package `gguf`. Raises InputError if it is not installed."""
    try:
        return importlib.import_module("gguf")
    except ImportError as error:
        raise InputError(
            f"--format gguf needs the package gguf ({error}): pip install '.[peers]'"
        ) from error


def byte_token(byte: int) -> str:
    """The character for `byte` in GPT-2's byte alphabet, which llama.cpp requires.

    Printable characters stand for themselves. The other bytes are numbered from U+0100 on.
    """
    return chr(byte) if _prints(byte) else chr(0x100 + sum(not _prints(b) for b in range(byte)))


def _prints(byte: int) -> bool:
    return 0x21 <= byte <= 0x7E or 0xA1 <= byte <= 0xAC or 0xAE <= byte <= 0xFF


def write_gguf_file(checkpoint: Checkpoint, out: Path, dtype: str) -> None:
    """Write the file `out` atomically; it replaces what was there. `dtype`: float32 or bfloat16.

    Raises InputError if the package gguf is missing, and OSError if writing fails.
    """
    gguf = gguf_package()
    with new_file(out) as path:
        writer = gguf.GGUFWriter(path, "llama")
        try:
            writer.add_string(_MARK, FORMAT)
            writer.add_string(f"{_MARK}.checkpoint_sha256", checkpoint.sha256)
            _add_shape(writer, checkpoint.config)
            _add_vocabulary(writer, gguf)
            kinds = {"float32": "ALL_F32", "bfloat16": "MOSTLY_BF16"}
            writer.add_file_type(gguf.LlamaFileType[kinds[dtype]])
            for part in parts(checkpoint.model):
                _add_tensor(writer, gguf, part, dtype)
            writer.write_header_to_file()
            writer.write_kv_data_to_file()
            writer.write_tensors_to_file()
        finally:
            writer.close()


def is_gguf_export(path: Path) -> bool:
    """Whether `path` is a file that `write_gguf_file` wrote."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        head = file.read(_HEAD)
    return head.startswith(b"GGUF") and _MARK.encode() in head and FORMAT.encode() in head


def _add_shape(writer: Any, config: ModelConfig) -> None:
    writer.add_name("bytelm")
    writer.add_vocab_size(VOCAB)
    writer.add_context_length(config.context)
    writer.add_embedding_length(config.width)
    writer.add_block_count(config.next_byte_layers)
    writer.add_feed_forward_length(config.hidden)
    writer.add_head_count(config.attention_heads)
    writer.add_head_count_kv(config.kv_heads)
    writer.add_layer_norm_rms_eps(config.norm_eps)
    writer.add_rope_freq_base(config.rope_base)
    writer.add_rope_dimension_count(config.head_size)


def _add_vocabulary(writer: Any, gguf: Any) -> None:
    normal, control = int(gguf.TokenType.NORMAL), int(gguf.TokenType.CONTROL)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([*map(byte_token, range(BYTES)), *SPECIALS])
    writer.add_token_types([normal] * BYTES + [control] * len(SPECIALS))
    # llama.cpp needs at least one merge. This pair occurs in no text, so no bytes are merged.
    writer.add_token_merges([" ".join(SPECIALS[-2:])])
    writer.add_bos_token_id(BOS)
    writer.add_eos_token_id(EOD)
    writer.add_pad_token_id(PAD)
    writer.add_add_bos_token(True)


def _interleaved(rows_ND: Tensor, heads: int) -> Tensor:
    """Reorder each head's rows so that the two channels of a rotary pair are adjacent.

    llama.cpp rotates adjacent channels, bytelm the channels c and c + C / 2.
    """
    N, D = rows_ND.shape
    return rows_ND.view(heads, 2, N // heads // 2, D).transpose(1, 2).reshape(N, D)


def _add_tensor(writer: Any, gguf: Any, part: Part, dtype: str) -> None:
    tensor = in_dtype(part, dtype)
    if part.rotary_heads:
        tensor = _interleaved(tensor, part.rotary_heads)
    if tensor.dtype == torch.bfloat16:
        # numpy has no bfloat16, so the values are passed as raw bytes.
        raw = tensor.view(torch.int16).numpy().view(np.uint8)
        writer.add_tensor(part.gguf, raw, raw_dtype=gguf.GGMLQuantizationType.BF16)
    else:
        writer.add_tensor(part.gguf, tensor.numpy())
