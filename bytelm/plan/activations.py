"""What autograd keeps between forward and backward, derived from the code of the layers.

All counts are of eager code (compiled code keeps less) and of one micro batch on one GPU. In the
formulas N = rows x block is the number of positions, D the width, F the inner size, V the ids,
H and G the heads of queries and of keys, C their size; c and r are the bytes of a value that a
matrix product reads and of one of the residual stream.
"""

from dataclasses import dataclass

from bytelm.alphabet import VOCAB
from bytelm.config import ModelConfig
from bytelm.model.model import Model

FLOAT32, BFLOAT16 = 4, 2


@dataclass(frozen=True)
class Precision:
    """Bytes of a value. By default those of bfloat16 under autocast on a GPU."""

    matrix: int = BFLOAT16
    """c: what matrix products read and write."""
    residual: int = FLOAT32
    """r: the residual stream."""
    fused_norm: bool = True
    """A GPU's RMSNorm keeps its input; a CPU's keeps input and normed input, in float32."""

    def norm(self, width: int) -> int:
        """What one RMSNorm keeps of a position: its input and a scale (r D + 4), or 8 D + 4."""
        return (self.residual if self.fused_norm else 2 * FLOAT32) * width + FLOAT32


@dataclass(frozen=True)
class MicroBatch:
    """What one GPU runs at a time."""

    rows: int
    block: int

    @property
    def positions(self) -> int:
        return self.rows * self.block


def layer_bytes(config: ModelConfig, micro: MicroBatch, precision: Precision) -> int:
    """What one transformer layer keeps for its backward.

    A position costs, the weights apart,

        two norms      2 (r D + 4)      see Precision.norm
        qkv            c D              its input
        attention      c (H + G) C      queries and keys after rotation, which are one tensor
                       c (H + 2 G) C    values: a view of what the qkv matrix wrote, all of it kept;
                                        if G < H instead 2 c H C: keys and values, repeated
                       4 H              each query's log-sum-exp
        out            c D              its input, which is also attention's output
        up             c D              its input
        SwiGLU         4 c F            gate and value, silu(gate), and the input of `down`
    """
    D, C, c = config.width, config.head_size, precision.matrix
    H, G = config.attention_heads, config.kv_heads
    values = 2 * H if G < H else H + 2 * G
    attention = c * (H + G + values) * C + FLOAT32 * H
    position = 2 * precision.norm(D) + 3 * c * D + attention + 4 * c * config.hidden
    return micro.positions * position


def trunk_bytes(config: ModelConfig, micro: MicroBatch, precision: Precision) -> int:
    """What the trunk's forward keeps: its layers, the final norm, the ids.

    A window adds its T x T mask; autocast casts it anew for each layer.
    """
    masks = 0
    if 0 < config.window < micro.block:
        copies = 1 if precision.matrix == precision.residual else config.trunk_layers
        masks = copies * precision.matrix * micro.block**2
    layers = config.trunk_layers * layer_bytes(config, micro, precision)
    return layers + masks + micro.positions * (precision.norm(config.width) + 8)


def inputs_bytes(config: ModelConfig, micro: MicroBatch, precision: Precision) -> int:
    """What the trunk's forward keeps where the backward runs each layer anew.

    Of every layer its input, r D a position; the final norm and the ids as before. (That is
    activation checkpointing, torch.utils.checkpoint around each layer.)
    """
    inputs = config.trunk_layers * precision.residual * config.width
    return micro.positions * (inputs + precision.norm(config.width) + 8)


def layer_backward_bytes(config: ModelConfig, micro: MicroBatch, precision: Precision) -> int:
    """Gradients in flight at the widest moment of a layer's backward, the SwiGLU's.

    The residual stream's and, until the trunk is done, the trunk's output and its gradient: 3 r D.
    In the product of gate and value, 3 c F come in and go out, and the input of `down` is gone.
    """
    r, c = precision.residual, precision.matrix
    return micro.positions * (3 * r * config.width + 2 * c * config.hidden)


def logits_bytes(micro: MicroBatch) -> int:
    """The float32 logits of one head: 4 V a position."""
    return micro.positions * FLOAT32 * VOCAB


def loss_backward_bytes(micro: MicroBatch) -> int:
    """What cross-entropy holds at most: the log-probabilities, their gradient, the logits': 12 V.

    The logits themselves are gone by then, and their bfloat16 gradient comes afterwards.
    """
    return 3 * logits_bytes(micro)


def head_bytes(model: Model, micro: MicroBatch, precision: Precision) -> int:
    """What the sequential loop over the heads holds at most, for one head at a time.

    What the layers of the head keep (of the head that has most), and the wider of their backward
    and of the loss with what lies around it: the trunk's output and the buffer of its gradient,
    2 r D; the input of the unembedding and its gradient, 2 c D; a norm, where heads have layers.
    """
    config = model.config
    layers = max(len(model.heads.layers_of(index)) for index in range(model.heads.n))
    position = 2 * (precision.residual + precision.matrix) * config.width
    loss = micro.positions * position + loss_backward_bytes(micro)
    if not layers:
        return loss
    loss += micro.positions * precision.norm(config.width)
    backward = layer_backward_bytes(config, micro, precision)
    # The trunk's output is what the first layer keeps as its input.
    kept = layers * layer_bytes(config, micro, precision)
    kept -= micro.positions * precision.residual * config.width
    return kept + max(loss, backward)


def working_bytes(model: Model, micro: MicroBatch, precision: Precision, recompute: bool) -> int:
    """The wider of two moments that never meet: inside a head, and inside a layer's backward."""
    layer = layer_backward_bytes(model.config, micro, precision)
    if recompute:
        # Its input was kept already.
        layer += layer_bytes(model.config, micro, precision)
        layer -= micro.positions * precision.residual * model.config.width
    return max(head_bytes(model, micro, precision), layer)
