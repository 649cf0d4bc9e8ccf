"""The figures of samples and their verdicts: pass@k, by temperature, level and family."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, TypeGuard

from eval.grading.pass_at_k import Tally, mean_pass_at_k, pass_at_1_interval
from eval.sandbox.verdict import FAILED, KINDS, PASSED, TIMED_OUT, Verdict
from eval.suites.problems import Problem

MOST_TEMPERATURE = 10**6


def score(
    rows: list[dict[str, Any]], results: Sequence[str], ks: tuple[int, ...] = (1, 10, 100)
) -> dict[str, Any]:
    """The figures of samples and their verdicts. `n` counts the problems that have samples.

    A sample that the grader failed to run counts nowhere but in `verdicts`.
    """
    verdicts = Counter(Verdict(r).kind if not isinstance(r, Verdict) else r.kind for r in results)
    rows, results = _graded(rows, results)
    kinds = Counter(result.partition(":")[0] for result in results)
    forms = dict.fromkeys(str(row["prompt_form"]) for row in rows if "prompt_form" in row)
    reasons = Counter(str(row["finish_reason"]) for row in rows if "finish_reason" in row)
    return {
        **_scores(rows, results, ks),
        **_by_temperature(rows, results, ks),
        "results": {kind: kinds[kind] for kind in (PASSED, FAILED, TIMED_OUT)},
        "verdicts": {kind: verdicts[kind] for kind in KINDS},
        "finish_reasons": dict(sorted(reasons.items())),
        "prompt_form": ", ".join(forms) or None,
    }


def _graded(
    rows: list[dict[str, Any]], results: Sequence[str]
) -> tuple[list[dict[str, Any]], list[str]]:
    """The samples that have a verdict on them, and not on the grader."""
    kept = [
        (row, result)
        for row, result in zip(rows, results, strict=True)
        if not (isinstance(result, Verdict) and result.kind == "infra_error")
    ]
    return [row for row, _ in kept], [result for _, result in kept]


def _scores(
    rows: list[dict[str, Any]], results: Sequence[str], ks: tuple[int, ...]
) -> dict[str, Any]:
    samples: Counter[str] = Counter(row["task_id"] for row in rows)
    passed: Counter[str] = Counter(
        row["task_id"] for row, result in zip(rows, results, strict=True) if result == PASSED
    )
    tallies = [Tally(count, passed[task_id]) for task_id, count in samples.items()]
    return {
        "n": len(tallies),
        "samples": len(rows),
        "pass_at_1": mean_pass_at_k(tallies, 1),
        "pass_at_1_interval": list(pass_at_1_interval(tallies)),
        "pass_at_k": {str(k): mean_pass_at_k(tallies, k) for k in ks if k <= min(samples.values())},
    }


def by_group(
    rows: list[dict[str, Any]], results: Sequence[str], problems: dict[str, Problem]
) -> dict[str, Any]:
    """The scores of each level and each family of problems, where the suite has such groups."""
    figures: dict[str, Any] = {}
    rows, results = _graded(rows, results)
    for name in ("level", "family"):
        groups: dict[str, list[int]] = {}
        for index, row in enumerate(rows):
            group = getattr(problems[row["task_id"]], name)
            if group:
                groups.setdefault(group, []).append(index)
        if groups:
            figures[f"by_{name}"] = {
                group: _scores([rows[i] for i in own], [results[i] for i in own], ())
                for group, own in sorted(groups.items())
            }
    return figures


def _by_temperature(
    rows: list[dict[str, Any]], results: Sequence[str], ks: tuple[int, ...]
) -> dict[str, Any]:
    """The scores of each temperature that samples have, the lowest first."""
    groups: dict[float, list[int]] = {}
    for index, row in enumerate(rows):
        value = row.get("temperature")
        if is_temperature(value):
            groups.setdefault(value, []).append(index)
    if not groups:
        return {}
    found = [
        {
            "temperature": temperature,
            **_scores([rows[i] for i in own], [results[i] for i in own], ks),
        }
        for temperature, own in sorted(groups.items())
    ]
    return {"by_temperature": found}


def is_temperature(value: object) -> TypeGuard[float]:
    """Whether `value`, from a file of samples, is a temperature."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return 0 <= value <= MOST_TEMPERATURE
