"""The file of verdicts, in the form of the grader whose readers it is for."""

import json
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from bytelm.toolkit import check_place, write_result
from eval.grading.formats import (
    bigcode_evaluation,
    bigcode_generations,
    evalplus_results,
    multipl_e_results,
)
from eval.grading.programs import code_of
from eval.sandbox.verdict import PASSED, Verdict
from eval.suites.problems import Problem

ResultsForm = Literal["human-eval", "evalplus", "bigcode", "multipl-e"]

_ENDINGS: dict[ResultsForm, str] = {
    "human-eval": "_results.jsonl",
    "evalplus": "_eval_results.json",
    "bigcode": "_evaluation_results.json",
    "multipl-e": "_results",
}


def results_path(samples: Path, form: ResultsForm) -> Path:
    """Where the results of samples lie by default: beside them; of multipl-e, a folder."""
    name = samples.name
    if form == "evalplus":  # which takes the ending off
        name = name.removesuffix(".gz").removesuffix(".jsonl")
    return samples.with_name(name + _ENDINGS[form])


def write_results(
    out: Path,
    form: ResultsForm,
    rows: Sequence[dict[str, Any]],
    verdicts: Sequence[Verdict],
    problems: Mapping[str, Problem],
    figures: Mapping[str, Any],
    base: Sequence[Verdict] | None = None,
) -> None:
    """Write the verdicts. A file is complete, or it does not exist.

    `figures`: of `scores.score`, and the digests. `base`: the verdicts under the suite's own tests,
    where `verdicts` are under more tests (evalplus).
    """
    if form == "human-eval":
        write_result(out, human_eval_results(rows, verdicts))
        return
    codes = [code_of(problems[row["task_id"]], row) for row in rows]
    told = [verdict.told for verdict in verdicts]
    at_k = figures["pass_at_k"]
    if form == "evalplus":
        more = {} if base is None else {"plus": at_k}
        own = told if base is None else [verdict.told for verdict in base]
        content = evalplus_results(
            rows, codes, own, None if base is None else told,
            date=datetime.now(UTC), problems_hash=figures["problems_sha256"],
            pass_at_k={"base": figures.get("base_pass_at_k", at_k), **more},
        )  # fmt: skip
        write_result(out, content)
    elif form == "bigcode":
        config = {key: figures[key] for key in ("suite", "samples_sha256", "problems_sha256")}
        write_result(out, bigcode_evaluation(str(figures["suite"]), at_k, config))
        write_result(
            out.with_name(f"{out.stem}_generations.json"),
            bigcode_generations(rows, codes, problems),
        )
    else:
        programs = [
            f"{code}\n{problems[row['task_id']].test}"
            for row, code in zip(rows, codes, strict=True)
        ]
        streams = [{**t, "stderr": t.get("printed", "")} for t in told]
        files = multipl_e_results(rows, streams, programs, timestamp=int(time.time()))
        for name, content in files.items():
            check_place(out / name, "results")
            write_result(out / name, content)


def human_eval_results(rows: Sequence[dict[str, Any]], verdicts: Sequence[Verdict]) -> bytes:
    """The samples with their verdicts, as human-eval writes them, and what its words leave out.

    `passed` is null where the grader failed.
    """
    graded = (
        {**row, **verdict.told, "passed": _passed(verdict)}
        for row, verdict in zip(rows, verdicts, strict=True)
    )
    return b"".join(json.dumps(row).encode() + b"\n" for row in graded)


def _passed(verdict: Verdict) -> bool | None:
    return None if verdict.kind == "infra_error" else verdict == PASSED
