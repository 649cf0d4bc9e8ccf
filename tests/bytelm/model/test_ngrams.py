"""Hashed n-grams: same bytes same row, order by order, whatever the block's edges."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from bytelm.model.ngrams import NgramEmbedding, _multiplier


def plain_hash(module: NgramEmbedding, ids: list[int], order: int, at: int) -> int:
    """The definition, in Python's own integers."""
    total = sum((ids[at - back] + 1) * _multiplier(order * 64 + back) for back in range(order))
    index = module.orders.index(order)
    return ((total % 2**64) >> 33) % module.rows + index * module.rows


@given(st.lists(st.integers(0, 263), min_size=9, max_size=40))
def test_hash_is_its_definition(ids: list[int]) -> None:
    module = NgramEmbedding((2, 3, 5), 97, 4)
    history, block = torch.tensor([ids[:4]]), torch.tensor([ids[4:]])
    rows = module.hash(history, block)[0]
    for position in range(len(ids) - 4):
        expected = [plain_hash(module, ids, order, position + 4) for order in module.orders]
        assert rows[position].tolist() == expected


def test_every_order_stays_in_its_own_table_and_fills_it() -> None:
    module = NgramEmbedding((2, 4), 50, 4)
    ids = torch.randint(0, 256, (1, 4000), generator=torch.Generator().manual_seed(0))
    rows = module.hash(ids[:, :3], ids[:, 3:])[0]
    assert set(rows[:, 0].tolist()) == set(range(50))
    assert set(rows[:, 1].tolist()) == set(range(50, 100))


def test_only_the_last_bytes_of_an_order_matter() -> None:
    module = NgramEmbedding((2, 3, 4), 1000, 4)
    one = module.hash(torch.tensor([[1, 2, 3]]), torch.tensor([[4]]))[0, 0].tolist()
    third_back = module.hash(torch.tensor([[9, 2, 3]]), torch.tensor([[4]]))[0, 0].tolist()
    second_back = module.hash(torch.tensor([[1, 9, 3]]), torch.tensor([[4]]))[0, 0].tolist()
    assert [a == b for a, b in zip(one, third_back, strict=True)] == [True, True, False]
    assert [a == b for a, b in zip(one, second_back, strict=True)] == [True, False, False]
