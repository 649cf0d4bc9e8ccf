"""The transformer layer: RMSNorm, rotary positions, grouped attention, SwiGLU (a Llama layer).

Shapes: B batch row, T position in block, S cache slot, D width, H attention head, G KV head,
R query heads of one KV head (H / G), C head dim.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bytelm.config import ModelConfig
from bytelm.model.cache import Cache, Held

# Layer.compute or a replacement of it: (layer, x_BTD, place, held) -> x_BTD.
Compute = Callable[["Layer", Tensor, "Place", Held | None], Tensor]

# Causal attention of a block without a cache: (q_BTHC, k_BTGC, v_BTGC, first_BT) -> (B, T, H, C).
# first_BT, (B or 1, T), is the first position that each position attends to. None stands for 0.
Attend = Callable[[Tensor, Tensor, Tensor, Tensor | None], Tensor]


@dataclass
class Place:
    """The place of a block: the rotations of its positions, and what each may attend to.

    `mask`: additive, (B or 1, 1, R * T, S). The R queries of a KV head are folded into the query
    length, so the block's mask is repeated R times. None: causal attention within the block.
    `attend`: computes the attention of a block without a cache; `first_BT` then takes the place of
    the mask. `compute`: replaces Layer.compute in every layer, for example by compiled code.
    `near`: the place of the same block in the layers with a short window.
    """

    cos_BT1C: Tensor
    sin_BT1C: Tensor
    mask: Tensor | None = None
    cache: Cache | None = None
    flat_slots: Tensor | None = None
    attend: Attend | None = None
    first_BT: Tensor | None = None
    compute: Compute | None = None
    near: "Place | None" = None


class RMSNorm(nn.Module):
    """Root mean square normalization over the last axis (Zhang and Sennrich 2019)."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x_BTD: Tensor) -> Tensor:
        return F.rms_norm(x_BTD, self.weight.shape, self.weight, self.eps)


def rotations(config: ModelConfig, positions: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines of the rotary embedding (Su et al. 2021).

    Each is float32, (positions, C / 2).
    """
    half = config.head_size // 2
    # On the CPU, since arithmetic on the meta device imports the compiler, which is slow.
    with torch.device("cpu"):
        rates = config.rope_base ** (-torch.arange(half, dtype=torch.float64) / half)
        angles = torch.arange(positions, dtype=torch.float64)[:, None] * rates
    return angles.cos().float(), angles.sin().float()


def rotate(x_BTHC: Tensor, place: Place) -> Tensor:
    """Rotate the pairs of channels (c, c + C / 2) of each position by the position's angles."""
    one, two = x_BTHC.float().chunk(2, dim=-1)
    cos, sin = place.cos_BT1C, place.sin_BT1C
    return torch.cat((one * cos - two * sin, two * cos + one * sin), dim=-1).to(x_BTHC.dtype)


class Attention(nn.Module):
    """Grouped-query attention with rotary positions, with or without a cache."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.heads, self.kv_heads = config.attention_heads, config.kv_heads
        self.head_size = config.head_size
        rows = (self.heads + 2 * self.kv_heads) * self.head_size
        self.qkv = nn.Linear(config.width, rows, bias=False)
        self.out = nn.Linear(config.width, config.width, bias=False)

    def forward(self, x_BTD: Tensor, place: Place, held: Held | None) -> Tensor:
        """(B, T, D) -> (B, T, D). `held`: the layer's cache; None: attend within the block."""
        B, T, D = x_BTD.shape
        H, G, C = self.heads, self.kv_heads, self.head_size
        qkv = self.qkv(x_BTD).view(B, T, H + 2 * G, C)
        qk, v_BTGC = torch.split(qkv, [H + G, G], dim=2)
        q_BTHC, k_BTGC = torch.split(rotate(qk, place), [H, G], dim=2)
        if held is None:
            return self.out(_attend_causally(q_BTHC, k_BTGC, v_BTGC, place).reshape(B, T, D))
        assert place.flat_slots is not None
        keys, values = held.write(place.flat_slots, k_BTGC, v_BTGC)
        # The queries of a group share their keys. Fold them into the query length, which avoids
        # copying the keys.
        folded = q_BTHC.view(B, T, G, H // G, C).permute(0, 2, 3, 1, 4).reshape(B, G, -1, C)
        y = F.scaled_dot_product_attention(
            folded, keys.transpose(1, 2), values.transpose(1, 2), attn_mask=place.mask
        )
        y_BTD = y.view(B, G, H // G, T, C).permute(0, 3, 1, 2, 4).reshape(B, T, D)
        return self.out(y_BTD)


def _attend_causally(q_BTHC: Tensor, k_BTGC: Tensor, v_BTGC: Tensor, place: Place) -> Tensor:
    if place.attend is not None:
        return place.attend(q_BTHC, k_BTGC, v_BTGC, place.first_BT)
    copies = q_BTHC.shape[2] // k_BTGC.shape[2]
    if copies > 1:
        k_BTGC = k_BTGC.repeat_interleave(copies, dim=2)
        v_BTGC = v_BTGC.repeat_interleave(copies, dim=2)
    y_BHTC = F.scaled_dot_product_attention(
        q_BTHC.transpose(1, 2),
        k_BTGC.transpose(1, 2),
        v_BTGC.transpose(1, 2),
        attn_mask=place.mask,
        is_causal=place.mask is None,
    )
    return y_BHTC.transpose(1, 2)


class FeedForward(nn.Module):
    """SwiGLU (Shazeer 2020), with gate and value in one matrix."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.up = nn.Linear(config.width, 2 * config.hidden, bias=False)
        self.down = nn.Linear(config.hidden, config.width, bias=False)

    def forward(self, x_BTD: Tensor) -> Tensor:
        gate, value = self.up(x_BTD).chunk(2, dim=-1)
        return self.down(F.silu(gate) * value)


class Layer(nn.Module):
    """One pre-norm transformer layer. `layer`: the number of its cache."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.layer = layer
        self.near = config.window_of(layer) != config.window
        self.attention_norm = RMSNorm(config.width, config.norm_eps)
        self.attention = Attention(config)
        self.feed_forward_norm = RMSNorm(config.width, config.norm_eps)
        self.feed_forward = FeedForward(config)

    def initialize(self, generator: torch.Generator) -> None:
        """Draw matrices scaled by fan-in. Those that write to the residual stream start at zero."""
        for matrix in (self.attention.qkv.weight, self.feed_forward.up.weight):
            nn.init.normal_(matrix, std=1 / math.sqrt(matrix.shape[1]), generator=generator)
        nn.init.zeros_(self.attention.out.weight)
        nn.init.zeros_(self.feed_forward.down.weight)

    def forward(self, x_BTD: Tensor, place: Place) -> Tensor:
        """Run the layer on a block, (B, T, D) -> (B, T, D), with the cache of `place` if any."""
        seen = place if place.near is None or not self.near else place.near
        if place.cache is None:
            return (place.compute or Layer.compute)(self, x_BTD, seen, None)
        compute = place.cache.compute or Layer.compute
        return compute(self, x_BTD, seen, place.cache.of_layer(self.layer))

    def compute(self, x_BTD: Tensor, place: Place, held: Held | None) -> Tensor:
        """The arithmetic of the layer, (B, T, D) -> (B, T, D).

        It does not depend on the layer's number, so code compiled for one layer serves all.
        """
        x_BTD = x_BTD + self.attention(self.attention_norm(x_BTD), place, held)
        return x_BTD + self.feed_forward(self.feed_forward_norm(x_BTD))
