"""Pack a model's weights into the layout that the C++ step reads.

A matrix (outputs, inputs) becomes panels of 64 outputs: [panel][unit of inputs][64][inputs of a
unit]. A unit is 32 bits: one float32 or two bfloat16. Both sizes are padded with zeros.

Shapes: N outputs, I inputs, D width, C head dim, V id.
"""

import weakref

import torch
import torch.nn.functional as F
from torch import Tensor

from bytelm.model.layers import Layer
from bytelm.model.model import Model

PANEL = 64
LANES = 16


def up_to(size: int, multiple: int) -> int:
    """`size` rounded up to a multiple of `multiple`."""
    return -(-size // multiple) * multiple


def panels(weight_NI: Tensor, inputs: int, dtype: torch.dtype) -> Tensor:
    """Pack `weight_NI` into panels of `dtype`, with its inputs padded to `inputs`."""
    pair = 4 // dtype.itemsize
    outputs = up_to(len(weight_NI), PANEL)
    padded = F.pad(weight_NI, (0, inputs - weight_NI.shape[1], 0, outputs - len(weight_NI)))
    split = padded.to(dtype).view(outputs // PANEL, PANEL, inputs // pair, pair)
    return split.permute(0, 2, 1, 3).contiguous()


def vector(weight_D: Tensor, size: int) -> Tensor:
    """`weight_D` in float32, padded with zeros to `size`."""
    return F.pad(weight_D.float(), (0, size - len(weight_D))).contiguous()


def padded_heads(weight_NI: Tensor, head_size: int, padded: int) -> Tensor:
    """Pad each head's `head_size` rows with zero rows to `padded` rows."""
    by_head = weight_NI.view(-1, head_size, weight_NI.shape[1])
    return F.pad(by_head, (0, 0, 0, padded - head_size)).flatten(0, 1)


def gates_beside_values(weight_NI: Tensor) -> Tensor:
    """Reorder rows (gates, then values) so that a panel has 32 gates, then their 32 values."""
    gate, value = weight_NI.chunk(2)
    extra = up_to(len(gate), PANEL // 2) - len(gate)
    width = weight_NI.shape[1]
    parts = [F.pad(part, (0, 0, 0, extra)).view(-1, PANEL // 2, width) for part in (gate, value)]
    return torch.cat(parts, dim=1).flatten(0, 1)


def pack_layer(layer: Layer, dtype: torch.dtype) -> dict[str, Tensor]:
    """Pack the weights of one layer, by the names of the fields of LayerTensors in structs.h."""
    attention, feed_forward = layer.attention, layer.feed_forward
    size, width = attention.head_size, attention.qkv.in_features
    wide, head = up_to(width, LANES), up_to(size, LANES)
    rows = [attention.heads * size, 2 * attention.kv_heads * size]
    q, kv = (padded_heads(part, size, head) for part in torch.split(attention.qkv.weight, rows))
    out = padded_heads(attention.out.weight.T.contiguous(), size, head).T
    hidden = up_to(feed_forward.down.in_features, PANEL // 2)
    return {
        "attention_norm": vector(layer.attention_norm.weight, wide),
        "q": panels(q, wide, dtype),
        "kv": panels(kv, wide, dtype),
        "out": panels(out, out.shape[1], dtype),
        "feed_forward_norm": vector(layer.feed_forward_norm.weight, wide),
        "up": panels(gates_beside_values(feed_forward.up.weight), wide, dtype),
        "down": panels(feed_forward.down.weight, hidden, dtype),
    }


class PackedModel:
    """A model's packed weights, and the measured times of its steps.

    `trunk`: the layers of the trunk. `shared`: the other tensors, by the names of the fields of
    ModelTensors in structs.h. `costs_s`: the measured times.
    """

    def __init__(self, model: Model) -> None:
        self.dtype = model.embedding.weight.dtype
        self.trunk = [pack_layer(layer, self.dtype) for layer in model.trunk()]
        wide, ngrams = up_to(model.config.width, LANES), model.ngrams
        nothing = torch.zeros(1, dtype=torch.int64)
        self.shared = {
            "embedding": model.embedding.weight.detach().contiguous(),
            "ngram_tables": nothing if ngrams is None else ngrams.weight.detach().contiguous(),
            "ngram_multipliers": nothing if ngrams is None else ngrams.multipliers_OL.contiguous(),
            "cosines": model.cos_SC.float().contiguous(),
            "sines": model.sin_SC.float().contiguous(),
            "head_norm": vector(model.heads.norm.weight, wide),
            "unembedding": panels(model.heads.folded(0), wide, self.dtype),
        }
        # Seconds of a step that feeds 1, ..., k ids per row, by (batch, k, threads, position).
        self.costs_s: dict[tuple[int, ...], tuple[float, ...]] = {}
        self._drafting: dict[int, tuple[list[dict[str, Tensor]], Tensor]] = {}

    def drafting(self, model: Model, k: int) -> tuple[list[dict[str, Tensor]], Tensor]:
        """The packed layers that heads 1..k need, in order, and the unembeddings of heads 2..k."""
        if k not in self._drafting:
            wide = up_to(model.config.width, LANES)
            layers = [
                pack_layer(layer, self.dtype)
                for head in model.heads.running(k)
                for layer in model.heads.layers_of(head)
            ]
            own = [model.heads.folded(head) for head in range(1, k)]
            # Heads with layers use head 1's unembedding.
            shared = k == 1 or bool(layers)
            matrix = (
                self.shared["unembedding"] if shared else panels(torch.cat(own), wide, self.dtype)
            )
            self._drafting[k] = (layers, matrix)
        return self._drafting[k]


_packed: "weakref.WeakKeyDictionary[Model, tuple[object, PackedModel]]" = (
    weakref.WeakKeyDictionary()
)


@torch.no_grad()
def packed(model: Model) -> PackedModel:
    """The packed weights of `model`. They are packed again only if the weights have changed."""
    stamp = [
        (p.data_ptr(), p.dtype, 0 if p.is_inference() else p._version) for p in model.parameters()
    ]
    known = _packed.get(model)
    if known is None or known[0] != stamp:
        known = (stamp, PackedModel(model))
        _packed[model] = known
    return known[1]
