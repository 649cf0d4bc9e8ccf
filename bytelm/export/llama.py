"""A model as a Llama: what can be one, and its tensors under the names of others.

The trunk and head 1 are a Llama as they stand: RMSNorm before attention and SwiGLU, half-split
rotary pairs as in transformers, grouped keys and values, no biases, an unembedding of its own. The
layers that lie between trunk and next byte (one of `block` and `causal` heads, all of `anticausal`
ones) are the Llama's last; the matrix of a `linear` head is multiplied into its unembedding. The
other heads stay behind: no engine here could draft with them.

Shapes: D width, V id, H attention head, G KV head, C head dim, N rows of a matrix.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from bytelm.alphabet import BOS, EOD, FIM_MIDDLE, FIM_PREFIX, FIM_SUFFIX, PAD, VOCAB
from bytelm.base.errors import InputError
from bytelm.config import ModelConfig
from bytelm.model.model import Model

FORMAT = "bytelm-export-1"
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
_NAMES = {
    BOS: "<|bos|>",
    EOD: "<|eod|>",
    FIM_PREFIX: "<|fim_prefix|>",
    FIM_MIDDLE: "<|fim_middle|>",
    FIM_SUFFIX: "<|fim_suffix|>",
    PAD: "<|pad|>",
}
SPECIALS = tuple(_NAMES.get(id, f"<|reserved_{id}|>") for id in range(BOS, VOCAB))
"""Names of the ids from 256 on, in order."""


@dataclass(frozen=True)
class Part:
    """One tensor, under its name in transformers and in GGUF.

    `rotary_heads` is the number of heads whose channels rotate in pairs (queries and keys only).
    """

    hf: str
    gguf: str
    tensor: Tensor
    rotary_heads: int = 0

    @property
    def is_norm(self) -> bool:
        return self.tensor.dim() == 1


def check_is_llama(config: ModelConfig, where: str) -> None:
    """Raise InputError for a model that no Llama engine would run as bytelm does."""
    reasons = []
    if config.ngram_orders:
        orders = ", ".join(map(str, config.ngram_orders))
        reasons.append(
            f"it adds hashed embeddings of byte n-grams (ngram_orders {orders}), which a Llama "
            "has no place for"
        )
    if config.window:
        reasons.append(
            f"each position attends to the last {config.window} only (window), where a Llama "
            "attends to all"
        )
    if reasons:
        raise InputError(
            f"{where} cannot be exported: {'; '.join(reasons)}. Models of the preset plain-5m can"
        )


def parts(model: Model) -> Iterator[Part]:
    """The tensors of trunk and head 1, views of the model's own where that can be."""
    config = model.config
    H, G, C = config.attention_heads, config.kv_heads, config.head_size
    yield Part("model.embed_tokens.weight", "token_embd.weight", model.embedding.weight)
    for index, layer in enumerate([*model.trunk(), *model.heads.next_layers()]):
        hf, gguf = f"model.layers.{index}", f"blk.{index}"
        q_ND, k_ND, v_ND = torch.split(layer.attention.qkv.weight, [H * C, G * C, G * C])
        gate_ND, value_ND = layer.feed_forward.up.weight.chunk(2)
        norm, ff_norm = layer.attention_norm.weight, layer.feed_forward_norm.weight
        out, down = layer.attention.out.weight, layer.feed_forward.down.weight
        yield Part(f"{hf}.input_layernorm.weight", f"{gguf}.attn_norm.weight", norm)
        yield Part(f"{hf}.self_attn.q_proj.weight", f"{gguf}.attn_q.weight", q_ND, H)
        yield Part(f"{hf}.self_attn.k_proj.weight", f"{gguf}.attn_k.weight", k_ND, G)
        yield Part(f"{hf}.self_attn.v_proj.weight", f"{gguf}.attn_v.weight", v_ND)
        yield Part(f"{hf}.self_attn.o_proj.weight", f"{gguf}.attn_output.weight", out)
        yield Part(f"{hf}.post_attention_layernorm.weight", f"{gguf}.ffn_norm.weight", ff_norm)
        yield Part(f"{hf}.mlp.gate_proj.weight", f"{gguf}.ffn_gate.weight", gate_ND)
        yield Part(f"{hf}.mlp.up_proj.weight", f"{gguf}.ffn_up.weight", value_ND)
        yield Part(f"{hf}.mlp.down_proj.weight", f"{gguf}.ffn_down.weight", down)
    yield Part("model.norm.weight", "output_norm.weight", model.heads.norm.weight)
    yield Part("lm_head.weight", "output.weight", model.heads.folded(0))


def in_dtype(part: Part, dtype: str) -> Tensor:
    """The part's values to write: norms in float32 always, matrices in `dtype`."""
    wanted = torch.float32 if part.is_norm else DTYPES[dtype]
    return part.tensor.detach().to("cpu", wanted).contiguous()
