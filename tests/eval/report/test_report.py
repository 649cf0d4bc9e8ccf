import base64
import hashlib
import html
import json
import math
import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from bytelm.toolkit import InputError, main
from eval.report.report import Report

HOSTILE = "<script>alert('x')</script>\"&"
OURS, OTHER = "a" * 64, "b" * 64
BPB = [2.0, 2.9, 3.3, 3.6, 3.9, 4.1, 4.2, 4.3]
SUITES = {"humaneval": "HumanEval/0", "micro": "micro/0"}


def write(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def sample(task_id: str, text: bytes, **more: Any) -> dict[str, Any]:
    return {
        "task_id": task_id,
        "completion": text.decode("utf-8", "replace"),
        "completion_base64": base64.b64encode(text).decode(),
        "finish_reason": "stop",
        "bytes": len(text),
        "forwards": 2,
        "accepted": [1, len(text) - 1],
        **more,
    }


def score(samples: bytes) -> dict[str, Any]:
    return {
        "n": 2,
        "samples": 2,
        "pass_at_1": 0.5,
        "pass_at_1_interval": [0.1, 0.9],
        "results": {"passed": 1, "failed": 1, "timed out": 0},
        "finish_reasons": {"stop": 2},
        "prompt_form": "raw",
        "seconds": 3.5,
        "samples_sha256": hashlib.sha256(samples).hexdigest(),
    }


def make_run(folder: Path) -> Path:
    results = folder / "results"
    write(
        folder / "config.json",
        {
            "preset": "tiny",
            "model": {"width": 128, "note": HOSTILE},
            "train": {"batch": 8},
            "data": {
                "folder": "shards",
                "train_bytes": 10_000,
                "train_documents": 3,
                "seconds": 1.5,
            },
            "machine": {"processor": HOSTILE, "cores": 2, "gpu": None},
            "versions": {"python": "3.11"},
            "command": f"python -m bytelm train {HOSTILE}",
        },
    )
    rows = [{"step": i, "bytes": 4096 * i, "bpb": 2 + 6 / i, "elapsed_s": i} for i in range(1, 40)]
    rows[19]["held_out_bpb"] = BPB  # type: ignore[assignment]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    write(
        folder / "summary.json",
        {
            "steps": 39,
            "bytes": 4096 * 39,
            "train_s": 39.0,
            "parameters": {"total": 18_000_000, "tables": 17_000_000},
            "held_out_bpb": [value + 0.1 for value in BPB],
            "forecast": {"1": 1.0, "8": 2.2},
            "checkpoint": "checkpoints/step-000039",
            "checkpoint_sha256": OURS,
        },
    )
    compressors = {name: {"each": 2.1, "together": 1.6} for name in ("gzip", "zstd", "xz")}
    write(
        results / "bits.json",
        {
            "heads_bpb": BPB,
            "bytes": 5000,
            "documents": 2,
            "compressors": compressors,
            "forecast": {"1": 1.0, "8": 2.3},
            "files": [{"name": HOSTILE, "bytes": 5000, "heads_bpb": BPB}],
            "seconds": 2.5,
            "checkpoint_sha256": OURS,
            "command": "python -m eval bits",
        },
    )
    speed = [
        {"k": k, "batch": batch, "bytes_per_forward": k**0.5, "bytes_per_s": 1000.0 * k,
         "speedup": k**0.4, "identical": True, "accepted_lengths": [3] * k,
         "distinct_windows": 0.4, "prompts": 4, "prompt_bytes": 1024, "max_bytes": 64}
        for batch in (16, 1) for k in (1, 2, 4, 8)
    ]  # fmt: skip
    write(results / "speed.json", {"rows": speed, "seconds": 9.0, "checkpoint_sha256": OURS})
    for suite, task_id in SUITES.items():
        samples = [sample(task_id, b"return 1\n"), sample(HOSTILE, HOSTILE.encode() + b"\xff\0")]
        raw = b"".join(json.dumps(row).encode() + b"\n" for row in samples)
        (results / f"{suite}.jsonl").write_bytes(raw)
        graded = [{**row, "result": f"failed: {HOSTILE}", "passed": False} for row in samples]
        lines = "".join(json.dumps(row) + "\n" for row in graded)
        (results / f"{suite}.jsonl_results.jsonl").write_text(lines)
        write(results / f"{suite}.json", score(raw))
        done = {"seconds": 4.0, "bytes": 100, "forwards": 40, "checkpoint_sha256": OURS}
        write(results / f"{suite}.complete.json", done)
    return folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_run(tmp_path_factory.mktemp("runs") / "tiny")
    Report(folder).run()
    return folder


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return make_run(tmp_path / "tiny")


