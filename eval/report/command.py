"""`python -m eval report`: a run folder becomes a page, a JSON file and a table in the terminal."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from bytelm.toolkit import InputError, check_place, say, write_json_result, write_result
from eval.report.assemble import assemble
from eval.report.run_folder import Run, read_run
from eval.report.samples import choose
from eval.report.solved import side_by_side
from eval.report.terminal import headline, terminal_table
from eval.suites.problems import Problem, load_problems


@dataclass
class ReportCommand:
    """Write report.html and report.json into a run folder, from what its stages left there.

    A stage that was not run is named in the report, not an error.
    """

    run_folder: Annotated[Path, tyro.conf.arg(name="run")]
    """The run folder, e.g. runs/tiny."""

    def run(self) -> dict[str, Any]:
        """Write the report; return its headline. Raises InputError where nothing was trained."""
        # Plots are slow to import; whoever asks for --help does not wait for them.
        from eval.report.page import render

        html, json_path = self.run_folder / "report.html", self.run_folder / "report.json"
        run = read_run(self.run_folder)
        for path in (html, json_path):
            check_place(path, "run")
        report = assemble(run)
        files = run.bits.files if run.bits else None
        samples = {suite: found.samples for suite, found in run.suites.items()}
        problems = _problems(run)
        beside = side_by_side(samples["exercises"], problems.get("exercises", []))
        page = render(report, run.metrics, files or (), choose(samples, problems), beside)
        write_json_result(json_path, report.to_dict())
        write_result(html, page.encode("utf-8", "surrogatepass"))
        for line in terminal_table(report):
            say(line)
        return {"html": str(html), "json": str(json_path), **headline(report)}


def _problems(run: Run) -> dict[str, list[Problem]]:
    """The problems of each suite that has samples; none of a suite that is not installed."""
    problems = {}
    for suite, found in run.suites.items():
        if found.samples:
            try:
                problems[suite] = load_problems(suite)
            except InputError as error:
                say(f"the report shows no prompts of {suite}: {error}")
    return problems
