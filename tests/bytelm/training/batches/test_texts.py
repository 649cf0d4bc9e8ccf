"""Rearranged documents: the same bytes, in one of two orders, and the same in every run."""

import hashlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bytelm.alphabet import BOS, BYTES, EOD, FIM_MIDDLE, FIM_PREFIX, FIM_SUFFIX, PAD
from bytelm.decode.prompts import Gap, prompt_ids
from bytelm.shards import ShardWriter, Split
from bytelm.training.batches.packing import IGNORE, Packing
from bytelm.training.batches.texts import Rearranged, rearranged


def split_of(folder: Path, *stages: list[bytes]) -> Split:
    with ShardWriter(folder / "shards", shard_bytes=64) as writer:
        for documents in stages:
            writer.begin_stage("train")
            for index, document in enumerate(documents):
                writer.add("train", str(index), document)
        writer.finish({})
    return Split(folder / "shards", "train")


def ids_of(texts: Rearranged, text: int) -> list[int]:
    into = np.zeros(texts.lengths[text], dtype=np.int64)
    texts.copy(text, 0, into)
    return into.tolist()


def put_back(ids: list[int]) -> tuple[bytes, bool | None]:
    """A text's bytes in their order, and whether it is in SPM; None: it is not rearranged."""
    assert (ids[0], ids[-1]) == (BOS, EOD)
    inside = ids[1:-1]
    if FIM_PREFIX not in inside:
        return bytes(inside), None
    assert sorted(one for one in inside if one >= BYTES) == [FIM_PREFIX, FIM_MIDDLE, FIM_SUFFIX]
    assert inside[0] == FIM_PREFIX
    suffix, middle = inside.index(FIM_SUFFIX), inside.index(FIM_MIDDLE)
    assert suffix < middle
    after, rest = inside[suffix + 1 : middle], inside[middle + 1 :]
    # In SPM the prefix is behind the last mark, with the middle. PSM with nothing before looks so.
    return bytes([*inside[1:suffix], *rest, *after]), suffix == 1


@given(st.binary(max_size=30), st.data(), st.booleans())
def test_the_parts_are_the_documents(content: bytes, data: st.DataObject, spm: bool) -> None:
    first = data.draw(st.integers(0, len(content)))
    second = data.draw(st.integers(first, len(content)))
    prefix, middle, suffix = content[:first], content[first:second], content[second:]
    ids = rearranged(np.frombuffer(content, dtype=np.uint8), first, second, spm).tolist()
    if spm:
        assert ids == [FIM_PREFIX, FIM_SUFFIX, *suffix, FIM_MIDDLE, *prefix, *middle]
    else:
        # What a prompt begins, the middle ends.
        assert [BOS, *ids] == [*prompt_ids(Gap(prefix, suffix)), *middle]
    assert put_back([BOS, *ids, EOD])[0] == content


