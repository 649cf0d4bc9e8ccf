"""Packing: every byte once an epoch, labels inside the document, batches by number alone."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bytelm.alphabet import BOS, EOD, PAD
from bytelm.base.errors import InputError
from bytelm.shards import ShardWriter, Split
from bytelm.training.batches.packing import IGNORE, Packing


def split_of(folder: Path, *stages: list[bytes]) -> Split:
    with ShardWriter(folder / "shards", shard_bytes=64) as writer:
        for documents in stages:
            writer.begin_stage("train")
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
    for step in range(packing.blocks_of(0) // batch):
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
    assert int(packing.lengths.sum()) - 16 * packing.blocks_of(0) < 16 + 8
    steps = packing.blocks_of(0) // 4
    counts: Counter[int] = Counter()
    for step in range(steps):
        for row in range(4):
            epoch, index = packing._place(step * 4 + row)
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
    later = packing.blocks_of(0) // packing_batch + 1
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


def staged(folder: Path, sizes: list[int]) -> Split:
    """Documents of 11 equal bytes each, the number of their stage."""
    return split_of(folder, *([bytes([stage]) * 11] * size for stage, size in enumerate(sizes)))


@pytest.mark.medium
@settings(max_examples=40, deadline=None)
@given(
    documents=st.lists(st.binary(min_size=1, max_size=60), min_size=1, max_size=12),
    block=st.integers(3, 40),
    heads=st.integers(1, 8),
)
def test_whole_documents_have_all_their_labels_once(
    tmp_path_factory: pytest.TempPathFactory, documents: list[bytes], block: int, heads: int
) -> None:
    split = split_of(tmp_path_factory.mktemp("packing"), documents)
    if sum(len(d) + 2 for d in documents) < block + heads:
        return
    packing = Packing(split, block, 1, heads, seed=3, whole=True)
    found = Counter[tuple[int, ...]]()
    for step in range(packing.blocks_of(0)):
        batch = packing.batch_at(step)
        for at, last in enumerate(batch.ids_BT[0].tolist()):
            labels = batch.labels_nBT[:, 0, at].tolist()
            if last != PAD:
                found[last, *labels] += 1
            else:
                assert labels == [IGNORE] * heads
    expected = Counter[tuple[int, ...]]()
    for document in documents:
        ids = [BOS, *document, EOD, *[IGNORE] * heads]
        expected.update(tuple(ids[at : at + heads + 1]) for at in range(len(document) + 2))
    assert found == expected


@pytest.mark.medium
@settings(max_examples=30, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    block=st.integers(1, 60),
    seed=st.integers(0, 9),
    whole=st.booleans(),
)
def test_the_first_epoch_reads_stage_after_stage_and_every_block_once(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], block: int, seed: int, whole: bool
) -> None:
    split = staged(tmp_path_factory.mktemp("packing"), sizes)
    if sum(sizes) * 13 - 2 < block:
        return
    packing = Packing(split, block, 1, 2, seed, whole=whole)
    blocks = packing.blocks_of(0)
    assert sorted(packing._blocks) == list(range(blocks))
    firsts = [next(iter(packing._layout.pieces(int(block))))[0] for block in packing._blocks]
    read = [int(split.document(document)[0]) for document in firsts]
    assert read == sorted(read)


def test_without_stages_and_in_later_epochs_all_documents_are_mixed(tmp_path: Path) -> None:
    split = staged(tmp_path, [200, 200])
    assert split.stages == [200, 200]
    for packing, epoch in (
        (Packing(split, 13, 1, 2, 0), 1),
        (Packing(split, 13, 1, 2, 0, stages=False), 0),
    ):
        packing._enter(epoch)
        assert 60 < sum(index < 200 for index in packing._documents[:200]) < 140


def test_data_without_stages_are_read_in_the_order_of_two_permutations(tmp_path: Path) -> None:
    """A run that an older version began goes on with the same batches."""
    packing = Packing(split_of(tmp_path, [bytes(range(n, n + 40)) for n in range(20)]), 16, 4, 4, 1)
    for epoch in (0, 1):
        packing._enter(epoch)
        plain = np.random.Generator(np.random.PCG64([1, epoch]))
        assert np.array_equal(packing._documents, plain.permutation(20))
        assert np.array_equal(packing._blocks, plain.permutation(packing.blocks_of(0)))
