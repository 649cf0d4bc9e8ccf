import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pages import Tags

from eval.records import Sample
from eval.report.page import environment
from eval.report.samples import (
    SHOWN_BYTES,
    Block,
    block_pieces,
    choose,
    excerpt,
    pieces,
    split_blocks,
)
from eval.suites.problems import Problem


def sample(task_id: str, text: bytes, **more: Any) -> Sample:
    return Sample(
        **{"task_id": task_id, "completion": text.decode(), "finish_reason": "stop", **more}
    )


def render_blocks(blocks: list[Block], limit: int = SHOWN_BYTES) -> str:
    module: Any = environment().get_template("blocks.html").module
    return str(module.blocks(excerpt(blocks, limit)))


def text_of(page: str) -> str:
    """What a reader sees of the page; every tag that opens must close."""
    return "".join(Tags(page).text)


LENGTHS = st.lists(st.integers(1, 9), max_size=40)


@given(st.binary(max_size=120), LENGTHS | st.none() | st.lists(st.integers(-2, 3)))
def test_blocks_are_exactly_the_completion(content: bytes, accepted: list[int] | None) -> None:
    blocks = split_blocks(content, accepted)
    assert b"".join(block.content for block in blocks) == content
    assert all(block.content for block in blocks)
    assert all(block.known for block in blocks[:-1])
    known = [len(block.content) for block in blocks if block.known]
    if known:
        assert accepted
        assert known[:-1] == accepted[: len(known) - 1]
        assert known[-1] <= accepted[len(known) - 1]


@pytest.mark.parametrize("accepted", ["abc", {"a": 1}, [1.5], [True], 7])
def test_blocks_that_make_no_sense_are_not_known(accepted: object) -> None:
    assert split_blocks(b"abc", accepted) == [Block(b"abc", known=False)]


@given(st.binary(max_size=60) | st.text(max_size=30).map(str.encode))
def test_pieces_cover_every_byte_once(content: bytes) -> None:
    found = pieces(content)
    assert sum(size for _, size in found) == len(content)
    assert all(text.isprintable() or text in "\n\t" for text, _ in found)


def test_pieces_show_what_cannot_be_seen() -> None:
    content = "é\u202e".encode() + b"\xff\x00\xe2\x82a"
    assert [text for text, _ in pieces(content)] == [
        "é", r"\u202e", r"\xff", r"\x00", r"\xe2", r"\x82", "a",
    ]  # fmt: skip


@given(st.text(max_size=30).map(str.encode) | st.binary(max_size=60), LENGTHS)
def test_characters_stay_whole_across_blocks(content: bytes, accepted: list[int]) -> None:
    blocks = split_blocks(content, accepted)
    found = block_pieces(blocks)
    assert len(found) == len(blocks)
    assert [piece for block in found for piece in block] == pieces(content)
    starts, position = [], 0
    for inside in found:
        for _, size in inside:
            starts.append(position)
            position += size
    at = 0
    for block, inside in zip(blocks, found, strict=True):
        end = at + len(block.content)
        assert len(inside) == sum(at <= start < end for start in starts)
        at = end


def test_a_character_over_several_blocks_is_drawn_where_it_begins() -> None:
    page = render_blocks(split_blocks("a€b".encode(), [2, 1, 1, 1]))
    spans = re.findall(r"<span[^>]*>(.*?)</span>", page)
    assert spans == ["a€", '<i class="rest"></i>', '<i class="rest"></i>', "b"]


@given(st.binary(max_size=200), LENGTHS, st.integers(0, 80))
def test_rendered_blocks_are_whole_html_and_say_what_was_cut(
    content: bytes, accepted: list[int], limit: int
) -> None:
    blocks = split_blocks(content, accepted)
    page = render_blocks(blocks, limit)
    text = text_of(page)
    shown, _, cut_words = text.partition("\n… cut here: ")
    everything = "".join(piece for piece, _ in pieces(content))
    assert everything.startswith(shown)
    if cut_words:
        left = int(re.findall(r"(\d+) more bytes", cut_words)[0])
        sizes = [size for _, size in pieces(content)]
        kept = next(n for n in range(len(sizes) + 1) if sum(sizes[n:]) == left)
        assert shown == "".join(piece for piece, _ in pieces(content)[:kept])
        assert sum(sizes[:kept]) >= limit
    else:
        assert shown == everything


def test_samples_are_chosen_by_what_they_show() -> None:
    reasons = {4: "length"}
    rows = [
        sample(f"H/{i}", b"x" * (i + 2), finish_reason=reasons.get(i, "stop")) for i in range(9)
    ]
    micro = [sample(f"m/{i}", b"y", passed=i == 3) for i in range(5)]
    problems = {"humaneval": [Problem("H/4", "def f():\n", "", "", "f")]}
    shown = choose({"humaneval": rows, "micro": micro}, problems)
    assert [one.task_id for one in shown] == ["m/3", "H/4", "H/1"]
    assert [one.prompt for one in shown] == [None, "def f():\n", None]
    assert choose({"humaneval": [], "micro": []}, {}) == []
    # The one of median length comes first, then what is left.
    assert [one.task_id for one in choose({"humaneval": [], "micro": micro[:2]}, {})] == [
        "m/1",
        "m/0",
    ]