@settings(max_examples=40, deadline=None)
@given(
    documents=st.lists(st.binary(min_size=1, max_size=60), min_size=1, max_size=12),
    block=st.integers(1, 40),
    rate=st.sampled_from([0.0, 0.5, 1.0]),
    share=st.sampled_from([0.0, 0.5, 1.0]),
    seed=st.integers(0, 9),
)
@example([b"a", b"ab"], 6, 1.0, 0.5, 0)
def test_texts_put_back_are_the_documents(
    tmp_path_factory: pytest.TempPathFactory,
    documents: list[bytes],
    block: int,
    rate: float,
    share: float,
    seed: int,
) -> None:
    split = split_of(tmp_path_factory.mktemp("texts"), documents)
    texts = Rearranged(split, [len(documents)], block, rate, share, (seed, 0))
    found = [b""] * len(documents)
    for text in range(len(texts.lengths)):
        ids = ids_of(texts, text)
        content, spm = put_back(ids)
        document = int(texts._documents_P[text])
        found[document] += content
        if spm is None:
            assert rate < 1
            assert content == documents[document]
        else:
            assert rate > 0
            assert len(ids) <= max(block, 6)
            # An empty prefix makes PSM look like SPM.
            assert spm or share < 1
        for offset in (1, len(ids) // 2, len(ids) - 1):
            into = np.zeros(len(ids) - offset, dtype=np.int64)
            texts.copy(text, offset, into)
            assert into.tolist() == ids[offset:]
    assert found == documents


def test_cuts_and_orders_are_uniform(tmp_path: Path) -> None:
    texts = Rearranged(split_of(tmp_path, [b"ab"] * 6000), [6000], 64, 0.75, 0.25, (0, 0))
    assert 0.73 < texts._chosen_P.mean() < 0.77
    assert 0.23 < texts._spm_P[texts._chosen_P].mean() < 0.27
    pairs = Counter(map(tuple, texts._cuts_P2.tolist()))
    # Two of three places: the same one twice in 1 of 9 cases, two others in 2 of 9.
    assert set(pairs) == {(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)}
    for (one, other), count in pairs.items():
        assert abs(count / 6000 - (1 + (one != other)) / 9) < 0.03


@pytest.mark.parametrize("whole", [False, True])
@settings(max_examples=20, deadline=None)
@given(
    documents=st.lists(st.binary(min_size=1, max_size=60), min_size=3, max_size=12),
    block=st.integers(8, 40),
    heads=st.integers(1, 8),
)
def test_labels_are_what_follows_in_the_text(
    tmp_path_factory: pytest.TempPathFactory,
    whole: bool,
    documents: list[bytes],
    block: int,
    heads: int,
) -> None:
    split = split_of(tmp_path_factory.mktemp("texts"), documents)
    if int(split.lengths_N.sum()) + 2 * len(documents) < block + heads:
        return
    packing = Packing(split, block, 1, heads, 3, whole=whole, infilling=0.7)
    packing._enter(0)
    texts = packing._texts
    assert isinstance(texts, Rearranged)
    expected = Counter[tuple[int, ...]]()
    for text in range(len(texts.lengths)):
        ids = [*ids_of(texts, text), *[IGNORE] * heads]
        expected.update(tuple(ids[at : at + heads + 1]) for at in range(len(ids) - heads))
    found = Counter[tuple[int, ...]]()
    for step in range(packing.blocks_of(0)):
        batch = packing.batch_at(step)
        for at, last in enumerate(batch.ids_BT[0].tolist()):
            if last != PAD:
                found[last, *batch.labels_nBT[:, 0, at].tolist()] += 1
    # What does not fill a block is left out of a stream.
    assert found == expected if whole else found <= expected
    assert (expected - found).total() < block + heads


@pytest.mark.parametrize("whole", [False, True])
def test_every_order_of_reading_and_every_share_of_rows_gives_the_same(
    tmp_path: Path, whole: bool
) -> None:
    """A resumed run begins at any step; a rank reads its rows of each."""
    documents = [bytes(range(n, n + 9 * (n % 7) + 5)) for n in range(20)]
    split = split_of(tmp_path, documents[:12], documents[12:])

    def packing(seed: int = 1) -> Packing:
        return Packing(split, 16, 4, 4, seed, True, whole, infilling=0.5)

    one, other = packing(), packing()
    steps = [*range(60)]
    in_order = [one.batch_at(step) for step in steps]
    assert one._place(60 * 4)[0] >= 3
    epochs = [one.blocks_of(epoch) for epoch in range(4)]
    assert len(set(epochs[1:])) > 1
    for step in reversed(steps):
        for rows in (4, 2):
            parts = [other.batch_at(step, first, rows) for first in range(0, 4, rows)]
            assert np.array_equal(
                np.concatenate([part.ids_BT for part in parts]), in_order[step].ids_BT
            )
            assert np.array_equal(
                np.concatenate([part.labels_nBT for part in parts], 1), in_order[step].labels_nBT
            )
    fresh = packing().batch_at(47)
    assert np.array_equal(fresh.ids_BT, in_order[47].ids_BT)
    assert any(
        not np.array_equal(packing(2).batch_at(step).ids_BT, in_order[step].ids_BT)
        for step in range(3)
    )


def test_stages_stay_in_order(tmp_path: Path) -> None:
    split = split_of(tmp_path, *([bytes([stage]) * 30] * 40 for stage in range(3)))
    packing = Packing(split, 16, 1, 2, 0, whole=True, infilling=0.5)
    blocks = [packing.batch_at(step).ids_BT[0].tolist() for step in range(packing.blocks_of(0))]
    read = [byte for block in blocks for byte in block if byte < BYTES]
    assert read == sorted(read)
    assert len(read) == split.bytes


# Made by the version before infilling.
BEFORE = {
    (False, False): "b88c1d11e55722c76b92d326589681ccd5f12aaba278d23432545024f27cec9f",
    (False, True): "e3e835e5805cd7e48f0362bf1239ae5a61122f514065730c26c9437927da9b55",
    (True, False): "31b34052e181bf7c95896f7b3ab9d999d4690dc267fbe61ea6868269bf0c0520",
    (True, True): "0b895f83a33f316f17de975d2b19b118567dfda25d8a24f079e9d8c3321d5022",
}


@pytest.mark.parametrize(("whole", "apart"), BEFORE)
def test_without_infilling_batches_are_those_of_before(
    tmp_path: Path, whole: bool, apart: bool
) -> None:
    documents = [bytes((n * 31 + i * 7) % 256 for i in range(n * 17 % 90 + 1)) for n in range(33)]
    split = split_of(tmp_path, documents[:20], documents[20:])
    packing, digest = Packing(split, 24, 4, 3, 7, apart, whole, infilling=0.0), hashlib.sha256()
    for step in (*range(60), 997):
        batch = packing.batch_at(step)
        digest.update(batch.ids_BT.numpy().tobytes() + batch.labels_nBT.numpy().tobytes())
        if batch.starts_BT is not None:
            digest.update(batch.starts_BT.numpy().tobytes())
    assert digest.hexdigest() == BEFORE[whole, apart]
