"""Bits per byte of a suite's reference solutions, given their prompts: `eval bits --suite`.

This score moves where pass@1 is still zero. The model reads the prompt as `eval complete` sends it
by default, and then the solution. Only the solution's bytes count: not the prompt, and no end of
document. For a gap, a model that was trained with infilling reads what follows it too.

Shapes: P problem, N prediction head, R resample.
"""

from collections.abc import Sequence

import numpy as np

from bytelm.toolkit import (
    Checkpoint,
    Continuation,
    Gap,
    InputError,
    Prompt,
    Score,
    is_first,
    option,
    score_continuations_on_ranks,
)
from eval.bootstrap import bootstrap_means, interval_of
from eval.records import Interval, SolutionBits, SolutionsResult
from eval.suites.named import named_suites
from eval.suites.problems import Problem, Suite
from eval.suites.stops import Infill, PromptForm, infill_of, prompt_of

RESAMPLES = 10_000
SEED = 0
# A solution follows its prompt as it stands: another form would cut the white space between them.
PROMPT_FORM: PromptForm = "raw"


def measure_solutions(
    checkpoint: Checkpoint, suite: Suite, label: str, batch: int = 8, infill: Infill | None = None
) -> SolutionsResult | None:
    """Score every head on the solutions of a suite; `batch`: solutions at a time.

    `label` names the suite. `infill`: what is read around a gap, as for `complete`. A solution that
    does not fit the context is left out. A prompt loses its beginning where both do not fit, and
    what follows a gap its end. Ranks share the problems. Returns the result on the first rank, None
    on the others. Raises InputError for an empty solution, if none fits, and for a way to fill gaps
    that the model or the suite does not have.
    """
    model, infill = checkpoint.model, infill_of(infill, suite.prompt, checkpoint)
    whole = [continuation_of(problem, label, infill) for problem in suite.problems]
    fitted = [one.fitted(model.config.context) for one in whole]
    places = [index for index, one in enumerate(fitted) if one is not None]
    kept = [one for one in fitted if one is not None]
    if not kept:
        raise InputError(
            f"{_given(label)}: no solution fits the model's context of {model.config.context} "
            "bytes; take a model with a longer one"
        )
    score = score_continuations_on_ranks(model, kept, batch, progress=True)
    if not is_first():
        return None
    return SolutionsResult(
        suite=label,
        heads_bpb=_each(score.bits_DN.sum(0), score.symbols_DN.sum(0)),
        heads_interval=_intervals(score),
        resamples=RESAMPLES,
        bytes=sum(len(one.text) for one in kept),
        problems=len(kept),
        suite_problems=len(whole),
        left_out=len(whole) - len(kept),
        shortened=sum(
            len(one.prompt) < len(whole[place].prompt)
            for place, one in zip(places, kept, strict=True)
        ),
        prompt_form=f"fim {PROMPT_FORM}" if infill == "fim" else PROMPT_FORM,
        problems_sha256=suite.sha256,
        solutions=_rows([suite.problems[place] for place in places], kept, score),
    )


def continuation_of(problem: Problem, label: str, infill: Infill | None = None) -> Continuation:
    """The reference solution after the prompt. Raises InputError if the solution is empty."""
    if not problem.canonical_solution:
        raise InputError(
            f"{_given(label)}: problem {problem.task_id} has no canonical_solution, so there is "
            "nothing to score; mend it or leave it out"
        )
    prompt = prompt_of(problem, PROMPT_FORM, infill)
    return Continuation(prompt, problem.canonical_solution.encode())


def _given(label: str) -> str:
    return f"{option('suite' if label in named_suites() else 'problems')} {label}"


def _rows(
    problems: Sequence[Problem], kept: Sequence[Continuation], score: Score
) -> list[SolutionBits]:
    return [
        SolutionBits(
            task_id=problem.task_id,
            prompt_bytes=_bytes_of(one.prompt),
            bytes=len(one.text),
            heads_bpb=_each(score.bits_DN[row], score.symbols_DN[row]),
        )
        for row, (problem, one) in enumerate(zip(problems, kept, strict=True))
    ]


def _bytes_of(prompt: Prompt) -> int:
    """The bytes of a prompt, without the marks of a gap."""
    return len(prompt.prefix + prompt.suffix) if isinstance(prompt, Gap) else len(prompt)


def _each(bits_N: Sequence[float], symbols_N: Sequence[int]) -> list[float | None]:
    """Bits per byte of each head; None where it predicts no byte."""
    pairs = zip(bits_N, symbols_N, strict=True)
    return [float(bits / symbols) if symbols else None for bits, symbols in pairs]


def _intervals(score: Score) -> list[Interval | None]:
    """The 95 % interval of each head: each resample's bits by its bytes."""
    n = score.bits_DN.shape[1]
    columns = np.concatenate([score.bits_DN, score.symbols_DN], axis=1)
    means = bootstrap_means(columns, RESAMPLES, SEED)
    found: list[Interval | None] = []
    for bits_R, symbols_R in zip(means[:, :n].T, means[:, n:].T, strict=True):
        # A head that looks far ahead may have no byte in a few resamples.
        some = symbols_R > 0
        found.append(interval_of(bits_R[some] / symbols_R[some]) if some.any() else None)
    return found


def solutions_text(result: SolutionsResult) -> str:
    """The figures for a terminal: a line for each head."""
    lines = [
        f"{result.suite}: bits per byte of {result.problems} solutions ({result.bytes} bytes), "
        "given their prompts, with 95 % intervals"
    ]
    intervals = result.heads_interval or [None] * len(result.heads_bpb)
    for head, (bits, interval) in enumerate(zip(result.heads_bpb, intervals, strict=True), 1):
        if bits is None or interval is None:
            lines.append(f"head {head}: no byte that it predicts")
        else:
            lines.append(f"head {head}: {bits:.3f} ({interval[0]:.3f} to {interval[1]:.3f})")
    if result.left_out:
        lines.append(f"left out: {result.left_out} longer than the model's context")
    if result.shortened:
        lines.append(f"prompts without their beginning, to fit the context: {result.shortened}")
    return "\n".join(lines)
