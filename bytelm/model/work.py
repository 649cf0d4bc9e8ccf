"""Counts of what a model computes and reads: per byte in training, per step in decoding.

Training and decoding count by the same rules. Each weight costs two operations per position that
uses it, norms included. Attention costs four operations per channel, query and attended position.
Lookups, softmax and activations are not counted. A shared unembedding counts once per head.

All positions in view of a query count as attended, even if a kernel skips some. On average a
position of a causal block of T attends to T / 2 positions. With a window, a position attends to at
most `window` positions, and in the layers that have one to the last `short_window`.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from torch import nn

from bytelm.alphabet import VOCAB
from bytelm.config import ModelConfig
from bytelm.model.heads import Heads
from bytelm.model.layers import Layer


@dataclass(frozen=True)
class Work:
    """Floating-point operations, and bytes of weights, keys and values to read from memory."""

    flops: int
    bytes: int


def values(modules: Iterable[nn.Module]) -> int:
    """The number of weights in `modules`."""
    return sum(p.numel() for module in modules for p in module.parameters())


def kv_bytes(config: ModelConfig, layers: int, value_bytes: int) -> int:
    """Bytes of the keys and values of one position of one row in `layers` layers."""
    return 2 * layers * config.kv_heads * config.head_size * value_bytes


def attended(config: ModelConfig, layers: Iterable[Layer], positions: int) -> int:
    """How many of the last `positions` positions a query attends to, over all `layers` together."""
    windows = [config.window_of(layer.layer) for layer in layers]
    return sum(min(positions, window) if window else positions for window in windows)


def attention_flops(config: ModelConfig, seen: int) -> int:
    """Operations of one query that sees `seen` keys: products with keys and with values."""
    return 4 * config.width * seen


def training_flops(config: ModelConfig, trunk: list[Layer], heads: Heads, seen: int, k: int) -> int:
    """Operations of one position in the forward pass of the trunk and of what heads 0..k-1 need."""
    running = heads.running(k)
    own = [module for head in running for module in heads.own_modules(head)]
    weights = values([*trunk, *own, heads.norm]) + len(running) * VOCAB * config.width
    layers = [*trunk, *(layer for head in running for layer in heads.layers_of(head))]
    return 2 * weights + attention_flops(config, attended(config, layers, seen))


def decoding_work(
    config: ModelConfig,
    trunk: list[Layer],
    heads: Heads,
    rows: int,
    width: int,
    position: int,
    value_bytes: int,
) -> Work:
    """The work of a step that feeds `width` ids to each of `rows` rows, and drafts `width` - 1 ids.

    Head 1 runs at all positions of the block, to verify it. The heads that draft run only at the
    last accepted position. Heads with layers are an exception: later queries need their keys and
    values, so their layers run at all positions, and only norm and unembedding run at one. The
    weights of the heads in use are read once, and of the cache the positions attended to.
    """
    full_heads = heads.full_heads(width)
    everywhere = [module for head in full_heads for module in heads.own_modules(head)]
    drafting = [head for head in range(width) if head not in full_heads]
    once = [module for head in drafting for module in heads.own_modules(head)]
    block = rows * width
    # Positions with logits: head 1 at every position, and each draft.
    spoken = block + rows * (width - 1)
    unembedding = VOCAB * config.width
    full = values([*trunk, *everywhere])
    normed = spoken if heads.norms_outputs else block
    layers = [*trunk, *(module for module in everywhere if isinstance(module, Layer))]
    seen = attended(config, layers, position)
    flops = 2 * (block * full + rows * values(once) + spoken * unembedding)
    flops += 2 * normed * config.width + block * attention_flops(config, seen)
    matrices = {id(heads.unembedding(head)) for head in range(width)}
    read = full + values([*once, heads.norm]) + len(matrices) * unembedding
    held = rows * seen * kv_bytes(config, 1, value_bytes)
    return Work(flops, read * value_bytes + held)
