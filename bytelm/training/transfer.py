"""Start from the weights of another run, with the same heads or different ones.

The layers that predict the next byte (the trunk's and head 1's) are copied in order, so head 1's
output stays the same, whatever the new kind of heads. Other heads are copied if both models have
them and the kind is the same. New heads start with new weights.
"""

from pathlib import Path

import torch
from torch import Tensor

from bytelm.base.errors import InputError, option
from bytelm.checkpoint import load_checkpoint, read_about
from bytelm.config import ModelConfig, model_config
from bytelm.model.head_kinds import LinearHeads, UnembedHeads
from bytelm.model.model import Model

# Options that both models must share. The others set the number of layers and the heads.
SHAPE = (
    "width", "attention_heads", "kv_heads", "hidden", "window", "short_window",
    "ngram_orders", "ngram_rows", "rope_base", "norm_eps",
)  # fmt: skip


def check_fits(init: Path, config: ModelConfig) -> None:
    """Raise InputError if a model of `config` cannot start from the checkpoint `init`."""
    old = model_config(read_about(init)["model"], str(init))
    for name in SHAPE:
        have, want = getattr(old, name), getattr(config, name)
        if have != want:
            raise InputError(
                f"{option('init')} {init} has model.{name} = {have!r}, the preset has {want!r}; "
                f"give the preset that it was trained with, or {option(f'model.{name}')}"
            )
    have, want = old.next_byte_layers, config.next_byte_layers
    if have != want:
        raise InputError(
            f"{option('init')} {init} predicts the next byte through {have} layers (trunk and "
            f"head 1), the preset through {want}; change {option('model.layers')}, which counts "
            "the layers of all heads too"
        )


@torch.no_grad()
def begin_with(model: Model, init: Path) -> None:
    """Copy the weights of the checkpoint `init` into `model`, as the module's docstring says."""
    device = str(model.embedding.weight.device)
    old = load_checkpoint(init, device).model
    _copy(model.embedding.weight, old.embedding.weight)
    if model.ngrams is not None and old.ngrams is not None:
        _copy(model.ngrams.weight, old.ngrams.weight)
    new_path = [*model.trunk(), *model.heads.next_layers()]
    old_path = [*old.trunk(), *old.heads.next_layers()]
    for new_layer, old_layer in zip(new_path, old_path, strict=True):
        new_layer.load_state_dict(old_layer.state_dict())
    _copy(model.heads.norm.weight, old.heads.norm.weight)
    _begin_heads(model, old)


def _begin_heads(model: Model, old: Model) -> None:
    new, heads = model.heads, old.heads
    both = range(1, min(new.n, heads.n))
    if isinstance(new, UnembedHeads):
        _copy(new.unembedding(0), heads.folded(0))
        if model.config.head_layers == old.config.head_layers:
            # Heads without layers are linear, so each folds into one unembedding matrix.
            for head in both:
                _copy(new.unembedding(head), heads.folded(head))
        return
    if isinstance(new, LinearHeads) and isinstance(heads, LinearHeads):
        _copy(new.weight_VD, heads.weight_VD)
        for head in (0, *both):
            _copy(new.matrix(head), heads.matrix(head))
        return
    _copy(new.unembedding(0), heads.folded(0))
    if type(new) is type(heads):
        for head in both:
            for new_layer, old_layer in zip(
                new.layers_of(head), heads.layers_of(head), strict=True
            ):
                new_layer.load_state_dict(old_layer.state_dict())


def _copy(to: Tensor, value: Tensor) -> None:
    to.copy_(value)
