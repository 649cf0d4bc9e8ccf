"""Write the folder that transformers loads: `LlamaForCausalLM.from_pretrained(folder)`."""

import json
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from bytelm.alphabet import BOS, EOD, PAD, VOCAB
from bytelm.checkpoint import Checkpoint
from bytelm.config import ModelConfig
from bytelm.export.llama import FORMAT, in_dtype, parts
from bytelm.files.atomic import new_folder, usual_mode, write_json

_MARK = "bytelm_export"
FILES = frozenset({"config.json", "generation_config.json", "model.safetensors"})
"""The names of an export's files."""


def write_hf_folder(checkpoint: Checkpoint, out: Path, dtype: str) -> None:
    """Write the folder `out` atomically; it replaces an export. `dtype`: float32 or bfloat16.

    Raises OSError if writing fails, and InputError if `out` holds other files than an export's.
    """
    with new_folder(out, may_hold=FILES) as aside:
        config = _config(checkpoint.config, dtype)
        config[_MARK] = {"format": FORMAT, "checkpoint_sha256": checkpoint.sha256}
        write_json(aside / "config.json", config)
        write_json(aside / "generation_config.json", _generation_config())
        tensors = {part.hf: in_dtype(part, dtype) for part in parts(checkpoint.model)}
        weights = aside / "model.safetensors"
        save_file(tensors, weights, metadata={"format": "pt"})
        usual_mode(weights)


def is_hf_export(path: Path) -> bool:
    """Whether `path` is a folder that `write_hf_folder` wrote."""
    try:
        config = json.loads((path / "config.json").read_bytes())
        return bool(config[_MARK]["format"] == FORMAT)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _config(config: ModelConfig, dtype: str) -> dict[str, Any]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": VOCAB,
        "hidden_size": config.width,
        "intermediate_size": config.hidden,
        "num_hidden_layers": config.next_byte_layers,
        "num_attention_heads": config.attention_heads,
        "num_key_value_heads": config.kv_heads,
        "head_dim": config.head_size,
        "hidden_act": "silu",
        "max_position_embeddings": config.context,
        "rms_norm_eps": config.norm_eps,
        # transformers 5 reads rope_parameters, older versions read rope_theta.
        "rope_theta": config.rope_base,
        "rope_parameters": {"rope_type": "default", "rope_theta": config.rope_base},
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": False,
        "bos_token_id": BOS,
        "eos_token_id": EOD,
        "pad_token_id": PAD,
        "dtype": dtype,
        "torch_dtype": dtype,
    }


def _generation_config() -> dict[str, Any]:
    # As in bytelm, only bytes and the end of document can be chosen.
    unsayable = [special for special in range(BOS, VOCAB) if special != EOD]
    return {
        "bos_token_id": BOS,
        "eos_token_id": EOD,
        "pad_token_id": PAD,
        "do_sample": False,
        "suppress_tokens": unsayable,
    }
