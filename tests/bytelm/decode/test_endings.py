"""Stops and UTF-8 wherever they fall, against byte-by-byte references."""

import codecs

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bytelm.alphabet import EOD
from bytelm.decode.endings import Utf8Gate, find_stop, incomplete_utf8, undecided
from bytelm.decode.row import Row, bytes_per_forward

text = st.binary(max_size=40).map(lambda b: bytes(97 + x % 3 for x in b))
stops = st.lists(st.binary(min_size=1, max_size=5).map(lambda b: bytes(97 + x % 3 for x in b)),
                 min_size=1, max_size=3).map(tuple)  # fmt: skip


def byte_by_byte(content: bytes, stops: tuple[bytes, ...]) -> int | None:
    for end in range(1, len(content) + 1):
        starts = [end - len(s) for s in stops if content[:end].endswith(s)]
        if starts:
            return min(starts)
    return None


def blocks_of(content: bytes, sizes: list[int]) -> list[bytes]:
    found, at = [], 0
    for size in [*sizes, len(content)]:
        if at < len(content):
            found.append(content[at : at + size])
            at += size
    return found


@given(text, stops, st.lists(st.integers(1, 8), max_size=10))
def test_a_stop_is_found_wherever_the_blocks_fall(
    content: bytes, stops: tuple[bytes, ...], sizes: list[int]
) -> None:
    row = Row(0, 1000, stops)
    for block in blocks_of(content, sizes):
        if row.finish_reason is None:
            row.take(list(block))
    start = byte_by_byte(content, stops)
    assert row.text == (content if start is None else content[:start])
    assert row.finish_reason == (None if start is None else "stop")
    assert sum(row.accepted) == len(row.text)


@given(text, stops, st.lists(st.integers(1, 8), max_size=10))
def test_nothing_is_shown_that_a_stop_takes_back(
    content: bytes, stops: tuple[bytes, ...], sizes: list[int]
) -> None:
    shown: list[bytes] = []
    row = Row(0, len(content), stops, lambda _, piece: shown.append(piece))
    for block in blocks_of(content, sizes):
        if row.finish_reason is None:
            row.take(list(block))
            assert row.text.startswith(b"".join(shown))
    if content:
        assert b"".join(shown) == row.text


@given(text, stops)
def test_undecided_is_the_longest_tail_that_begins_a_stop(
    content: bytes, stops: tuple[bytes, ...]
) -> None:
    tails = [
        size
        for size in range(1, len(content) + 1)
        for stop in stops
        if len(stop) > size and stop.startswith(content[-size:])
    ]
    assert undecided(content, stops) == max(tails, default=0)


def test_a_stop_early_in_a_block_and_one_across_two() -> None:
    assert find_stop(b"abc\ndef x", [b"\ndef"], 0) == 3
    assert find_stop(b"abc\nde", [b"\ndef"], 0) is None
    assert find_stop(b"abc\ndef", [b"\ndef"], 6) == 3


def test_the_stop_counts_before_the_length() -> None:
    row = Row(0, 8, (b"\ndef",))
    row.take(list(b"ab\ndefgh"))
    assert (bytes(row.text), row.finish_reason) == (b"ab", "stop")


def test_a_stop_beyond_the_length_does_not_count() -> None:
    row = Row(0, 4, (b"\ndef",))
    row.take(list(b"ab\nd"))
    assert (bytes(row.text), row.finish_reason) == (b"ab\nd", "length")


def test_the_end_of_document_ends_and_is_no_byte() -> None:
    row = Row(0, 100, (b"zz",))
    row.take([97, 98, EOD])
    done = row.completion()
    assert (done.text, done.finish_reason) == (b"ab", "end_of_document")
    assert done.accepted == (2,)
    assert done.forwards == 1


def test_an_end_of_document_alone_gives_an_empty_completion() -> None:
    row = Row(0, 100, ())
    row.take([EOD])
    done = row.completion()
    assert (done.text, done.accepted, done.forwards) == (b"", (), 1)


@given(st.text(max_size=20), st.lists(st.integers(1, 5), max_size=20))
def test_utf8_comes_out_whole(content: str, sizes: list[int]) -> None:
    gate, out = Utf8Gate(), []
    for piece in blocks_of(content.encode("utf-8", "replace"), sizes):
        ready = gate.push(piece)
        ready.decode("utf-8")
        out.append(ready)
    assert gate.flush() == b""
    assert b"".join(out).decode() == content.encode("utf-8", "replace").decode()


@given(st.binary(max_size=30), st.lists(st.integers(1, 5), max_size=20))
def test_invalid_bytes_pass_unchanged(content: bytes, sizes: list[int]) -> None:
    gate = Utf8Gate()
    pieces = [gate.push(piece) for piece in blocks_of(content, sizes)]
    assert b"".join([*pieces, gate.flush()]) == content


@given(st.binary(max_size=12))
@example(b"\xed\xa0")
def test_incomplete_is_what_the_incremental_decoder_holds_back(content: bytes) -> None:
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    decoder.decode(content)
    held = decoder.getstate()[0]
    # Python's waits for the third byte of a surrogate, which valid text never has.
    surrogate = len(held) == 2 and held[0] == 0xED and held[1] >= 0xA0
    assert incomplete_utf8(content) == (0 if surrogate else len(held))


@pytest.mark.parametrize("lone", [b"\x80", b"\xff", b"\xc0", b"\xf5", b"\xed\xa0"])
def test_what_can_begin_no_character_is_not_held(lone: bytes) -> None:
    assert incomplete_utf8(lone) == 0


def test_bytes_a_forward_are_those_that_were_accepted() -> None:
    """What a stop cuts off was accepted all the same, and so was the end of the document."""
    row = Row(0, 100, (b"zz",))
    for ids in (list(b"abc"), list(b"dz"), list(b"zyx")):
        row.take(ids)
    done = row.completion()
    assert (done.text, done.accepted, done.accepted_ids) == (b"abcd", (3, 1), (3, 2, 3))
    assert (done.forwards, done.accepted_bytes, done.bytes_per_forward) == (3, 8, 8 / 3)
    row = Row(1, 100, ())
    row.take([97, EOD])
    ended = row.completion()
    assert (ended.text, ended.accepted_ids, ended.bytes_per_forward) == (b"a", (2,), 2.0)
    assert bytes_per_forward([done, ended]) == 10 / 4
    assert bytes_per_forward([]) == 0


@given(
    st.lists(st.sampled_from([97, 98, 10, EOD]), min_size=1, max_size=40),
    st.lists(st.binary(min_size=1, max_size=3), max_size=3),
    st.integers(1, 30),
)
def test_one_head_gives_exactly_one_byte_a_forward(
    ids: list[int], stops: list[bytes], most: int
) -> None:
    row = Row(0, most, tuple(stops))
    for one in [*ids, EOD]:
        if row.finish_reason is None:
            row.take([one])
    done = row.completion()
    assert (done.bytes_per_forward, done.accepted_bytes) == (1.0, done.forwards)
    assert sum(done.accepted) == len(done.text) <= done.accepted_bytes
