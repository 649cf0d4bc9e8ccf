"""Layouts: whole documents fill blocks well, and none is cut that fits in one."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bytelm.training.batches.layout import Whole, best_fit


@given(st.lists(st.integers(1, 50), max_size=60), st.integers(50, 60))
def test_no_bin_overflows_and_no_two_would_fit_in_one(sizes: list[int], room: int) -> None:
    bins, count = best_fit(np.array(sizes, dtype=np.int64), room)
    assert sorted(set(bins.tolist())) == list(range(count))
    filled = np.bincount(bins, sizes, count) if sizes else np.zeros(0)
    assert all(filled <= room)
    # Best fit opens a bin only for what fits in no other.
    assert sum(filled <= room / 2) <= 1


@given(st.lists(st.integers(3, 90), min_size=1, max_size=40), st.integers(1, 30), st.integers(1, 8))
def test_pieces_cover_each_document_once_and_cut_the_long_ones_alone(
    lengths: list[int], block: int, ahead: int
) -> None:
    order = np.arange(len(lengths))[::-1].copy()
    layout = Whole(np.array(lengths), order, [len(lengths)], block, ahead)
    covered = [np.zeros(length, dtype=int) for length in lengths]
    for number in range(layout.stops[-1]):
        filled = 0
        for document, offset, take in layout.pieces(number):
            inside = min(take, block - filled)
            covered[document][offset : offset + inside] += 1
            assert offset + take <= lengths[document]
            assert take == lengths[document] - offset or take == block + ahead
            assert inside == min(block, lengths[document] - offset)
            filled += inside
        assert filled <= block
    assert all((counts == 1).all() for counts in covered)


def test_little_room_is_left_empty_by_documents_of_many_sizes() -> None:
    lengths = np.random.default_rng(0).integers(60, 400, 5_000)
    layout = Whole(lengths, np.arange(5_000), [5_000], 512, 8)
    assert lengths.sum() / (512 * layout.stops[-1]) > 0.99
