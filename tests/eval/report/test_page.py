import base64
import json
import re
from pathlib import Path

import pytest
from fake_run import HOSTILE, edit
from pages import Tags
from support import ROOT

from eval.records import read_record
from eval.report.assemble import assemble
from eval.report.command import ReportCommand
from eval.report.page import render
from eval.report.record import Report
from eval.report.run_folder import read_run
from eval.report.samples import choose
from eval.report.solved import side_by_side
from eval.report.words import sentence
from eval.suites.problems import load_problems


def test_the_page_asks_nothing_of_the_network(whole: Path) -> None:
    page = (whole / "report.html").read_text()
    tags = Tags(page)
    links = [value for name, value in tags.attributes if name in ("src", "href", "srcset", "data")]
    assert links
    assert "http:" not in page
    assert "https:" not in page
    assert "@import" not in page
    assert "url(" not in page
    assert not {"script", "link", "iframe", "object"} & set(tags.tags)
    for link in links:
        assert link
        assert link.startswith("data:image/svg+xml;base64,")
        svg = base64.b64decode(link.partition(",")[2]).decode()
        assert not re.search(r'(href|src)="(?!#)', svg)


def test_hostile_text_is_shown_not_run(whole: Path) -> None:
    page = (whole / "report.html").read_text()
    assert "<script" not in page
    text = "".join(Tags(page).text)
    # In the config, the machine, the command, the file's name, the task and the result.
    assert text.count(HOSTILE) >= 6
    assert r"\xff" in text
    assert r"\x00" in text


@pytest.mark.medium
def test_output_that_differs_is_noted_and_crossed(run: Path) -> None:
    path = run / "results" / "speed.json"
    rows = json.loads(path.read_text())["rows"]
    rows[3]["identical"] = False
    edit(path, rows=rows)
    figures = ReportCommand(run).run()
    assert figures["identical"] is False
    page = (run / "report.html").read_text()
    assert page.count("\u2717 differs") == 1
    assert page.count("\u2713") == len(rows) - 1
    assert "DIFFERS from plain decoding" in page


@pytest.mark.medium
def test_the_loss_curve_says_why_it_jumps(run: Path) -> None:
    said = "The text comes in 3 stages, and the loss jumps where one begins."
    ReportCommand(run).run()
    assert said not in (run / "report.html").read_text()
    path = run / "config.json"
    data = json.loads(path.read_text())["data"]
    edit(path, data={**data, "train_stages": [1, 1, 1]})
    ReportCommand(run).run()
    assert said in (run / "report.html").read_text()


@pytest.mark.medium
def test_prompts_are_left_out_where_a_suite_is_not_installed(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda *_: None)
    ReportCommand(run).run()
    assert "(the prompt is not known here)" in (run / "report.html").read_text()


def test_a_report_that_was_sealed_elsewhere_becomes_a_page() -> None:
    report = read_record(ROOT / "results" / "tiny.json", Report)
    text = "".join(Tags(render(report)).text)
    assert sentence(report) in text
    # Neither steps nor samples are part of a report.
    assert "metrics.jsonl is missing" in text
    assert "The samples (results/humaneval.jsonl, results/micro.jsonl) is missing" in text


@pytest.mark.medium
def test_functions_give_what_the_command_writes(whole: Path) -> None:
    run = read_run(whole)
    report = assemble(run)
    assert report == read_record(whole / "report.json", Report)
    assert run.bits
    samples = {suite: found.samples for suite, found in run.suites.items()}
    problems = {suite: load_problems(suite) for suite in samples}
    beside = side_by_side(samples["exercises"], problems["exercises"])
    page = render(report, run.metrics, run.bits.files or (), choose(samples, problems), beside)
    assert page == (whole / "report.html").read_text()


@pytest.mark.medium
def test_text_that_is_not_unicode_is_escaped(run: Path) -> None:
    edit(run / "config.json", command="train --run caf\udce9")
    ReportCommand(run).run()
    assert r"train --run caf\udce9" in "".join(Tags((run / "report.html").read_text()).text)