def report_of(folder: Path) -> dict[str, Any]:
    def refuse(name: str) -> None:
        raise AssertionError(f"{name} in JSON")

    text = (folder / "report.json").read_text()
    found: dict[str, Any] = json.loads(text, parse_constant=refuse)
    return found


def edit(path: Path, **changes: Any) -> None:
    write(path, {**json.loads(path.read_text()), **changes})


class Tags(HTMLParser):
    """Every tag and attribute of a page, and whether what was opened was closed."""

    VOID = frozenset({"meta", "img", "br"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_report_json_has_what_readers_look_for(whole: Path) -> None:
    report = report_of(whole)
    assert report["held_out_bpb"] == BPB
    assert report["compressors"]["xz"] == {"each": 2.1, "together": 1.6}
    keys = {"k", "batch", "bytes_per_forward", "bytes_per_s", "speedup", "identical"}
    assert len(report["speed"]) == 8
    assert all(keys <= set(row) for row in report["speed"])
    for suite in SUITES:
        assert report[suite]["pass_at_1"] == 0.5
        assert report[suite]["n"] == 2
        assert report[suite]["finish_reasons"] == {"stop": 2}
        assert report[suite]["pass_at_1_interval"] == [0.1, 0.9]
        assert 0 < report[suite]["distinct_windows"] <= 1
    assert report["training"]["preset"] == "tiny"
    assert report["training"]["steps"] == 39
    assert report["data"]["train_bytes"] == 10_000
    assert report["stages"] == {
        "data": 1.5, "train": 39.0, "bits": 2.5, "speed": 9.0, "complete_humaneval": 4.0,
        "grade_humaneval": 3.5, "complete_micro": 4.0, "grade_micro": 3.5,
    }  # fmt: skip
    assert report["commands"]["bits"] == "python -m eval bits"
    assert report["checkpoint_sha256"] == OURS
    assert report["machine"]["cores"] == 2
    assert report["versions"] == {"python": "3.11"}
    assert report["missing"] == []
    assert report["notes"] == []


def test_the_page_asks_nothing_of_the_network(whole: Path) -> None:
    page = (whole / "report.html").read_text()
    tags = Tags(page)
    links = [value for name, value in tags.attributes if name in ("src", "href", "srcset", "data")]
    assert len(links) == 5
    assert all(link and link.startswith("data:image/svg+xml;base64,") for link in links)
    assert "http:" not in page
    assert "https:" not in page
    assert "@import" not in page
    assert "url(" not in page
    assert not {"script", "link", "iframe", "object"} & set(tags.tags)
    for link in links:
        assert link
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


def test_terminal_and_json_line_say_the_same(
    whole: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["report", "--run", str(whole)]
    assert main("eval", "", {"report": Report, "other": Report}, arguments) == 0
    out, err = capsys.readouterr()
    figures = json.loads(out.splitlines()[-1])
    assert figures["held_out_bpb"] == 2.0
    assert figures["k"] == 8
    assert figures["identical"] is True
    assert figures["humaneval_pass_at_1"] == 0.5
    assert "2.000 head 1" in err
    assert "pass@1 50.0 % of 2 problems (stop 2)" in err
    assert "1.0M parameters (and 17.0M in n-gram tables)" in err


STAGE_FILES = {
    "bits": ["bits.json"],
    "speed": ["speed.json"],
    "grade humaneval": ["humaneval.json"],
    "complete micro": ["micro.jsonl", "micro.jsonl_results.jsonl", "micro.complete.json"],
}


@pytest.mark.parametrize("stage", STAGE_FILES)
def test_a_missing_stage_is_named(run: Path, stage: str) -> None:
    for name in STAGE_FILES[stage]:
        (run / "results" / name).unlink()
    Report(run).run()
    [named] = report_of(run)["missing"]
    assert named.startswith(f"{stage} (results/")
    assert html.escape(named) in (run / "report.html").read_text()


def test_a_run_of_training_alone_has_a_report(run: Path) -> None:
    shutil.rmtree(run / "results")
    figures = Report(run).run()
    report = report_of(run)
    assert len(report["missing"]) == 6
    assert report["speed"] == []
    assert report["humaneval"] is None
    assert report["held_out_bpb"][0] == 2.1
    assert figures["identical"] is None
    assert "2.10 bits per byte" in (run / "report.html").read_text()


def test_a_run_that_is_not_over_has_a_report(run: Path) -> None:
    shutil.rmtree(run / "results")
    (run / "summary.json").unlink()
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"step": 40, "by')
    Report(run).run()
    report = report_of(run)
    assert "the end of training (summary.json)" in report["missing"]
    assert report["training"]["steps"] == 39
    assert report["held_out_bpb"] is None


@pytest.mark.parametrize("name", ["bits.json", "speed.json", "micro.complete.json"])
def test_a_result_of_another_checkpoint_is_noted(run: Path, name: str) -> None:
    edit(run / "results" / name, checkpoint_sha256=OTHER)
    Report(run).run()
    [note] = report_of(run)["notes"]
    assert "another checkpoint (bbbbbbbbbbbb)" in note
    assert html.escape(note) in (run / "report.html").read_text()


def test_verdicts_of_other_samples_are_noted(run: Path) -> None:
    with (run / "results" / "micro.jsonl").open("a") as file:
        file.write(json.dumps(sample("micro/1", b"pass\n")) + "\n")
    Report(run).run()
    [note] = report_of(run)["notes"]
    assert (
        note == "The score of micro is of other samples than results/micro.jsonl: grade it again."
    )


def test_output_that_differs_is_noted_and_crossed(run: Path) -> None:
    path = run / "results" / "speed.json"
    rows = json.loads(path.read_text())["rows"]
    rows[3]["identical"] = False
    edit(path, rows=rows)
    figures = Report(run).run()
    assert figures["identical"] is False
    page = (run / "report.html").read_text()
    assert page.count("\u2717 differs") == 1
    assert page.count("\u2713") == 7
    assert "DIFFERS from plain decoding" in page


def test_no_nan_reaches_the_json(run: Path) -> None:
    path = run / "results" / "bits.json"
    path.write_text(path.read_text().replace('"seconds": 2.5', '"seconds": NaN'))
    edit(run / "config.json", extra=math.inf, model={"width": math.nan})
    Report(run).run()
    report = report_of(run)
    assert report["stages"]["bits"] is None
    assert report["training"]["model"] == {"width": None}


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def nonsense(**changes: Any) -> Callable[[Path], None]:
    return lambda path: edit(path, **changes)


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("results/bits.json", cut),
        ("results/bits.json", nonsense(heads_bpb=[])),
        ("results/bits.json", nonsense(heads_bpb=[math.nan])),
        ("results/bits.json", nonsense(compressors={"gzip": {"each": "x", "together": 1}})),
        ("results/bits.json", lambda path: path.write_text("[1]")),
        ("results/bits.json", lambda path: path.write_bytes(b"\xff\xfe\x00")),
        ("results/speed.json", nonsense(rows=[{"k": 1}])),
        ("results/speed.json", lambda path: path.write_text("[" * 100_000)),
        ("results/humaneval.json", nonsense(pass_at_1=None)),
        ("results/micro.json", nonsense(finish_reasons={"stop": "many"})),
        ("results/micro.jsonl_results.jsonl", cut),
        ("results/micro.jsonl_results.jsonl", lambda path: path.write_text('{"task_id": "a"}\n')),
        ("summary.json", nonsense(parameters=[1, 2])),
        ("config.json", nonsense(data={"train_bytes": "many"})),
        ("metrics.jsonl", lambda path: path.write_text('{"bytes": 1}\n')),
        ("metrics.jsonl", lambda path: path.write_text("{}}\n")),
    ],
)
def test_a_damaged_file_is_one_clear_line(
    run: Path, name: str, damage: Callable[[Path], None]
) -> None:
    damage(run / name)
    with pytest.raises(InputError) as caught:
        Report(run).run()
    message = str(caught.value)
    assert str(run / name) in message
    assert "again" in message or "is the line cut off?" in message
    assert "\n" not in message
    assert not (run / "report.json").exists()
    assert not (run / "report.html").exists()


def test_a_folder_without_training_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing was trained here"):
        Report(tmp_path).run()
    with pytest.raises(InputError, match="no such folder"):
        Report(tmp_path / "absent").run()


def test_prompts_are_left_out_where_a_suite_is_not_installed(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda *_: None)
    Report(run).run()
    assert "(the prompt is not known here)" in (run / "report.html").read_text()
