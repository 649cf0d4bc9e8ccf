"""`python -m eval table1`: pass@k of checkpoints by the paper's protocol, from graded samples.

The protocol is that of Table 1: many samples of each problem at several temperatures, the unbiased
estimate of pass@k at each, and for each k the best temperature. Checkpoints of one label are runs
of one recipe, which differ in their seeds: the label's pass@k is their mean. Intervals are by
bootstrap: problems are drawn with replacement, the same ones for all labels, and so are a label's
runs.

Shapes: P problem, C column (a run at its label's best temperature for a k), R resample.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from bytelm.toolkit import (
    InputError,
    Out,
    Positive,
    Seed,
    check_options,
    check_place,
    option,
    say,
    seal,
    write_json_result,
)
from eval.bootstrap import Floats, bootstrap_means, interval_of
from eval.grading.graded import Graded, check_alike, read_graded
from eval.grading.pass_at_k import mean_pass_at_k, pass_at_k
from eval.records import Count, Interval, Number, Record, Sealed
from eval.suites.problems import load_suite


class Table1Cell(Record):
    """pass@k of a label at the temperature that is best for this k."""

    k: Count
    pass_at_k: Number
    """The expected share (0 to 1) of problems that k samples solve."""
    interval: Interval
    """Its 95 % interval."""
    temperature: Number
    """The best temperature."""
    by_temperature: dict[str, Number]
    """pass@k at every temperature that has k samples of each problem."""
    runs: list[Number] | None = None
    """pass@k of each run at the best temperature, in the order of the checkpoints."""
    difference: Number | None = None
    """This pass@k minus that of the first label; None for the first."""
    difference_interval: Interval | None = None
    """Its 95 % interval, over the same resamples of problems."""


class Table1Row(Record):
    """A label's row of the table."""

    label: str
    results: list[str]
    """The graded files."""
    results_sha256: list[str]
    checkpoint_sha256: list[str]
    """The checkpoints that the samples name: each is a run."""
    samples: Count
    """Samples in all."""
    samples_by_temperature: dict[str, Count]
    """Samples that every problem has at least of each run, by temperature."""
    cells: list[Table1Cell]
    by_level: dict[str, list[Table1Cell]] = Field(default_factory=dict)
    """The cells of the problems of each level, where the suite is named and has levels."""


class Table1Result(Sealed):
    """table1.json: what `eval table1` finds."""

    rows: list[Table1Row]
    problems: Count
    resamples: Count
    """Resamples of the problems behind each interval."""
    seed: Count
    seconds: Number | None = None


def table1(
    graded: Sequence[Graded], ks: Sequence[int], resamples: int = 10_000, seed: int = 0
) -> Table1Result:
    """The table of these checkpoints. A k that no temperature has samples for is left out.

    Raises InputError if the checkpoints have samples of different problems, or too few for every k.
    """
    problems = check_alike(graded)
    cells = [[cell for k in ks if (cell := best_cell(one, k)) is not None] for one in graded]
    if not any(cells):
        raise InputError(f"too few samples of a problem for every {option('k')}; give a smaller k")
    columns = [
        [
            pass_at_k(tally.samples, tally.passed, cell.k)
            for tally in run[float(cell.temperature)].values()
        ]
        for one, own in zip(graded, cells, strict=True)
        for cell in own
        for run in one.runs
    ]
    means_RC = bootstrap_means(np.array(columns).T, resamples, seed)
    column, random = iter(means_RC.T), np.random.default_rng([seed, 1])
    base: dict[int, tuple[Table1Cell, Floats]] = {}
    rows = []
    for one, own in zip(graded, cells, strict=True):
        done = []
        for cell in own:
            means_R = _drawn([next(column) for _ in one.runs], random)
            changes: dict[str, Any] = {"interval": interval_of(means_R)}
            if one is graded[0]:
                base[cell.k] = cell, means_R
            elif cell.k in base:
                first, first_R = base[cell.k]
                changes["difference"] = cell.pass_at_k - first.pass_at_k
                changes["difference_interval"] = interval_of(means_R - first_R)
            done.append(cell.model_copy(update=changes))
        rows.append(_row(one, done))
    return Table1Result(rows=rows, problems=len(problems), resamples=resamples, seed=seed)


