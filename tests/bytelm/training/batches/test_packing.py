"""Packing: every byte once an epoch, labels inside the document, batches by number alone."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bytelm.alphabet import BOS, EOD
from bytelm.base.errors import InputError
from bytelm.shards import ShardWriter, Split
from bytelm.training.batches.packing import IGNORE, Packing


def split_of(folder: Path, documents: list[bytes]) -> Split:
    with ShardWriter(folder / "shards", shard_bytes=64) as writer:
        for index, document in enumerate(documents):
            writer.add("train", str(index), document)
        writer.finish({})
    return Split(folder / "shards", "train")


@pytest.mark.medium
@settings(max_examples=30, deadline=None)
@given(
    documents=st.lists(st.binary(min_size=1, max_size=60), min_size=1, max_size=12),
    block=st.integers(1, 24),
    batch=st.integers(1, 5),
    heads=st.integers(1, 8),
)
def test_blocks_are_the_documents_and_labels_their_continuation(
    tmp_path_factory: pytest.TempPathFactory,
    documents: list[bytes],
    block: int,
    batch: int,
    heads: int,
) -> None:
    split = split_of(tmp_path_factory.mktemp("packing"), documents)
    if sum(len(d) + 2 for d in documents) - heads < block:
        with pytest.raises(InputError, match="too little"):
            Packing(split, block, batch, heads, seed=3)
        return
    packing = Packing(split, block, batch, heads, seed=3)
    packing._enter(0)
    stream, owner = [], []
    for order, index in enumerate(packing._documents):
        ids = [BOS, *documents[index], EOD]
        stream += ids
        owner += [order] * len(ids)
    for step in range(packing.blocks // batch):
        found = packing.batch_at(step)
        for row in range(batch):
            start = int(packing._blocks[step * batch + row]) * block
            assert found.ids_BT[row].tolist() == stream[start : start + block]
            for head in range(heads):
                ahead = range(start + head + 1, start + head + 1 + block)
                expected = [
                    stream[at] if owner[at] == owner[at - head - 1] else IGNORE for at in ahead
                ]
                assert found.labels_nBT[head, row].tolist() == expected


def test_an_epoch_reads_every_block_once_and_leaves_out_less_than_one(tmp_path: Path) -> None:
    documents = [bytes([n % 256]) * (n * 7 % 90 + 1) for n in range(50)]
    packing = Packing(split_of(tmp_path, documents), 16, 4, 8, seed=0)
    assert packing.stream - 16 * packing.blocks < 16 + 8
    steps = packing.blocks // 4
    counts: Counter[int] = Counter()
    for step in range(steps):
        for row in range(4):
            epoch, index = divmod(step * 4 + row, packing.blocks)
            packing._enter(epoch)
            counts[int(packing._blocks[index])] += 1
    assert max(counts.values()) == 1
    assert len(counts) == steps * 4


def test_a_batch_depends_on_its_number_alone(tmp_path: Path) -> None:
    documents = [bytes(range(n, n + 40)) for n in range(20)]
    split = split_of(tmp_path, documents)
    one, other = (Packing(split, 16, 4, 4, seed=1) for _ in range(2))
    in_order = [one.batch_at(step) for step in range(40)]
    for step in reversed(range(40)):
        again = other.batch_at(step)
        assert np.array_equal(again.ids_BT, in_order[step].ids_BT)
        assert np.array_equal(again.labels_nBT, in_order[step].labels_nBT)


def test_epochs_and_seeds_differ(tmp_path: Path) -> None:
    split = split_of(tmp_path, [bytes(range(n, n + 40)) for n in range(20)])
    packing = Packing(split, 16, packing_batch := 4, 4, seed=1)
    later = packing.blocks // packing_batch + 1
    assert not np.array_equal(packing.batch_at(0).ids_BT, packing.batch_at(later).ids_BT)
    other = Packing(split, 16, 4, 4, seed=2)
    assert not np.array_equal(packing.batch_at(0).ids_BT, other.batch_at(0).ids_BT)


def test_the_end_of_a_document_is_predicted_and_nothing_after_it(tmp_path: Path) -> None:
    packing = Packing(split_of(tmp_path, [b"ab", b"cd", b"ef", b"gh"]), 12, 1, 3, seed=0)
    batch = packing.batch_at(0)
    ids = batch.ids_BT[0].tolist()
    ends = [at for at, value in enumerate(ids) if value == EOD]
    assert ends
    for end in ends:
        assert batch.labels_nBT[0, 0, end - 1] == EOD
        assert batch.labels_nBT[:, 0, end].tolist() == [IGNORE] * 3
