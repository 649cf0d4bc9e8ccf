"""Polynomial arithmetic agrees with plain whole-number polynomials, reduced at the end."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bytelm.toolkit import InputError
from eval.study.polynomials import PRIMES, Ring, held_out_problems


def times(a: list[int], b: list[int]) -> list[int]:
    """The whole product: nothing reduced, nothing dropped."""
    product = [0] * (len(a) + len(b) - 1)
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            product[i + j] += x * y
    return product


def plus(a: list[int], b: list[int]) -> list[int]:
    size = max(len(a), len(b))
    padded = ([*p, *[0] * (size - len(p))] for p in (a, b))
    return [x + y for x, y in zip(*padded, strict=True)]


class Reader:
    """A second reading of the notation: recursive descent, whole-number arithmetic."""

    def __init__(self, text: str, modulus: int, terms: int) -> None:
        self.text, self.at, self.modulus, self.terms = text, 0, modulus, terms
        self.operations = 0

    def take(self, size: int = 1) -> str:
        self.at += size
        return self.text[self.at - size : self.at]

    def reduced(self, a: list[int]) -> list[int]:
        return [x % self.modulus for x in [*a, *[0] * self.terms][: self.terms]]

    def value(self) -> list[int]:
        if self.text[self.at] == "-":
            self.take()
            self.operations += 1
            return self.reduced([-x for x in self.value()])
        if self.text[self.at] != "(":
            return [int(digit) for digit in self.take(self.terms)]
        self.take()
        a = self.value()
        sign = self.take()
        b = self.value()
        assert self.take() == ")"
        self.operations += 1
        if sign == "+":
            return self.reduced(plus(a, b))
        if sign == "*":
            return self.reduced(times(a, b))
        assert sign == "@"
        # Sum of a_i b^i, each power whole.
        total, power = [0], [1]
        for coefficient in a:
            total = plus(total, [coefficient * x for x in power])
            power = times(power, b)
        return self.reduced(total)


@given(st.integers(0, 2**32), st.sampled_from(PRIMES), st.integers(1, 6), st.integers(0, 8))
@settings(max_examples=300, deadline=None)
def test_values_are_those_of_plain_polynomials(seed: int, p: int, d: int, operations: int) -> None:
    problem = Ring(p, d).problem(random.Random(seed), operations)
    text = problem.prompt.decode()
    reader = Reader(text, p, d)
    wanted = "".join(map(str, reader.value()))
    assert text[reader.at :] == "="
    assert reader.operations == operations
    assert problem.answer.decode() == wanted


def test_values_by_hand() -> None:
    ring = Ring(7, 5)
    x, one_plus_x = (0, 1, 0, 0, 0), (1, 1, 0, 0, 0)
    square = ring.multiply(one_plus_x, one_plus_x)
    assert square == (1, 2, 1, 0, 0)
    assert ring.multiply(square, ring.multiply(square, one_plus_x)) == (1, 5, 3, 3, 5)
    assert ring.compose((0, 0, 1, 0, 0), one_plus_x) == square
    assert ring.compose(square, x) == square == ring.compose(x, square)
    assert ring.negate((0, 1, 2, 3, 4)) == (0, 6, 5, 4, 3)


@pytest.mark.medium
def test_expressions_are_counted() -> None:
    ring = Ring(2, 1)
    rng = random.Random(0)
    for operations, count in ((0, 2), (1, 14)):
        found = {ring.problem(rng, operations).prompt for _ in range(2000)}
        assert len(found) == ring.expressions(operations) == count
    assert len({ring.problem(rng, 2).prompt for _ in range(20_000)}) == ring.expressions(2) == 182


def test_every_kind_of_operation_comes_as_often() -> None:
    rng = random.Random(2)
    ring = Ring(7, 5)
    roots = [ring.problem(rng, 1).prompt for _ in range(4000)]
    counts = [sum(sign in text for text in roots) for sign in (b"-", b"+", b"*", b"@")]
    assert sum(counts) == 4000
    assert all(880 < count < 1120 for count in counts)


def test_held_out_problems_are_different_and_the_same_every_time() -> None:
    ring = Ring(2, 2)
    found = held_out_problems(ring, 1, 7, 60)
    assert found == held_out_problems(ring, 1, 7, 60)
    assert found != held_out_problems(ring, 2, 7, 60)
    assert [len(problems) for problems in found.values()] == [26, *[60] * 6]
    every = [problem for problems in found.values() for problem in problems]
    assert len(set(every)) == len(every)


@pytest.mark.parametrize(("modulus", "terms"), [(4, 2), (11, 2), (3, 0), (3, 17)])
def test_rings_that_cannot_be_written(modulus: int, terms: int) -> None:
    with pytest.raises(InputError, match=r"--modulus|--terms"):
        Ring(modulus, terms)