def with_levels(
    result: Table1Result, graded: Sequence[Graded], levels: Mapping[str, str]
) -> Table1Result:
    """The table with the cells of each level too: `levels` has the level of each problem.

    A level has its own best temperature for each k. Raises InputError for a problem without level.
    """
    for task in check_alike(graded):
        if task not in levels:
            raise InputError(f"{task} of {graded[0].paths[0]} is no problem of {option('suite')}")
    found: list[dict[str, list[Table1Cell]]] = [{} for _ in result.rows]
    ks = sorted({cell.k for row in result.rows for cell in row.cells})
    for level in sorted({levels[task] for task in check_alike(graded)} - {""}):
        tasks = {task for task, own in levels.items() if own == level}
        table = table1([one.of(tasks) for one in graded], ks, result.resamples, result.seed)
        for cells, row in zip(found, table.rows, strict=True):
            cells[level] = row.cells
    rows = [
        row.model_copy(update={"by_level": cells})
        for row, cells in zip(result.rows, found, strict=True)
    ]
    return result.model_copy(update={"rows": rows})


def _drawn(means: Sequence[Floats], random: np.random.Generator) -> Floats:
    """The mean of a label's runs, of which each resample draws as many as there are."""
    if len(means) == 1:
        return means[0]
    means_NR = np.array(means)
    runs, resamples = means_NR.shape
    chosen_NR = random.integers(0, runs, (runs, resamples))
    return np.asarray(np.take_along_axis(means_NR, chosen_NR, 0).mean(0))


def best_cell(graded: Graded, k: int) -> Table1Cell | None:
    """pass@k at the temperature where it is highest, of equals the lowest; without its interval.

    None if no temperature has k samples of every problem and run.
    """
    each = {
        temperature: [mean_pass_at_k(list(run[temperature].values()), k) for run in graded.runs]
        for temperature, least in _least_samples(graded).items()
        if least >= k
    }
    if not each:
        return None
    found = {temperature: sum(values) / len(values) for temperature, values in each.items()}
    best = max(found, key=lambda temperature: (found[temperature], -temperature))
    by_temperature = {str(temperature): value for temperature, value in found.items()}
    return Table1Cell(
        k=k,
        pass_at_k=found[best],
        interval=(found[best], found[best]),
        temperature=best,
        by_temperature=by_temperature,
        runs=[*each[best]],
    )


def _least_samples(graded: Graded) -> dict[float, int]:
    """How many samples every problem of every run has at least, by temperature."""
    return {
        temperature: min(
            tally.samples for run in graded.runs for tally in run[temperature].values()
        )
        for temperature in graded.runs[0]
        if all(temperature in run for run in graded.runs)
    }


def _row(graded: Graded, cells: list[Table1Cell]) -> Table1Row:
    runs = graded.runs
    return Table1Row(
        label=graded.label,
        results=[str(path) for path in graded.paths],
        results_sha256=graded.sha256s,
        checkpoint_sha256=graded.checkpoints,
        samples=sum(
            tally.samples for run in runs for own in run.values() for tally in own.values()
        ),
        samples_by_temperature={
            str(temperature): least for temperature, least in _least_samples(graded).items()
        },
        cells=cells,
    )


