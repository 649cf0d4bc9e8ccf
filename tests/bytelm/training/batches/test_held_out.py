"""The held-out sample is spread over the text, and its pieces are long enough to be read."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bytelm.shards import ShardWriter, Split
from bytelm.training.batches.held_out import PIECE, held_out_sample


def split_of(folder: Path, lengths: list[int]) -> Split:
    with ShardWriter(folder) as writer:
        writer.add("train", "t", b"x")
        for index, length in enumerate(lengths):
            writer.add("held_out", str(index), bytes([index % 256]) * length)
        writer.finish({})
    return Split(folder, "held_out")


def test_many_documents_give_whole_pieces_of_some_and_not_crumbs_of_all(tmp_path: Path) -> None:
    sample = held_out_sample(split_of(tmp_path / "s", [5000] * 200), 32 * PIECE)
    assert [len(piece) for piece in sample] == [PIECE] * 32
    # From all over: a document in six or so.
    assert len({piece[0] for piece in sample}) == 32
    assert max(piece[0] for piece in sample) > 190


def test_of_short_documents_there_are_as_many_bytes(tmp_path: Path) -> None:
    sample = held_out_sample(split_of(tmp_path / "s", [100] * 2000), 32 * PIECE)
    assert {len(piece) for piece in sample} == {100}
    assert sum(map(len, sample)) > 0.9 * 32 * PIECE


def test_little_text_is_taken_whole(tmp_path: Path) -> None:
    assert held_out_sample(split_of(tmp_path / "s", [700, 30]), 1000) == [b"\0" * 700, b"\1" * 30]


@pytest.mark.medium
@settings(max_examples=40)
@given(st.lists(st.integers(1, 5000), min_size=1, max_size=30), st.integers(1, 60_000))
def test_pieces_are_of_documents_and_no_more_than_asked_for(
    tmp_path_factory: pytest.TempPathFactory, lengths: list[int], wanted: int
) -> None:
    sample = held_out_sample(split_of(tmp_path_factory.mktemp("s") / "s", lengths), wanted)
    assert sample
    assert sum(map(len, sample)) <= max(wanted, PIECE)
    for piece in sample:
        assert len(set(piece)) == 1, "a piece across two documents"
        assert len(piece) >= min(PIECE, lengths[piece[0]])
