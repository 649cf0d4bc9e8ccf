"""Count the activations that autograd keeps between forward and backward, in bytes.

The counts follow the code of the layers. They hold for eager code (compiled code keeps less) and
for one micro batch on one GPU. In the formulas N = rows x block is the number of positions, D the
width, F the inner size of the feed-forward layers, V the number of ids, H the query heads, G the
KV heads and C the head size. c is the bytes of a value in matrix products, and r of one in the
residual stream.
"""

from dataclasses import dataclass

from bytelm.alphabet import VOCAB
from bytelm.config import ModelConfig
from bytelm.model.model import Model

FLOAT32, BFLOAT16 = 4, 2


@dataclass(frozen=True)
class Precision:
    """Bytes of a value. The defaults are those of bfloat16 under autocast on a GPU."""

    matrix: int = BFLOAT16
    """c: a value that matrix products read or write."""
    residual: int = FLOAT32
    """r: a value of the residual stream."""
    fused_norm: bool = True
    """Whether RMSNorm keeps only its input, as on a GPU. On a CPU it keeps its input and the normed
    input, both in float32."""

    def norm(self, width: int) -> int:
        """Bytes that one RMSNorm keeps per position: input and scale, r D + 4; unfused, 8 D + 4."""
        return (self.residual if self.fused_norm else 2 * FLOAT32) * width + FLOAT32


@dataclass(frozen=True)
class MicroBatch:
    """The micro batch of one GPU: `rows` rows of `block` bytes."""

    rows: int
    block: int

    @property
    def positions(self) -> int:
        """N: the number of positions."""
        return self.rows * self.block


def layer_bytes(config: ModelConfig, micro: MicroBatch, precision: Precision) -> int:
    """Bytes that one transformer layer keeps for its backward.

    Apart from the weights, a position keeps

        two norms      2 (r D + 4)      see Precision.norm
        qkv            c D              its input
        attention      c (H + G) C      queries and keys after rotation, in one tensor
                       c (H + 2 G) C    values, a view that keeps the whole output of qkv;
                                        if G < H instead 2 c H C: keys and values, repeated
                       4 H              the log-sum-exp of each query
        out            c D              its input, which is also the output of attention
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
    """Bytes that the trunk's forward keeps: its layers, the final norm, the ids.

    A window adds a T x T mask. With autocast, each layer keeps its own cast of the mask.
    """
    windows = [config.window_of(layer) for layer in range(config.trunk_layers)]
    masked = [window for window in windows if 0 < window < micro.block]
    copies = len(set(masked) if precision.matrix == precision.residual else masked)
    masks = copies * precision.matrix * micro.block**2
    layers = config.trunk_layers * layer_bytes(config, micro, precision)
    return layers + masks + micro.positions * (precision.norm(config.width) + 8)


def inputs_bytes(config: ModelConfig, micro: MicroBatch, precision: Precision) -> int:
    """Bytes that the trunk's forward keeps with activation checkpointing of each layer.

    (torch.utils.checkpoint: the backward runs each layer's forward again.) Each layer keeps its
    input, r D per position. The final norm and the ids are kept as in `trunk_bytes`.
    """
    inputs = config.trunk_layers * precision.residual * config.width
    return micro.positions * (inputs + precision.norm(config.width) + 8)


def layer_backward_bytes(config: ModelConfig, micro: MicroBatch, precision: Precision) -> int:
    """The peak bytes of gradients in a layer's backward, which is in the SwiGLU.

    3 r D: the gradient of the residual stream, the trunk's output and its gradient. 2 c F: in the
    backward of the product of gate and value, 3 c F of gradients are alive, while the input of
    `down`, c F, has been freed.
    """
    r, c = precision.residual, precision.matrix
    return micro.positions * (3 * r * config.width + 2 * c * config.hidden)


def logits_bytes(micro: MicroBatch) -> int:
    """Bytes of the float32 logits of one head: 4 V per position."""
    return micro.positions * FLOAT32 * VOCAB


def loss_backward_bytes(micro: MicroBatch) -> int:
    """The peak bytes of cross-entropy: 12 V per position.

    These are the log-probabilities, their gradient and the logits' gradient. The logits have been
    freed by then, and their bfloat16 gradient is computed afterwards.
    """
    return 3 * logits_bytes(micro)


def head_bytes(model: Model, micro: MicroBatch, precision: Precision) -> int:
    """The peak bytes of the sequential loop over the heads, which runs one head at a time.

    It is what the layers of a head keep (of the head with most layers), plus the larger of two
    peaks. One is the backward of these layers. The other is the loss, with the trunk's output and
    the buffer of its gradient, 2 r D, the input of the unembedding and its gradient, 2 c D, and,
    if heads have layers, a norm.
    """
    config = model.config
    layers = max(len(model.heads.layers_of(index)) for index in range(model.heads.n))
    position = 2 * (precision.residual + precision.matrix) * config.width
    loss = micro.positions * position + loss_backward_bytes(micro)
    if not layers:
        return loss
    loss += micro.positions * precision.norm(config.width)
    backward = layer_backward_bytes(config, micro, precision)
    # The first layer's input is the trunk's output, which is counted already.
    kept = layers * layer_bytes(config, micro, precision)
    kept -= micro.positions * precision.residual * config.width
    return kept + max(loss, backward)


def working_bytes(model: Model, micro: MicroBatch, precision: Precision, recompute: bool) -> int:
    """The larger of two peaks that never coincide: in a head, and in the backward of a layer.

    `recompute`: with activation checkpointing.
    """
    layer = layer_backward_bytes(model.config, micro, precision)
    if recompute:
        # Its input is counted in `inputs_bytes`.
        layer += layer_bytes(model.config, micro, precision)
        layer -= micro.positions * precision.residual * model.config.width
    return max(head_bytes(model, micro, precision), layer)