@dataclass
class Table1:
    """Make the paper's Table 1 of graded samples: pass@k at the temperature that is best for each.

    First `eval complete --samples 200 --temperatures ...` and `eval grade`, for each checkpoint.
    Checkpoints of one label are runs of one recipe: the mean counts. Intervals are by bootstrap
    over problems and runs, at the best temperature. Labels after the first are also compared with
    it, problem by problem.
    """

    results: tuple[Path, ...]
    """Graded samples, as `eval grade` writes them (SAMPLES_results.jsonl)."""
    labels: tuple[str, ...] = ()
    """A name for the checkpoint of each file, in their order. Files of one name are joined, and
    their checkpoints are runs of one recipe. Default: the files' names."""
    suite: str | None = None
    """The suite that the samples are of: then pass@k of each level of its problems is shown too."""
    out: Annotated[Path, Out()] | None = None
    """Also write the figures to this JSON file, and a picture beside it (.png)."""
    k: tuple[Positive, ...] = (1, 10, 100)
    """Values of k for pass@k. A k above the number of samples per problem is left out."""
    resamples: Positive = 10_000
    """Resamples of the problems behind each interval."""
    seed: Seed = 0
    """The seed of the resamples."""

    def run(self) -> dict[str, Any]:
        """Make the table. Raises InputError for wrong files, labels or options."""
        started = time.monotonic()
        check_options(self)
        picture = self._picture()
        graded = [read_graded(label, paths) for label, paths in self._by_label().items()]
        ks = sorted(set(self.k))
        result = table1(graded, ks, self.resamples, self.seed)
        if self.suite is not None:
            problems = load_suite(self.suite).problems
            levels = {problem.task_id: problem.level for problem in problems}
            result = with_levels(result, graded, levels)
        seconds = round(time.monotonic() - started, 3)
        figures = result.model_copy(update={"seconds": seconds}).to_dict()
        if self.out is not None and picture is not None:
            # Importing matplotlib takes a while.
            from eval.grading.table1_plot import plot_table1

            write_json_result(self.out, seal(figures))
            plot_table1(result, picture)
        say("\n".join(table_lines(result)))
        return figures

    def _picture(self) -> Path | None:
        if self.out is None:
            return None
        picture = self.out.with_suffix(".png")
        if picture == self.out:
            raise InputError(
                f"{option('out')} {self.out}: the picture beside it ends in .png; give a file for "
                "the figures that ends in .json"
            )
        check_place(picture)
        return picture

    def _by_label(self) -> dict[str, list[Path]]:
        if not self.results:
            raise InputError(f"{option('results')} needs at least one file")
        if self.labels and len(self.labels) != len(self.results):
            raise InputError(
                f"{option('labels')} has {len(self.labels)} names for {len(self.results)} files; "
                "give one for each file"
            )
        found: dict[str, list[Path]] = {}
        names = self.labels or tuple(str(path) for path in self.results)
        for label, path in zip(names, self.results, strict=True):
            found.setdefault(label, []).append(path)
        return found


def table_lines(result: Table1Result) -> list[str]:
    """The table for a terminal: percent, the 95 % interval, and the best temperature."""
    ks = sorted({cell.k for row in result.rows for cell in row.cells})
    wide = max(len("checkpoint"), *(len(row.label) for row in result.rows))
    head = "".join(f"  {f'pass@{k} (95 %) at t':<27}" for k in ks)
    lines = [f"{'checkpoint':<{wide}}  samples{head}".rstrip()]
    lines += [_line(row, row.cells, ks, wide) for row in result.rows]
    for level in sorted({level for row in result.rows for level in row.by_level}):
        lines.append(f"level {level}")
        lines += [_line(row, row.by_level[level], ks, wide) for row in result.rows]
    lines.append(
        f"{result.problems} problems; samples: of a problem at a temperature; t: the best "
        f"temperature; intervals: {result.resamples} resamples of problems and runs"
    )
    return lines


def _line(row: Table1Row, cells: Sequence[Table1Cell], ks: Sequence[int], wide: int) -> str:
    by_k = {cell.k: cell for cell in cells}
    each = max(row.samples_by_temperature.values())
    words = "".join(f"  {_words(by_k.get(k)):<27}" for k in ks)
    return f"{row.label:<{wide}}  {each:>7}{words}".rstrip()


def _words(cell: Table1Cell | None) -> str:
    if cell is None:
        return "-"
    low, high = cell.interval
    return f"{cell.pass_at_k:6.1%} ({low:.1%}-{high:.1%}) {cell.temperature:g}"
