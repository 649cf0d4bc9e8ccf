"""`python -m eval report`: a run folder becomes a page, a JSON file and a table in the terminal."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from bytelm.toolkit import InputError, say, write_json, write_text
from eval.measure.text import distinct_windows
from eval.report.input import SUITES, RunFolder, completion_bytes, read_run
from eval.report.samples import choose
from eval.report.words import duration, fastest, model_words, percent, size
from eval.suites.problems import Problem, load_problems

SEAL = ("machine", "versions", "command")


@dataclass
class Report:
    """Write report.html and report.json into a run folder, from what its stages left there.

    A stage that was not run is named in the report, not an error.
    """

    run_folder: Annotated[Path, tyro.conf.arg(name="run")]
    """The run folder, e.g. runs/tiny."""

    def run(self) -> dict[str, Any]:
        """Write the report; return its headline. Raises InputError where nothing was trained."""
        from eval.report.page import render_page

        run = read_run(self.run_folder)
        report = assemble(run)
        files = run.bits.get("files") or []
        shown = choose(
            run.samples, {suite: _problems(suite) for suite in SUITES if run.samples[suite]}
        )
        page = render_page(report, run.metrics, files, shown)
        html, json_path = self.run_folder / "report.html", self.run_folder / "report.json"
        write_json(json_path, report)
        write_text(html, page)
        for line in terminal_table(report):
            say(line)
        return {"html": str(html), "json": str(json_path), **headline(report)}


def assemble(run: RunFolder) -> dict[str, Any]:
    """report.json: every figure of the run, and what made it."""
    config, summary, bits = run.config, run.summary, run.bits
    last = run.metrics[-1] if run.metrics else {}
    training: dict[str, Any] = {
        "preset": config.get("preset"),
        "steps": summary.get("steps", last.get("step")),
        "bytes": summary.get("bytes", last.get("bytes")),
        "train_s": summary.get("train_s", last.get("elapsed_s")),
        "parameters": summary.get("parameters"),
        "final_bpb": last.get("bpb"),
        "held_out_bpb": summary.get("held_out_bpb"),
        "model": config.get("model"),
        "train": config.get("train"),
    }
    return {
        "run": run.path.resolve().name,
        "held_out_bpb": bits.get("heads_bpb") or summary.get("held_out_bpb"),
        "forecast": bits.get("forecast") or summary.get("forecast"),
        "compressors": bits.get("compressors"),
        "bits": _without(bits, (*SEAL, "files", "compressors", "heads_bpb", "forecast")) or None,
        "speed": run.speed.get("rows", []),
        **{suite: _score(run, suite) for suite in SUITES},
        "training": training,
        "data": config.get("data"),
        "stages": _stages(run),
        "missing": _missing(run),
        "notes": _notes(run),
        "commands": _commands(run),
        "checkpoint": summary.get("checkpoint"),
        "checkpoint_sha256": summary.get("checkpoint_sha256"),
        "machine": config.get("machine") or summary.get("machine"),
        "versions": config.get("versions") or summary.get("versions"),
    }


def headline(report: Mapping[str, Any]) -> dict[str, Any]:
    """The few figures for the JSON line; None where a stage is missing."""
    best = fastest(report["speed"]) or {}
    compressors = report["compressors"] or {}
    return {
        "held_out_bpb": report["held_out_bpb"][0] if report["held_out_bpb"] else None,
        "gzip_bpb": compressors["gzip"]["each"] if "gzip" in compressors else None,
        "k": best.get("k"),
        "batch": best.get("batch"),
        "bytes_per_forward": best.get("bytes_per_forward"),
        "speedup": best.get("speedup"),
        "identical": all(row["identical"] for row in report["speed"]) if best else None,
        **{
            f"{suite}_pass_at_1": report[suite]["pass_at_1"] if report[suite] else None
            for suite in SUITES
        },
        "missing": report["missing"],
        "notes": report["notes"],
    }


def terminal_table(report: Mapping[str, Any]) -> list[str]:
    """The report in a few lines of plain text."""
    training, bpb = report["training"], report["held_out_bpb"]
    words = [model_words(training["parameters"] or {})]
    words += [f"{size(training['bytes'])} seen"] if training["bytes"] is not None else []
    words += [duration(training["train_s"])] if training["train_s"] is not None else []
    lines = [f"{report['run']}", f"  {'trained':<14}{', '.join(filter(None, words))}"]
    if bpb:
        lines.append(f"  {'held-out bpb':<14}{bpb[0]:.3f} head 1   (all: {_row(bpb)})")
    for name, row in (report["compressors"] or {}).items():
        lines.append(f"  {name:<14}{row['each']:.3f} file by file, {row['together']:.3f} together")
    if report["speed"]:
        lines.append(f"  {'speed':<14}batch    k  bytes/forward    bytes/s  speedup  identical")
    for row in sorted(report["speed"], key=lambda row: (row["batch"], row["k"])):
        rate = f"{row['bytes_per_s']:.0f}" if row.get("bytes_per_s") is not None else "-"
        lines.append(
            f"  {'':<14}{row['batch']:>5}{row['k']:>5}{row['bytes_per_forward']:>15.2f}{rate:>11}"
            f"{row['speedup']:>8.2f}x  {'yes' if row['identical'] else 'NO'}"
        )
    for suite in SUITES:
        if score := report[suite]:
            ends = ", ".join(f"{k} {v}" for k, v in (score["finish_reasons"] or {}).items())
            lines.append(
                f"  {suite:<14}pass@1 {percent(score['pass_at_1'])} of {score['n']} problems"
                + f" ({ends})" * bool(ends)
            )
    if report["missing"]:
        lines.append(f"  {'missing':<14}{', '.join(report['missing'])}")
    return lines + [f"  {'note':<14}{note}" for note in report["notes"]]


def _row(values: Sequence[float]) -> str:
    return " ".join(f"{value:.2f}" for value in values)


def _without(table: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: value for name, value in table.items() if name not in names}


def _score(run: RunFolder, suite: str) -> dict[str, Any] | None:
    """A suite's figures, with those of its completions; None where it was not graded."""
    score, samples, complete = run.scores[suite], run.samples[suite], run.complete[suite]
    if not score:
        return None
    reasons = Counter(str(row["finish_reason"]) for row in samples if row.get("finish_reason"))
    texts = [completion_bytes(row) for row in samples]
    return {
        **_without(score, SEAL),
        "finish_reasons": score.get("finish_reasons") or dict(sorted(reasons.items())),
        "distinct_windows": distinct_windows(texts) if texts else None,
        "complete": _without(complete, SEAL) or None,
    }


