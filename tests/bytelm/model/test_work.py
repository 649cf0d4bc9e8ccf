"""The model's own counts of operations, against those that torch counts while it runs."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from support import random_model, small_config
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from bytelm.alphabet import VOCAB
from bytelm.config import HEAD_KINDS, ModelConfig
from bytelm.decode.step import HeadDrafter, State, sayable, step
from bytelm.model.model import Model
from bytelm.training.batches.packing import Batch
from bytelm.training.objective import Objective

ROWS, POSITION, BLOCK = 3, 40, 24
PLAIN = {"window": 0, "ngram_orders": (), "ngram_rows": 0, "kv_heads": 4}


def model_of(kind: str, heads: int, **changes: object) -> Model:
    return random_model(small_config(layers=6, head_kind=kind, prediction_heads=heads, **changes))


def new_counter() -> FlopCounterMode:
    """With the attention of CPUs, which torch's list of operations leaves out."""
    attention = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    attention_flops: Callable[..., int] = sdpa_flop_count

    def flops(q: Any, k: Any, v: Any, *_: Any, **__: Any) -> int:
        return attention_flops(q, k, v)

    return FlopCounterMode(display=False, custom_mapping={attention: flops})


def counted(counter: FlopCounterMode) -> tuple[int, int]:
    """Operations of matrix products, and of attention."""
    found: dict[Any, int] = counter.get_flop_counts()["Global"]
    attention = sum(flops for op, flops in found.items() if "attention" in str(op))
    return counter.get_total_flops() - attention, attention


VARIANTS: list[dict[str, object]] = [
    {}, PLAIN, {**PLAIN, "kv_heads": 1}, {"window": 12}, {"short_window": 6},
    {"short_window": 6, "window": 0},
]  # fmt: skip


def seen_by(config: ModelConfig, layers: int, positions: int) -> int:
    """The positions that a query attends to, over the first `layers` layers together."""
    short = min(layers, config.trunk_layers - 1) if config.short_window else 0
    near, far = config.short_window or positions, config.window or positions
    return short * min(positions, near) + (layers - short) * min(positions, far)


@pytest.mark.medium
@pytest.mark.parametrize("changes", VARIANTS, ids=str)
@pytest.mark.parametrize("heads", [1, 2, 4])
@pytest.mark.parametrize("kind", HEAD_KINDS)
def test_a_training_byte_is_what_torch_counts(
    kind: str, heads: int, changes: dict[str, object]
) -> None:
    model = model_of(kind, heads, **changes).requires_grad_(True)
    config, objective = model.config, Objective(model, 0.3)
    # Torch's own attention, which torch's counter knows.
    objective._attend = None
    ids = torch.randint(0, 256, (2, BLOCK))
    batch = Batch(ids, torch.randint(0, 256, (heads, 2, BLOCK)))
    with new_counter() as counter:
        objective.backward(batch)
    products, _ = counted(counter)
    norms = 2 * config.layers * config.width + config.width
    assert products == (model.flops_per_byte(0, training=True) - 3 * 2 * norms) * 2 * BLOCK
    # Of attention, for each position in view: a product with its key, and one with its value.
    attention = model.flops_per_byte(10) - model.flops_per_byte(0)
    assert attention == 2 * 2 * config.width * seen_by(config, config.layers, 10)


@pytest.mark.medium
@pytest.mark.parametrize("changes", VARIANTS, ids=str)
@pytest.mark.parametrize("heads", [1, 2, 4])
@pytest.mark.parametrize("kind", HEAD_KINDS)
def test_a_decoding_step_is_what_torch_counts(
    kind: str, heads: int, changes: dict[str, object]
) -> None:
    model = model_of(kind, heads, **changes)
    config = model.config
    for width in {1, (heads + 1) // 2, heads}:
        cache = model.new_cache(ROWS, 64)
        bias = sayable(torch.device("cpu"))
        state = State.empty(ROWS, width, torch.device("cpu"))
        state.positions_B.fill_(POSITION)
        state.limits_B.fill_(63)
        drafter = HeadDrafter(model, width, bias) if width > 1 else None
        with new_counter() as counter:
            step(model, cache, state, drafter, bias)
        products, attention = counted(counter)
        work = model.decoding_work(ROWS, width, POSITION, 4)
        bare = model.decoding_work(ROWS, width, 0, 4)
        # Layers that run, by what torch counts of attention: over the cache's 64 slots.
        layers = attention // (4 * ROWS * width * config.width * 64)
        assert attention == 4 * ROWS * width * config.width * 64 * layers
        seen = seen_by(config, layers, POSITION)
        assert work.flops - bare.flops == 4 * ROWS * width * config.width * seen
        kv = 2 * config.kv_heads * config.head_size * 4
        assert work.bytes - bare.bytes == ROWS * seen * kv
        spoken = ROWS * (2 * width - 1)
        normed = spoken if config.head_layers else ROWS * width
        norms = 2 * config.width * (2 * layers * ROWS * width + normed)
        assert products == bare.flops - norms


def used_in(model: Model, width: int) -> int:
    """Values of the weights that a step's logits depend on, the lookups apart."""
    model.requires_grad_(True)
    cache = model.new_cache(1, 64)
    output = model(torch.randint(0, 256, (1, width)), cache, torch.tensor([POSITION]))
    total = model.logits(output).sum()
    if width > 1:
        total = total + model.drafts(width)(output, torch.tensor([width - 1])).sum()
    looked_up = {"embedding.weight", "ngrams.weight"}
    names = [name for name, _ in model.named_parameters() if name not in looked_up]
    found = torch.autograd.grad(
        total, [model.get_parameter(name) for name in names], allow_unused=True
    )
    return sum(g.numel() for g in found if g is not None)


@pytest.mark.parametrize("heads", [1, 2, 4])
@pytest.mark.parametrize("kind", HEAD_KINDS)
def test_a_step_reads_the_weights_that_its_logits_depend_on(kind: str, heads: int) -> None:
    for width in {1, (heads + 1) // 2, heads}:
        model = model_of(kind, heads)
        expected = used_in(model, width)
        if kind == "unembed":
            # Drafts are made from a copy of the unembeddings that is packed beforehand.
            expected += (width - 1) * VOCAB * model.config.width
        assert model.decoding_work(5, width, 0, 2).bytes == 2 * expected


def test_the_work_of_a_step_grows_with_rows_and_the_weights_do_not() -> None:
    model = model_of("block", 4)
    one, four = (model.decoding_work(rows, 2, POSITION, 4) for rows in (1, 4))
    held = model.decoding_work(1, 2, POSITION, 4).bytes - model.decoding_work(1, 2, 0, 4).bytes
    assert four.flops == 4 * one.flops
    assert four.bytes == one.bytes + 3 * held
