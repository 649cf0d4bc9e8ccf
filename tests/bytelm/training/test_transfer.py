"""Beginning with other heads: head 1 says what it said, and what can be taken over is."""

from pathlib import Path

import pytest
import torch
from support import random_model, save_model, small_config

from bytelm.base.errors import InputError
from bytelm.config import HEAD_KINDS, ModelConfig
from bytelm.model.model import Model
from bytelm.training.transfer import begin_with, check_fits


def of_kind(kind: str, path: int, n: int) -> ModelConfig:
    """A model whose next byte goes through `path` layers."""
    layers = {"block": path + n - 1, "causal": path + n - 1}.get(kind, path)
    return small_config(layers=layers, head_kind=kind, prediction_heads=n)


def saved(folder: Path, config: ModelConfig) -> Model:
    model = random_model(config)
    save_model(folder, model)
    return model


@pytest.mark.medium
@pytest.mark.parametrize("old_kind", HEAD_KINDS)
@pytest.mark.parametrize("new_kind", HEAD_KINDS)
@pytest.mark.parametrize(("old_n", "new_n"), [(3, 3), (1, 4), (4, 2)])
def test_the_next_byte_stays_whatever_the_heads_become(
    old_kind: str, new_kind: str, old_n: int, new_n: int, tmp_path: Path
) -> None:
    old = saved(tmp_path, of_kind(old_kind, 5, old_n))
    config = of_kind(new_kind, 5, new_n)
    check_fits(tmp_path / "step-000000001", config)
    new = Model(config, seed=9)
    begin_with(new, tmp_path)
    ids = torch.randint(0, 256, (2, 30), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(new.logits(new(ids)), old.logits(old(ids)), rtol=1e-4, atol=1e-4)
        if old_kind == new_kind != "anticausal":
            for head in range(1, min(old_n, new_n)):
                torch.testing.assert_close(
                    new.logits(new(ids), head), old.logits(old(ids), head), rtol=1e-4, atol=1e-4
                )


def test_linear_heads_become_unembeddings_that_say_the_same(tmp_path: Path) -> None:
    old = saved(tmp_path, of_kind("linear", 2, 4))
    new = Model(of_kind("unembed", 2, 4), seed=9)
    begin_with(new, tmp_path)
    ids = torch.arange(20)[None]
    with torch.no_grad():
        for head in range(4):
            torch.testing.assert_close(
                new.logits(new(ids), head), old.logits(old(ids), head), rtol=1e-4, atol=1e-4
            )


def test_another_number_of_layers_is_refused_with_what_to_change(tmp_path: Path) -> None:
    saved(tmp_path, of_kind("unembed", 2, 4))
    with pytest.raises(InputError, match=r"through 2 layers .* through 3; .*model\.layers"):
        check_fits(tmp_path / "step-000000001", of_kind("block", 3, 4))