def _stages(run: RunFolder) -> dict[str, float | None]:
    """Seconds of each stage, None where they are not known; timings.json has the last word."""
    data = run.config.get("data") or {}
    last = run.metrics[-1] if run.metrics else {}
    stages: dict[str, Any] = {
        "data": data.get("seconds"),
        "train": run.summary.get("train_s", last.get("elapsed_s")),
        "bits": run.bits.get("seconds"),
        "speed": run.speed.get("seconds"),
    }
    for suite in SUITES:
        stages[f"complete_{suite}"] = run.complete[suite].get("seconds")
        stages[f"grade_{suite}"] = run.scores[suite].get("seconds")
    stages |= run.timings
    usable = {
        name: isinstance(s, int | float) and not isinstance(s, bool) and s >= 0
        for name, s in stages.items()
    }
    return {name: float(seconds) if usable[name] else None for name, seconds in stages.items()}


def _missing(run: RunFolder) -> list[str]:
    """The stages that left nothing, each with the file that it would have left."""
    found = {
        "config (config.json)": run.config,
        "the end of training (summary.json)": run.summary,
        "metrics (metrics.jsonl)": run.metrics,
        "bits (results/bits.json)": run.bits,
        "speed (results/speed.json)": run.speed,
    }
    for suite in SUITES:
        found[f"complete {suite} (results/{suite}.jsonl)"] = run.samples[suite]
        found[f"grade {suite} (results/{suite}.json)"] = run.scores[suite]
    return [name for name, content in found.items() if not content]


def _sources(run: RunFolder) -> dict[str, dict[str, Any]]:
    """The sealed results by the name of their stage."""
    sources = {"bits": run.bits, "speed": run.speed}
    for suite in SUITES:
        sources[f"complete {suite}"] = run.complete[suite]
        sources[f"grade {suite}"] = run.scores[suite]
    return sources


def _notes(run: RunFolder) -> list[str]:
    """What a reader must know before believing the figures."""
    ours = run.summary.get("checkpoint_sha256")
    notes = []
    for stage, result in _sources(run).items():
        theirs = result.get("checkpoint_sha256")
        if ours and theirs and theirs != ours:
            notes.append(
                f"The result of {stage} is of another checkpoint ({theirs[:12]}) than this run's "
                f"newest ({ours[:12]}): run that stage again."
            )
    notes += [
        f"The score of {suite} is of other samples than results/{suite}.jsonl: grade it again."
        for suite in SUITES
        if suite in run.other_samples
    ]
    if any(not row["identical"] for row in run.speed.get("rows", [])):
        notes.append(
            "Output with drafts DIFFERS from plain decoding in at least one row of the speed table."
        )
    return notes


def _commands(run: RunFolder) -> dict[str, str]:
    sources = {"train": run.config, **_sources(run)}
    return {stage: source["command"] for stage, source in sources.items() if source.get("command")}


def _problems(suite: str) -> list[Problem]:
    """A suite's problems; none where its package is not here: prompts are then left out."""
    try:
        return load_problems(suite)
    except InputError as error:
        say(f"the report shows no prompts of {suite}: {error}")
        return []
