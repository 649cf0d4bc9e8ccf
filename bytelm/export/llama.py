"""A model as a Llama: which models are one, and their tensors under the names of other engines.

The trunk and head 1 together are a Llama: RMSNorm before attention and SwiGLU, half-split rotary
pairs as in transformers, grouped keys and values, no biases, and an unembedding that is not tied to
the embedding. The layers of head 1 (one for `block` and `causal` heads, all for `anticausal` heads)
become the Llama's last layers. The matrix of a `linear` head is multiplied into the unembedding.
The other heads are left out, since the other engines cannot draft with them.

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
"""The names of the ids from 256 on, in order."""


@dataclass(frozen=True)
class Part:
    """One tensor and its names in transformers (`hf`) and in GGUF (`gguf`).

    `rotary_heads`: the number of heads in a matrix of queries or keys, else 0.
    """

    hf: str
    gguf: str
    tensor: Tensor
    rotary_heads: int = 0

    @property
    def is_norm(self) -> bool:
        """Whether this is the weight of a norm, which always stays float32."""
        return self.tensor.dim() == 1


def check_is_llama(config: ModelConfig, where: str) -> None:
    """Raise InputError if a Llama cannot compute what this model computes.

    `where` names the checkpoint in the error.
    """
    reasons = []
    if config.ngram_orders:
        orders = ", ".join(map(str, config.ngram_orders))
        reasons.append(
            f"it adds hashed embeddings of byte n-grams (ngram_orders {orders}), which a Llama "
            "has no place for"
        )
    if config.window:
        reasons.append(
            f"each position attends to the last {config.window} only (window), while a Llama "
            "attends to all"
        )
    if config.short_window:
        reasons.append(
            f"all layers but the last attend to the last {config.short_window} positions only "
            "(short_window)"
        )
    if reasons:
        raise InputError(
            f"{where} cannot be exported: {'; '.join(reasons)}. Try one like preset plain-5m"
        )


def parts(model: Model) -> Iterator[Part]:
    """Yield the tensors of the trunk and head 1, as views of the weights where possible."""
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
    """The part's tensor to write, on the CPU: norms in float32, matrices in `dtype`."""
    wanted = torch.float32 if part.is_norm else DTYPES[dtype]
    return part.tensor.detach().to("cpu", wanted).contiguous()
