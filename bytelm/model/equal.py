"""Models of any number of heads at equal parameters.

Heads with layers take them from the trunk (`ModelConfig.layers` counts both), so such models are
equal by construction. Heads that are a matrix each have no layer to give back: what those beyond
the first take comes out of the n-gram tables, or, in models without tables, out of the
feed-forward layers.
"""

import dataclasses

from bytelm.alphabet import VOCAB
from bytelm.base.errors import InputError
from bytelm.config import HeadKind, ModelConfig

# Products of other sizes are slower.
MULTIPLE = 16


def at_equal_parameters(config: ModelConfig, heads: int, kind: HeadKind) -> ModelConfig:
    """`config` with `heads` heads of `kind`, of as many parameters as with one head.

    Feed-forward layers shrink in steps of 16 channels, so that the counts differ by some
    thousandths. Raises InputError where the heads take more than there is.
    """
    changed = dataclasses.replace(config, prediction_heads=heads, head_kind=kind)
    matrix = {"unembed": VOCAB * config.width, "linear": config.width**2}.get(kind, 0)
    excess = (heads - 1) * matrix
    if not excess:
        return changed
    if config.ngram_orders:
        rows = config.ngram_rows - round(excess / (len(config.ngram_orders) * config.width))
        if rows < 1:
            raise InputError(
                f"{heads} heads have more parameters than the n-gram tables could give"
            )
        return dataclasses.replace(changed, ngram_rows=rows)
    channel = 3 * config.width * config.layers
    hidden = config.hidden - MULTIPLE * round(excess / channel / MULTIPLE)
    if hidden < MULTIPLE:
        raise InputError(
            f"{heads} {kind} heads have more parameters than the feed-forward layers could give"
        )
    return dataclasses.replace(changed, hidden=hidden)
