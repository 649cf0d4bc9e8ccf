"""Expressions in each other: no parenthesis too many, and never one too few."""

import ast
from random import Random

import hypothesis.strategies as st
import pytest
from hypothesis import given

from data.exercises.code import Writer, place
from data.exercises.grammar.meaning import named

CODES = ("{x} + 3", "3 + {x}", "{x} - 2", "2 - {x}", "{x} * 4", "5 * {x}", "{x} ** 2", "-{x}",
         "{x} // 3", "{x} % 4", "abs({x})", "{x} % 2 == 0", "{x} > 3", "0 < {x}",
         "({x} if {x} >= 0 else -{x})", "max({x}, 2)")  # fmt: skip


@pytest.mark.parametrize(
    ("code", "element", "whole"),
    [
        ("{x} * 2", "(x + 7) ** 2", "(x + 7) ** 2 * 2"),
        ("6 + {x}", "(n + 10) * 3", "6 + (n + 10) * 3"),
        ("{x} - 3", "x + 4", "x + 4 - 3"),
        ("10 - {x}", "x + 4", "10 - (x + 4)"),
        ("{x} % 3", "x * 2", "(x * 2) % 3"),
        ("{x} ** 2", "-x", "(-x) ** 2"),
        ("{x}[::-1]", "p['name'].upper()", "p['name'].upper()[::-1]"),
        ("{x} > 5", "len(w) + 1", "len(w) + 1 > 5"),
    ],
)
def test_parentheses_stand_where_a_reader_wants_them(code: str, element: str, whole: str) -> None:
    assert place(code, element) == whole


@given(st.lists(st.sampled_from(CODES), min_size=1, max_size=5))
def test_what_is_placed_is_taken_as_a_whole(codes: list[str]) -> None:
    placed = apart = "n"
    for code in codes:
        placed, apart = place(code, placed), code.replace("{x}", f"({apart})")
    assert ast.dump(ast.parse(placed)) == ast.dump(ast.parse(apart))


def bodies(style: str, source: str, parts: list[str], end: str) -> set[str]:
    meaning = named(source, parts, [], end)
    return {"\n".join(Writer(meaning, ("a",), Random(seed)).body(style)) for seed in range(60)}


def test_a_guard_has_the_opposite_condition() -> None:
    found = bodies("loop", "numbers", ["negative"], "set")
    assert not any("not (" in body for body in found)
    guarded = [body for body in found if "continue" in body]
    assert guarded
    assert all(">= 0:" in body or "<= " in body for body in guarded)


def test_no_loop_takes_the_first_or_last_of_everything() -> None:
    assert not any("for " in body for body in bodies("loop", "numbers", [], "last"))
    assert any("for " in body for body in bodies("loop", "numbers", ["even"], "last"))


def test_a_map_of_a_filter_makes_one_list() -> None:
    for body in bodies("lambda", "words", ["has a", "length"], "list"):
        assert body.count("list(") == 1
        assert "map(len, filter(lambda" in body
