"""What a model computes and reads: in training by the byte, in decoding by the step.

The rules, for training and decoding alike: two operations a weight and position that goes through
it (norms' weights among them), and four a channel, query and attended position. Lookups, softmax
and activations are not counted. An unembedding that heads share is multiplied by once a head.

All positions of a query's view count as attended, whatever of the view a kernel computes: a mean
position of a causal block of T attends to T / 2, a position of a model with a window to no more
than the window.
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
    """Floating-point operations, and bytes of weights, keys and values that must be read."""

    flops: int
    bytes: int


def values(modules: Iterable[nn.Module]) -> int:
    """How many weights `modules` have."""
    return sum(p.numel() for module in modules for p in module.parameters())


def kv_bytes(config: ModelConfig, layers: int, value_bytes: int) -> int:
    """Keys and values of one position of one row in so many layers."""
    return 2 * layers * config.kv_heads * config.head_size * value_bytes


def attended(config: ModelConfig, positions: int) -> int:
    """How many of `positions` positions attention sees."""
    return min(positions, config.window) if config.window else positions


def attention_flops(config: ModelConfig, layers: int, seen: int) -> int:
    """Of one query in so many layers: its products with keys, and of weights with values."""
    return 4 * layers * config.width * seen


def training_flops(config: ModelConfig, trunk: list[Layer], heads: Heads, seen: int) -> int:
    """Of one position, forward: the trunk and every head."""
    own = [module for head in range(heads.n) for module in heads.own_modules(head)]
    weights = values([*trunk, *own, heads.norm]) + heads.n * VOCAB * config.width
    layers = config.trunk_layers + config.head_layers
    return 2 * weights + attention_flops(config, layers, attended(config, seen))


def decoding_work(
    config: ModelConfig,
    trunk: list[Layer],
    heads: Heads,
    rows: int,
    width: int,
    position: int,
    value_bytes: int,
) -> Work:
    """One step that feeds `width` ids to each of `rows` rows and drafts `width` - 1 anew.

    Head 1 runs at all positions of the block and verifies it. A drafting head runs at the last
    accepted position alone, but for heads with layers: their later queries need the keys of every
    position, and only the norm and the unembedding are spared. Weights are read once, those of
    heads that do not run not at all; of the cache, what the rows attend to.
    """
    full_heads = heads.full_heads(width)
    everywhere = [module for head in full_heads for module in heads.own_modules(head)]
    drafting = [head for head in range(width) if head not in full_heads]
    once = [module for head in drafting for module in heads.own_modules(head)]
    block = rows * width
    # Logits: head 1's at every position, and those of the drafts.
    spoken = block + rows * (width - 1)
    unembedding = VOCAB * config.width
    full = values([*trunk, *everywhere])
    normed = spoken if heads.norms_outputs else block
    layers = len(trunk) + sum(isinstance(module, Layer) for module in everywhere)
    seen = attended(config, position)
    flops = 2 * (block * full + rows * values(once) + spoken * unembedding)
    flops += 2 * normed * config.width + block * attention_flops(config, layers, seen)
    matrices = {id(heads.unembedding(head)) for head in range(width)}
    read = full + values([*once, heads.norm]) + len(matrices) * unembedding
    held = rows * seen * kv_bytes(config, layers, value_bytes)
    return Work(flops, read * value_bytes + held)
