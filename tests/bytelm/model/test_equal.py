"""Models of different n, and of all kinds of heads, have equal parameters."""

import pytest
import torch
from support import small_config

from bytelm.base.errors import InputError
from bytelm.config import HEAD_KINDS, HeadKind, ModelConfig, load_preset, model_config
from bytelm.model.equal import at_equal_parameters
from bytelm.model.model import Model


def parameters(config: ModelConfig) -> int:
    with torch.device("meta"):
        return Model(config).parameters_by_part()["total"]


def preset(name: str) -> ModelConfig:
    return model_config(load_preset(name)["model"], name)


@pytest.mark.medium
@pytest.mark.parametrize("kind", HEAD_KINDS)
@pytest.mark.parametrize("n", [2, 4, 8])
@pytest.mark.parametrize("name", ["tiny", "paper-3m", "paper-30m", "paper-100m", "paper-7b"])
def test_parameters_are_those_of_one_head_within_a_hundredth(
    name: str, kind: HeadKind, n: int
) -> None:
    config = preset(name)
    if kind in ("block", "causal", "anticausal") and n >= config.layers:
        with pytest.raises(InputError, match="layers must exceed"):
            at_equal_parameters(config, n, kind)
        return
    one = parameters(at_equal_parameters(config, 1, kind))
    assert parameters(at_equal_parameters(config, n, kind)) == pytest.approx(one, rel=0.01)


def test_one_head_is_the_model_as_it_stands() -> None:
    config = preset("paper-3m")
    assert at_equal_parameters(config, 1, "unembed").hidden == config.hidden


@pytest.mark.parametrize("orders", [(), (2, 3)])
def test_heads_that_take_more_than_there_is_are_refused(orders: tuple[int, ...]) -> None:
    config = small_config(ngram_orders=orders, ngram_rows=20 if orders else 0)
    with pytest.raises(InputError, match="more parameters than"):
        at_equal_parameters(config, 32, "unembed")
