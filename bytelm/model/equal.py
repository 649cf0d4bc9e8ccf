"""Models with different numbers of heads and equally many parameters.

Heads with layers take their layers from the trunk (`ModelConfig.layers` counts both), so such
models have the same size by construction. Heads that are one matrix each have no layers. For those,
the n-gram tables shrink by the size of the additional heads. In a model without tables, the
feed-forward layers shrink.
"""

import dataclasses

from bytelm.alphabet import VOCAB
from bytelm.base.errors import InputError
from bytelm.config import HeadKind, ModelConfig

# Matrix products are slower for sizes that are no multiple of this.
MULTIPLE = 16


def at_equal_parameters(config: ModelConfig, heads: int, kind: HeadKind) -> ModelConfig:
    """`config` with `heads` heads of `kind`, and as many parameters as with one head.

    Feed-forward layers shrink in steps of 16 channels, so the counts differ by a few thousandths.
    Raises InputError if the heads have more parameters than can be saved elsewhere.
    """
    changed = dataclasses.replace(config, prediction_heads=heads, head_kind=kind)
    matrix = {"unembed": VOCAB * config.width, "linear": config.width**2}.get(kind, 0)
    excess = (heads - 1) * matrix
    if not excess:
        return changed
    if config.ngram_orders:
        rows = config.ngram_rows - round(excess / (len(config.ngram_orders) * config.width))
        if rows < 1:
            raise InputError(f"{heads} heads have more parameters than the n-gram tables can save")
        return dataclasses.replace(changed, ngram_rows=rows)
    channel = 3 * config.width * config.layers
    hidden = config.hidden - MULTIPLE * round(excess / channel / MULTIPLE)
    if hidden < MULTIPLE:
        raise InputError(
            f"{heads} {kind} heads have more parameters than the feed-forward layers can save"
        )
    return dataclasses.replace(changed, hidden=hidden)
