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

# Layer.compute, or what computes the same: (layer, x_BTD, place, held) -> x_BTD.
Compute = Callable[["Layer", Tensor, "Place", Held | None], Tensor]

# Causal attention of a block without a cache: q_BTHC, k_BTGC, v_BTGC and, unless every position
# sees all before it, the first that each sees (B or 1, T). Returns (B, T, H, C).
Attend = Callable[[Tensor, Tensor, Tensor, Tensor | None], Tensor]


@dataclass
class Place:
    """Where a block lies: its positions, their rotations, and what each may attend to.

    `mask` is additive, (B or 1, 1, R * T, S), with R copies of the block's mask since the queries
    of a KV head's group are folded into the query length; None means causal within the block.
    Where `attend` is given it computes the attention of a block without a cache, and `first_BT`
    stands for the mask. `compute`, if given, runs every layer in place of Layer.compute: compiled
    code, for example.
    """

    cos_BT1C: Tensor
    sin_BT1C: Tensor
    mask: Tensor | None = None
    cache: Cache | None = None
    flat_slots: Tensor | None = None
    attend: Attend | None = None
    first_BT: Tensor | None = None
    compute: Compute | None = None


class RMSNorm(nn.Module):
    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x_BTD: Tensor) -> Tensor:
        return F.rms_norm(x_BTD, self.weight.shape, self.weight, self.eps)


def rotations(config: ModelConfig, positions: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines, each (positions, C / 2), of the rotary embedding (Su et al. 2021)."""
    half = config.head_size // 2
    # Arithmetic on the meta device would import the compiler as well.
    with torch.device("cpu"):
        rates = config.rope_base ** (-torch.arange(half, dtype=torch.float64) / half)
        angles = torch.arange(positions, dtype=torch.float64)[:, None] * rates
    return angles.cos().float(), angles.sin().float()


def rotate(x_BTHC: Tensor, place: Place) -> Tensor:
    """Rotate each half-split pair of channels by its position's angle."""
    one, two = x_BTHC.float().chunk(2, dim=-1)
    cos, sin = place.cos_BT1C, place.sin_BT1C
    return torch.cat((one * cos - two * sin, two * cos + one * sin), dim=-1).to(x_BTHC.dtype)


class Attention(nn.Module):
    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.heads, self.kv_heads = config.attention_heads, config.kv_heads
        self.head_size = config.head_size
        rows = (self.heads + 2 * self.kv_heads) * self.head_size
        self.qkv = nn.Linear(config.width, rows, bias=False)
        self.out = nn.Linear(config.width, config.width, bias=False)

    def forward(self, x_BTD: Tensor, place: Place, held: Held | None) -> Tensor:
        B, T, D = x_BTD.shape
        H, G, C = self.heads, self.kv_heads, self.head_size
        qkv = self.qkv(x_BTD).view(B, T, H + 2 * G, C)
        qk, v_BTGC = torch.split(qkv, [H + G, G], dim=2)
        q_BTHC, k_BTGC = torch.split(rotate(qk, place), [H, G], dim=2)
        if held is None:
            return self.out(_attend_causally(q_BTHC, k_BTGC, v_BTGC, place).reshape(B, T, D))
        assert place.flat_slots is not None
        keys, values = held.write(place.flat_slots, k_BTGC, v_BTGC)
        # A group's queries share their keys: fold them into the query length instead of copying.
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
    """SwiGLU (Shazeer 2020), gate and value in one matrix."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.up = nn.Linear(config.width, 2 * config.hidden, bias=False)
        self.down = nn.Linear(config.hidden, config.width, bias=False)

    def forward(self, x_BTD: Tensor) -> Tensor:
        gate, value = self.up(x_BTD).chunk(2, dim=-1)
        return self.down(F.silu(gate) * value)


class Layer(nn.Module):
    """One pre-norm transformer layer. `layer` is its place in the cache."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.layer = layer
        self.attention_norm = RMSNorm(config.width, config.norm_eps)
        self.attention = Attention(config)
        self.feed_forward_norm = RMSNorm(config.width, config.norm_eps)
        self.feed_forward = FeedForward(config)

    def initialize(self, generator: torch.Generator) -> None:
        """Fan-in scaled matrices; what writes to the residual stream starts at zero."""
        for matrix in (self.attention.qkv.weight, self.feed_forward.up.weight):
            nn.init.normal_(matrix, std=1 / math.sqrt(matrix.shape[1]), generator=generator)
        nn.init.zeros_(self.attention.out.weight)
        nn.init.zeros_(self.feed_forward.down.weight)

    def forward(self, x_BTD: Tensor, place: Place) -> Tensor:
        if place.cache is None:
            return (place.compute or Layer.compute)(self, x_BTD, place, None)
        compute = place.cache.compute or Layer.compute
        return compute(self, x_BTD, place, place.cache.of_layer(self.layer))

    def compute(self, x_BTD: Tensor, place: Place, held: Held | None) -> Tensor:
        """The arithmetic. Nothing in it depends on which layer this is: compile one, serve all."""
        x_BTD = x_BTD + self.attention(self.attention_norm(x_BTD), place, held)
        return x_BTD + self.feed_forward(self.feed_forward_norm(x_BTD))
