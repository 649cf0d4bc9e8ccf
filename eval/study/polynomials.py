"""Random expressions of polynomials and their values, as text for `eval arithmetic`.

The ring is F_p[X]/(X^d) (paper, section 4.2: p = 7, d = 5). A polynomial is written as its d
coefficients, one digit each, the constant first. `-` negates, `+` adds, `*` multiplies, and `@`
composes: f@g = f(g(X)). An operation with two operands stands in brackets. With d = 2:

    ((10+02)*-21)=21
"""

import random
from collections.abc import Callable
from dataclasses import dataclass

from bytelm.toolkit import InputError

Polynomial = tuple[int, ...]
PRIMES = (2, 3, 5, 7)
"""Values of p that allow one digit per coefficient."""
MOST_TERMS = 16


@dataclass(frozen=True)
class Problem:
    """An expression to compute. `prompt` ends in `=`; `answer` and the end of document follow."""

    prompt: bytes
    answer: bytes

    @property
    def text(self) -> bytes:
        return self.prompt + self.answer


class Ring:
    """The ring F_p[X]/(X^terms) with p = `modulus`, and random expressions in it.

    Raises InputError if `modulus` is not in PRIMES, or `terms` not in 1..MOST_TERMS.
    """

    def __init__(self, modulus: int, terms: int) -> None:
        if modulus not in PRIMES:
            known = ", ".join(map(str, PRIMES))
            raise InputError(f"--modulus must be one of {known}, not {modulus}")
        if not 1 <= terms <= MOST_TERMS:
            raise InputError(f"--terms must be 1 to {MOST_TERMS}, not {terms}")
        self.modulus, self.terms = modulus, terms
        self.binary: dict[str, Callable[[Polynomial, Polynomial], Polynomial]] = {
            "+": self.add,
            "*": self.multiply,
            "@": self.compose,
        }

    def negate(self, a: Polynomial) -> Polynomial:
        return tuple(-x % self.modulus for x in a)

    def add(self, a: Polynomial, b: Polynomial) -> Polynomial:
        return tuple((x + y) % self.modulus for x, y in zip(a, b, strict=True))

    def multiply(self, a: Polynomial, b: Polynomial) -> Polynomial:
        return tuple(
            sum(a[i] * b[degree - i] for i in range(degree + 1)) % self.modulus
            for degree in range(self.terms)
        )

    def compose(self, a: Polynomial, b: Polynomial) -> Polynomial:
        """a(b(X)) by Horner's rule, without powers of `terms` and above."""
        value: Polynomial = (0,) * self.terms
        for coefficient in reversed(a):
            constant = (coefficient,) + (0,) * (self.terms - 1)
            value = self.add(self.multiply(value, b), constant)
        return value

    def expression(self, rng: random.Random, operations: int) -> tuple[str, Polynomial]:
        """A random expression with this many operations, and its value.

        Operations and coefficients are drawn uniformly. So is the number of the remaining
        operations on the left side of an operation; the right side has the others.
        """
        if operations == 0:
            value = tuple(rng.randrange(self.modulus) for _ in range(self.terms))
            return "".join(map(str, value)), value
        kind = rng.choice("-+*@")
        if kind == "-":
            text, value = self.expression(rng, operations - 1)
            return "-" + text, self.negate(value)
        left = rng.randrange(operations)
        one, a = self.expression(rng, left)
        other, b = self.expression(rng, operations - 1 - left)
        return f"({one}{kind}{other})", self.binary[kind](a, b)

    def problem(self, rng: random.Random, operations: int) -> Problem:
        text, value = self.expression(rng, operations)
        return Problem(f"{text}=".encode(), "".join(map(str, value)).encode())

    def expressions(self, operations: int) -> int:
        """The number of different expressions with this many operations."""
        counts = [self.modulus**self.terms]
        for m in range(1, operations + 1):
            pairs = sum(counts[left] * counts[m - 1 - left] for left in range(m))
            counts.append(counts[m - 1] + len(self.binary) * pairs)
        return counts[operations]


def held_out_problems(ring: Ring, seed: int, most: int, count: int) -> dict[int, list[Problem]]:
    """Different problems by number of operations, 1 to `most`: `count` of each.

    At most half of all expressions of a length are held out, because training needs the others.
    """
    found = {}
    for operations in range(1, most + 1):
        rng = random.Random(f"polynomials {seed} test {operations}")
        wanted = min(count, max(1, ring.expressions(operations) // 2))
        problems: dict[Problem, None] = {}
        while len(problems) < wanted:
            problems[ring.problem(rng, operations)] = None
        found[operations] = list(problems)
    return found
