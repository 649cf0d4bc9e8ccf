"""One forward path: chunked equals whole, rows do not see each other, accounting is exact."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support import random_model, small_config

from bytelm.config import ModelConfig, load_preset, model_config, preset_names
from bytelm.model.heads import Output
from bytelm.model.model import Model

CONFIGS = [
    small_config(),
    small_config(window=0),
    small_config(ngram_orders=(), ngram_rows=0),
    small_config(head_kind="linear"),
    small_config(layers=10, head_kind="block"),
    small_config(layers=6, head_kind="causal", prediction_heads=4),
    small_config(layers=6, head_kind="anticausal", prediction_heads=4),
    small_config(layers=3, short_window=10),
    small_config(layers=10, short_window=10, window=0, head_kind="block"),
    small_config(attention_heads=2, kv_heads=1, prediction_heads=2),
]
MODELS = [random_model(config) for config in CONFIGS]


def all_logits(model: Model, ids_BT: torch.Tensor, cuts: list[int]) -> torch.Tensor:
    """Logits of all heads (K, B, T, V), the text fed in chunks cut at `cuts`."""
    cache = model.new_cache(ids_BT.shape[0])
    pieces = []
    edges = [0, *cuts, ids_BT.shape[1]]
    for start, end in itertools.pairwise(edges):
        positions_B = torch.full((ids_BT.shape[0],), start)
        output = model(ids_BT[:, start:end], cache, positions_B)
        heads = range(model.config.prediction_heads)
        pieces.append(torch.stack([model.logits(output, head) for head in heads]))
    return torch.cat(pieces, dim=2)


def random_ids(batch: int, length: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(0, 262, (batch, length), generator=torch.Generator().manual_seed(seed))


def without_cache(model: Model, ids_BT: torch.Tensor) -> torch.Tensor:
    output = model(ids_BT)
    heads = range(model.config.prediction_heads)
    return torch.stack([model.logits(output, head) for head in heads])


@pytest.mark.parametrize("model", MODELS, ids=range(len(MODELS)))
def test_cached_equals_uncached(model: Model) -> None:
    ids = random_ids(3, 100)
    cached = all_logits(model, ids, [])
    torch.testing.assert_close(cached, without_cache(model, ids), rtol=1e-4, atol=1e-4)


@pytest.mark.medium
@pytest.mark.parametrize("model", MODELS, ids=range(len(MODELS)))
def test_chunked_equals_whole_at_every_single_split(model: Model) -> None:
    ids = random_ids(2, 60, seed=1)
    whole = all_logits(model, ids, [])
    for cut in range(1, 60):
        torch.testing.assert_close(all_logits(model, ids, [cut]), whole, rtol=1e-4, atol=1e-4)


@pytest.mark.medium
@settings(max_examples=25, deadline=None)
@given(
    which=st.integers(0, len(MODELS) - 1),
    cuts=st.sets(st.integers(1, 79), max_size=8),
    seed=st.integers(0, 100),
)
def test_chunked_equals_whole_at_any_splits(which: int, cuts: set[int], seed: int) -> None:
    ids = random_ids(2, 80, seed)
    whole = all_logits(MODELS[which], ids, [])
    chunked = all_logits(MODELS[which], ids, sorted(cuts))
    torch.testing.assert_close(chunked, whole, rtol=1e-4, atol=1e-4)


@pytest.mark.medium
@settings(max_examples=20, deadline=None)
@given(
    which=st.integers(0, len(MODELS) - 1),
    lengths=st.lists(st.integers(1, 70), min_size=2, max_size=4),
    block=st.integers(1, 9),
)
def test_ragged_rows_equal_single_rows(which: int, lengths: list[int], block: int) -> None:
    """Rows at positions of their own see what they would see alone."""
    model = MODELS[which]
    ids = random_ids(len(lengths), 80, seed=7)
    cache = model.new_cache(len(lengths))
    heads = model.config.prediction_heads
    for row, length in enumerate(lengths):
        output = model(ids[row : row + 1, :length], cache.row(row), torch.tensor([0]))
        model.heads.fill(heads, output)
    blocks = torch.stack([ids[r, n : n + block] for r, n in enumerate(lengths)])
    together = model(blocks, cache, torch.tensor(lengths))
    for row, length in enumerate(lengths):
        alone = all_logits(model, ids[row : row + 1, : length + block], [length])
        for head in (0, heads - 1):
            torch.testing.assert_close(
                model.logits(together, head)[row], alone[head, 0, length:], rtol=1e-4, atol=1e-4
            )


@pytest.mark.parametrize("model", MODELS, ids=range(len(MODELS)))
def test_a_rejected_draft_leaves_no_trace(model: Model) -> None:
    ids = random_ids(1, 40, seed=3)
    clean = all_logits(model, ids, [20])
    cache = model.new_cache(1)
    heads = model.config.prediction_heads
    first = model(ids[:, :20], cache, torch.tensor([0]))
    model.heads.fill(heads, first)
    wrong = model(random_ids(1, 15, seed=99), cache, torch.tensor([20]))
    model.heads.fill(heads, wrong)
    again = model(ids[:, 20:], cache, torch.tensor([20]))
    for head in range(heads):
        torch.testing.assert_close(model.logits(again, head), clean[head, :, 20:])


def test_no_position_sees_a_later_one_or_one_beyond_its_window() -> None:
    model = random_model(small_config(layers=1, window=8, ngram_orders=(), ngram_rows=0))
    ids = random_ids(1, 30)
    base = model(ids).z_BTD
    changed = ids.clone()
    changed[0, 10] = (changed[0, 10] + 1) % 256
    differs = (model(changed).z_BTD - base).abs().amax(-1)[0] > 0
    assert differs.nonzero().flatten().tolist() == list(range(10, 18))


@pytest.mark.parametrize("window", [0, 12])
def test_only_the_last_layer_of_the_trunk_sees_beyond_the_short_window(window: int) -> None:
    plain = {"ngram_orders": (), "ngram_rows": 0, "window": window}
    model = random_model(small_config(layers=3, short_window=4, **plain))
    ids = random_ids(1, 60)
    changed = ids.clone()
    changed[0, 10] = (changed[0, 10] + 1) % 256
    differs = (model(changed).z_BTD - model(ids).z_BTD).abs().amax(-1)[0] > 0
    # Each layer with a short window carries what it sees 3 positions on, and the last one 11.
    reached = range(10, 11 + 3 + 3 + 11 if window else 60)
    assert differs.nonzero().flatten().tolist() == list(reached)


def test_reading_only_the_slots_that_are_filled_changes_nothing() -> None:
    model = MODELS[0]
    ids = random_ids(1, 120)
    whole = all_logits(model, ids, [110])
    cache = model.new_cache(1)
    model(ids[:, :110], cache, torch.tensor([0]))
    cache.look_at(120)
    output = model(ids[:, 110:], cache, torch.tensor([110]))
    torch.testing.assert_close(model.logits(output), whole[0, :, 110:])


@pytest.mark.medium
@settings(max_examples=20, deadline=None)
@given(
    blocks=st.lists(st.integers(1, 8), min_size=25, max_size=40),
    rejected=st.lists(st.integers(0, 7), min_size=40, max_size=40),
    starts=st.lists(st.integers(0, 60), min_size=2, max_size=2),
)
def test_a_ring_of_window_plus_block_is_as_good_as_the_whole_cache(
    blocks: list[int], rejected: list[int], starts: list[int]
) -> None:
    """Blocks of any lengths, parts of them taken back, long past where the ring has wrapped."""
    model = MODELS[0]
    ring, whole = model.new_cache(2, 48 + 8), model.new_cache(2)
    assert ring.slots < whole.slots
    ids = random_ids(2, 250, seed=5)
    positions = torch.zeros(2, dtype=torch.int64)
    for row, start in enumerate(starts):
        for at in range(0, start, 8):
            piece = ids[row : row + 1, at : min(at + 8, start)]
            for cache in (ring, whole):
                model(piece, cache.row(row), torch.tensor([at]))
        positions[row] = start
    for block, back in zip(blocks, rejected, strict=False):
        if int(positions.max()) + block > 200:
            break
        rows = [ids[row, at : at + block] for row, at in enumerate(positions.tolist())]
        results = [model(torch.stack(rows), cache, positions).z_BTD for cache in (ring, whole)]
        torch.testing.assert_close(results[0], results[1], rtol=1e-4, atol=1e-4)
        positions = positions + max(1, block - back)


@pytest.mark.parametrize("name", preset_names())
def test_presets_count_their_parameters_without_memory(name: str) -> None:
    config = model_config(load_preset(name)["model"], name)
    with torch.device("meta"):
        model = Model(config)
    parts = model.parameters_by_part()
    assert parts["total"] == sum(p.numel() for p in model.parameters())
    assert parts["trunk"] == config.trunk_layers * (
        config.width * (config.attention_heads + 2 * config.kv_heads) * config.head_size
        + config.width**2
        + 3 * config.width * config.hidden
        + 2 * config.width
    )


def test_accounting_of_flops_and_cache() -> None:
    config = ModelConfig(16, 1, 2, 1, 24, 64, prediction_heads=2)
    model = Model(config)
    trunk = 16 * (2 + 2) * 8 + 16 * 16 + 3 * 16 * 24
    matrices = trunk + 2 * 264 * 16
    norms = 3 * 16
    assert abs(model.flops_per_byte(0) - 2 * matrices) <= 2 * norms
    assert model.flops_per_byte(10) - model.flops_per_byte(0) == 4 * 16 * 10
    assert model.flops_per_byte(0) - model.flops_per_byte(0, heads=1) == 2 * 264 * 16
    assert model.flops_per_byte(10, training=True) == 3 * model.flops_per_byte(10)
    assert model.kv_bytes_per_position() == 2 * 8 * 4


def test_equal_layers_for_heads_with_layers() -> None:
    """The paper takes the heads' layers out of the trunk, so parameters stay equal."""
    configs = [small_config(layers=9, head_kind="block", prediction_heads=n) for n in (1, 2, 4, 8)]
    sizes = {Model(config).parameters_by_part()["total"] for config in configs}
    assert len(sizes) == 1


@pytest.mark.parametrize("model", MODELS, ids=range(len(MODELS)))
def test_documents_kept_apart_are_as_if_alone(model: Model) -> None:
    """With masks, what came before a document in its block changes nothing in it but positions."""
    ids, other = random_ids(2, 60, seed=1), random_ids(2, 60, seed=2)
    other[:, 25:] = ids[:, 25:]
    starts = torch.where(torch.arange(60) < 25, 0, 25).expand(2, 60)
    for head in (0, model.config.prediction_heads - 1):
        found = []
        for text in (ids, other):
            place = model.place_alone(text, starts)
            z_BTD = model.run_trunk(model.embed(text, starts_BT=starts), place)
            found.append(model.logits(Output(z_BTD, place), head)[:, 25:])
        assert torch.equal(found[0], found[1])
        apart = model.logits(model(ids[:, 25:]), head)
        # Rotary positions are relative: a shift of all changes rounding only.
        torch.testing.assert_close(found[0], apart, rtol=1e-3, atol=1e-3)
