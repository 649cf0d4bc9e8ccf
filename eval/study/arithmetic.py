"""`python -m eval arithmetic`: do more heads help a small model to calculate?

Paper, section 4.2, figure 8 and appendix K: models learn the arithmetic of polynomials from
expressions of up to five operations. They are tested on expressions as long, and on longer ones.
"""

import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from bytelm.toolkit import ByteCount, DecodeOptions, InputError, Model, Positive, Range, generate
from eval.study.experiment import Content, Experiment
from eval.study.markdown import page
from eval.study.plots import plot_arithmetic
from eval.study.polynomials import MOST_TERMS, PRIMES, Problem, Ring, held_out_problems

PAPER = (
    "Models of 30M and 100M parameters were trained on expressions of 1 to 5 operations (negation, "
    "addition, multiplication, composition) in F_7[X]/(X^5). They were tested with greedy decoding "
    "on 2000 new expressions of each length up to 10. n = 2 and n = 4 were clearly better than "
    "n = 1, both at the lengths trained on and at longer ones. More heads helped more than a model "
    "of three times the size (section 4.2)."
)
BATCH = 64
# Expressions are made by recursion, and the count of different ones takes the square of this.
Operations = Annotated[int, Range(1, 100)]


@dataclass
class Arithmetic(Experiment):
    """Train models with different numbers of heads to compute polynomials; count right answers."""

    out: Path = Path("runs/arithmetic")
    """Folder for data, runs and results. Models that it already holds are not trained again."""
    bytes: ByteCount = 3_000_000
    """Bytes of training data for each model. No byte is read twice."""
    points: Positive = 3
    """Measurements during training, evenly spaced. The last is at the end."""
    modulus: Annotated[int, Range(min(PRIMES), max(PRIMES))] = 2
    """p of the ring F_p[X]/(X^d): 2, 3, 5 or 7 (paper: 7). From a few MB, models learn only the
    smallest ring."""
    terms: Annotated[int, Range(1, MOST_TERMS)] = 2
    """d of the ring: number of coefficients of a polynomial (paper: 5)."""
    operations: Operations = 5
    """Largest number of operations in a training expression."""
    operations_tested: Operations = 10
    """Largest number of operations in a test expression."""
    problems: Positive = 200
    """Test problems for each number of operations."""

    @property
    def name(self) -> str:
        return "arithmetic"

    @property
    def figures(self) -> tuple[str, ...]:
        return "in_domain", "out_of_domain"

    @cached_property
    def _ring(self) -> Ring:
        return Ring(self.modulus, self.terms)

    @cached_property
    def _held_out(self) -> dict[int, list[Problem]]:
        if self.operations_tested <= self.operations:
            raise InputError("--operations-tested must be more than --operations")
        return held_out_problems(self._ring, self.seed, self.operations_tested, self.problems)

    def datasets(self) -> list[str]:
        return [f"f{self._ring.modulus}x{self._ring.terms}"]

    def documents(self, data: str) -> Iterator[Content]:
        rng = random.Random(f"polynomials {self.seed} {data}")
        banned = {problem.prompt for problems in self._held_out.values() for problem in problems}
        while True:
            problem = self._ring.problem(rng, rng.randint(1, self.operations))
            if problem.prompt not in banned:
                yield problem.text

    def held_out(self) -> list[Content]:
        return [problem.text for problems in self._held_out.values() for problem in problems]

    def about(self) -> dict[str, Any]:
        constant = {m: best_constant(problems) for m, problems in self._held_out.items()}
        return {
            "problems": {str(m): len(problems) for m, problems in self._held_out.items()},
            "constant": {
                "by_operations": {str(m): share for m, share in constant.items()},
                **domains(constant, self.operations),
            },
        }

    def measure(self, model: Model) -> dict[str, Any]:
        shares = solve(model, self._held_out)
        by_operations = {str(m): share for m, share in shares.items()}
        return {**domains(shares, self.operations), "by_operations": by_operations}

    def present(self, results: dict[str, Any], plot: Path) -> list[str]:
        plot_arithmetic(results, plot)
        options, constant = results["options"], results["constant"]
        ring = f"F_{options['modulus']}[X]/(X^{options['terms']})"
        what = (
            f"Models are trained on {options['bytes'] / 1e6:g} MB of expressions of 1 to "
            f"{options['operations']} operations in {ring} with their values, such as "
            f"`{_example(results)}`, one per document. The test has up to {options['problems']} "
            f"other expressions of each length up to {options['operations_tested']}. Head 1 alone "
            "decodes greedily. An answer is right if all its digits are right and it ends after "
            "them. A model that always gave the most frequent answer would be right in "
            f"{100 * constant['in_domain']:.1f} % of the expressions of lengths trained on, and in "
            f"{100 * constant['out_of_domain']:.1f} % of the longer ones."
        )
        columns = {
            "in_domain": f"right, 1 to {options['operations']} operations",
            "out_of_domain": f"right, {options['operations'] + 1} to "
            f"{options['operations_tested']} operations",
        }
        return page("Arithmetic of polynomials", PAPER, what, plot.name, results, columns)


def _example(results: dict[str, Any]) -> str:
    options = results["options"]
    ring = Ring(options["modulus"], options["terms"])
    return ring.problem(random.Random(options["seed"]), 2).text.decode()


def domains(shares: Mapping[int, float], trained: int) -> dict[str, float]:
    """The mean share up to `trained` operations ("in_domain"), and beyond ("out_of_domain").

    Each number of operations has the same weight.
    """
    inside = [share for m, share in shares.items() if m <= trained]
    outside = [share for m, share in shares.items() if m > trained]
    return {
        "in_domain": sum(inside) / len(inside),
        "out_of_domain": sum(outside) / len(outside),
    }


def best_constant(problems: Sequence[Problem]) -> float:
    """The share of right answers if every answer were the most frequent one."""
    return Counter(problem.answer for problem in problems).most_common(1)[0][1] / len(problems)


def solve(model: Model, problems: Mapping[int, Sequence[Problem]]) -> dict[int, float]:
    """The share of right answers by number of operations, with greedy decoding of head 1 alone."""
    every = [problem for own in problems.values() for problem in own]
    # One byte more than the answer: a completion that continues after the answer is wrong.
    options = DecodeOptions(max_bytes=len(every[0].answer) + 1, heads=1, batch=BATCH)
    found = generate(model, [problem.prompt for problem in every], options)
    right = [a.text == problem.answer for a, problem in zip(found, every, strict=True)]
    shares, start = {}, 0
    for m, own in problems.items():
        shares[m] = sum(right[start : start + len(own)]) / len(own)
        start += len(own)
    return shares
