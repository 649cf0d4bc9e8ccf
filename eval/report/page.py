"""The report as one HTML page that needs nothing from outside: plots and styles are in it."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any

from eval.report import plots
from eval.report.html import escape, missing, picture, table
from eval.report.samples import Shown, render_samples
from eval.report.words import Json, count_of, duration, fastest, interval, percent, sentence, size

TIMES, MINUS = "\u00d7", "\u2212"
COMPRESSOR_NAMES = {"gzip": "gzip -9", "zstd": "zstd -19", "xz": "xz -9e"}
SUITE_NAMES = {"humaneval": "HumanEval", "micro": "micro"}
# Below this, solving next to none of HumanEval is what one expects, and the page says so.
SMALL_PARAMETERS = 100e6


def render_page(
    report: Json, metrics: Sequence[Json], files: Sequence[Json], shown: Sequence[Shown]
) -> str:
    """The page. `report` is report.json's content, `metrics` the rows of metrics.jsonl, `files` the
    held-out files' own figures (bits.json), `shown` the sample completions.
    """
    sections = (
        _head(report),
        _trained(report),
        _curve(report, metrics),
        _heads(report),
        _speed(report),
        _accepted(report),
        _scores(report),
        render_samples(shown),
        _stages(report),
        _configuration(report, files),
    )
    template = Template((Path(__file__).parent / "templates" / "report.html").read_text("utf-8"))
    title = escape(f"{report['run']} · bytelm report")
    return template.substitute(title=title, body="\n".join(sections))


def _head(report: Json) -> str:
    cards = []
    bpb, compressors = report["held_out_bpb"], report["compressors"] or {}
    if bpb:
        beside = f"gzip -9: {compressors['gzip']['each']:.2f}" if "gzip" in compressors else ""
        cards.append((f"{bpb[0]:.2f}", f"bits per byte on held-out files<br>{beside}"))
    best = fastest(report["speed"])
    if best:
        output = "output identical" if best["identical"] else "OUTPUT DIFFERS"
        cards.append(
            (f"{best['bytes_per_forward']:.2f}", f"bytes per forward<br>with k = {best['k']}")
        )
        cards.append(
            (f"{best['speedup']:.2f}{TIMES}", f"speedup at batch {best['batch']}<br>{output}")
        )
    for suite, name in SUITE_NAMES.items():
        score = report[suite]
        if score:
            bounds = interval(score.get("pass_at_1_interval"))
            around = f"95 %: {bounds}" if bounds else ""
            cards.append((percent(score["pass_at_1"]), f"{name} pass@1<br>{around}"))
    boxes = "".join(
        f'<div class="card"><b>{big}</b><span>{words}</span></div>' for big, words in cards
    )
    notes = list(report["notes"])
    if report["missing"]:
        notes.append("Missing stages: " + ", ".join(report["missing"]) + ".")
    lines = [f'<p class="note">{escape(note)}</p>' for note in notes]
    parameters = report["training"].get("parameters") or {}
    expect = (
        '<p class="lead">A HumanEval score near zero is expected of a model this small: it has '
        "learnt what code looks like, not how to solve problems. What this page shows is the "
        "whole way from raw bytes to a scored report.</p>"
        if parameters.get("total", 0) - parameters.get("tables", 0) < SMALL_PARAMETERS
        else ""
    )
    return (
        f'<header><p class="kind">bytelm report · {escape(report["run"])}</p>'
        f"<h1>{escape(sentence(report))}</h1>{expect}</header>"
        f'{"".join(lines)}<div class="cards">{boxes}</div>'
    )


def _trained(report: Json) -> str:
    training, data = report["training"], report["data"] or {}
    model = training.get("model") or {}
    parts = training.get("parameters") or {}
    split = ", ".join(f"{escape(k)} {count_of(v)}" for k, v in parts.items() if k != "total")
    facts: list[tuple[str, str]] = []

    def fact(name: str, value: object, words: Callable[[Any], str] = str) -> None:
        if value is not None and value != "":
            facts.append((name, words(value)))

    fact("Preset", training.get("preset"), escape)
    fact("Parameters", parts.get("total"), lambda v: count_of(v) + f" ({split})" * bool(split))
    shape = [
        f"{escape(k)} {escape(model[k])}"
        for k in ("width", "layers", "context", "window")
        if model.get(k)
    ]
    fact("Shape", ", ".join(shape))
    for name in ("train", "held_out"):
        if data.get(f"{name}_bytes") is not None:
            documents = data.get(f"{name}_documents")
            files = f" in {documents:,} files" if isinstance(documents, int) else ""
            fact({"train": "Training text", "held_out": "Held-out text"}[name],
                 size(data[f"{name}_bytes"]) + files)  # fmt: skip
    fact("Bytes seen", _seen(training, data))
    fact("Training time", training.get("train_s"), duration)
    machine = report["machine"] or {}
    gpu, cpu = machine.get("gpu"), machine.get("processor") or machine.get("cpu")
    cores = f", {escape(machine['cores'])} cores" if machine.get("cores") else ""
    fact("Machine", escape(gpu or cpu or "") + cores if gpu or cpu else None)
    fact(
        "Checkpoint",
        report["checkpoint_sha256"],
        lambda v: f"<code>{escape(v[:16])}</code> (SHA-256)",
    )
    return "<h2>What was trained, on what</h2>" + table([list(f) for f in facts], kind="facts")


def _seen(training: Json, data: Json) -> str | None:
    seen, whole = training.get("bytes"), data.get("train_bytes")
    if seen is None:
        return None
    steps = f", {training['steps']:,} steps" if training.get("steps") else ""
    passes = f" ({seen / whole:.2f} times the training text)" if whole else ""
    return size(seen) + passes + steps


def _curve(report: Json, metrics: Sequence[Json]) -> str:
    title = "<h2>Loss</h2>"
    held_out = [(r["bytes"], r["held_out_bpb"][0]) for r in metrics if r.get("held_out_bpb")]
    training = report["training"]
    last = training.get("held_out_bpb")
    if last and not (held_out and held_out[-1][0] >= training["bytes"]):
        held_out.append((training["bytes"], last[0]))
    metrics = [row for row in metrics if row.get("bpb") is not None]
    if not metrics:
        return title + missing("metrics.jsonl")
    compressors = report["compressors"] or {}
    lines = {
        COMPRESSOR_NAMES[c]: compressors[c]["each"] for c in ("gzip", "xz") if c in compressors
    }
    figure = plots.loss_curve(metrics, held_out, lines)
    dashed = " Dashed: compressors on the held-out files, each alone." if lines else ""
    words = (
        "Bits for the next byte (head 1) against bytes seen: each step faint, their running mean "
        f"strong, and a sample of the held-out text at intervals.{dashed}"
    )
    return f'{title}<p class="quiet">{words}</p>' + picture(figure, words)


def _heads(report: Json) -> str:
    title = "<h2>Bits per byte, head by head</h2>"
    bpb = report["held_out_bpb"]
    if not bpb:
        return title + missing("The held-out score (results/bits.json)")
    bits = report["bits"] or {}
    of = " (the sample that training looks at; results/bits.json would have all files)" * (not bits)
    amount = (
        f": {size(bits['bytes'])} in {bits['documents']} files"
        if bits.get("bytes") and bits.get("documents")
        else ""
    )
    words = (
        f"On the held-out files{amount}{of}. Head 1 predicts the next byte and alone decides what "
        "is written; heads 2 and up look further ahead, and only draft. The dashed line is head 1."
    )
    named = {
        COMPRESSOR_NAMES.get(name, name): row for name, row in (report["compressors"] or {}).items()
    }
    figure = plots.head_bars(bpb, named or None)
    rows = [
        [
            escape(name),
            f"{row['each']:.3f}",
            f"{row['together']:.3f}",
            f"{bpb[0] / row['each']:.2f}{TIMES}",
        ]
        for name, row in named.items()
    ]
    head = ("", "file by file", "all together", "head 1 against file by file")
    rows.insert(0, ["<b>head 1</b>", f"<b>{bpb[0]:.3f}</b>", "", ""])
    below = table(rows, head, (1, 2, 3)) if named else missing("The compressors' score")
    return f'{title}<p class="quiet">{words}</p>' + picture(figure, words) + below


def _speed(report: Json) -> str:
    title = "<h2>Speed: the heads as the model's own draft</h2>"
    rows = report["speed"]
    if not rows:
        return title + missing("The speed measurement (results/speed.json)")
    words = (
        f"With k heads, one forward verifies k {MINUS} 1 drafted bytes and drafts the next ones. "
        "Identical means: byte for byte what plain decoding (k = 1) writes. Kept is the share of "
        f"the bytes per forward that arrives as speedup.{_setting(rows)}"
    )
    if report["forecast"]:
        words += " The forecast is made on the true text, without generating."
    figure = plots.speed_lines(rows, report["forecast"] or {})
    cells = [_speed_cells(row) for row in sorted(rows, key=lambda row: (row["batch"], row["k"]))]
    head = ("batch", "k", "bytes per forward", "bytes/s", "speedup", "range", "kept", "identical",
            "distinct text")  # fmt: skip
    honest = (
        '<p class="quiet small">Distinct text is the share of distinct windows of 32 bytes in the '
        "completions. Text that loops is easy to draft, so a low share flatters the speed.</p>"
    )
    below = table(cells, head, (0, 1, 2, 3, 4, 5, 6, 8), "full") + honest
    return f'{title}<p class="quiet">{words}</p>' + picture(figure, words) + below


def _setting(rows: Sequence[Json]) -> str:
    """What was decoded: small batches run on fewer prompts than large ones."""
    by_batch = {row["batch"]: row["prompts"] for row in rows if row.get("prompts")}
    length = rows[0].get("max_bytes")
    if not by_batch or not length:
        return ""
    counts = [f"{by_batch[batch]} at batch {batch}" for batch in sorted(by_batch)]
    return f" Held-out prompts: {', '.join(counts)}; up to {length} bytes written to each."


def _speed_cells(row: Json) -> list[str]:
    good, bad = '<span class="yes">\u2713</span>', '<span class="no">\u2717 differs</span>'
    rate, windows, bounds = (
        row.get(key) for key in ("bytes_per_s", "distinct_windows", "speedup_range")
    )
    kept = row["speedup"] / row["bytes_per_forward"] if row["bytes_per_forward"] else 0.0
    return [
        str(row["batch"]),
        str(row["k"]),
        f"{row['bytes_per_forward']:.2f}",
        f"{rate:,.0f}" if rate is not None else "",
        f"{row['speedup']:.2f}{TIMES}",
        f"{bounds[0]:.2f} to {bounds[1]:.2f}" if bounds and bounds[0] < bounds[1] else "",
        f"{100 * kept:.0f} %",
        good if row["identical"] else bad,
        f"{100 * windows:.0f} %" if windows is not None else "",
    ]


def _accepted(report: Json) -> str:
    rows = [row for row in report["speed"] if sum(row.get("accepted_lengths") or ())]
    title = "<h2>Accepted lengths</h2>"
    if not rows:
        return title + missing("The count of accepted lengths (results/speed.json)")
    row = max(rows, key=lambda row: (row["k"], row["batch"]))
    counts = row["accepted_lengths"]
    forwards, length = sum(counts), sum(n * c for n, c in enumerate(counts, 1))
    full = counts[-1] / forwards
    words = (
        f"How many bytes one forward gave, at k = {row['k']} and batch {row['batch']}: "
        f"{forwards:,} forwards, {length:,} bytes. {percent(counts[0] / forwards)} gave only the "
        f"byte that plain decoding gives too; {percent(full)} gave all {len(counts)}."
    )
    return (
        f'{title}<div class="pair">{picture(plots.accepted_bars(counts), words)}'
        f'<p class="quiet">{words}</p></div>'
    )


def _scores(report: Json) -> str:
    scores = {name: report[suite] for suite, name in SUITE_NAMES.items() if report[suite]}
    title = "<h2>Problems solved</h2>"
    absent = "".join(
        missing(f"{name} (results/{suite}.json)")
        for suite, name in SUITE_NAMES.items()
        if not report[suite]
    )
    if not scores:
        return title + absent
    words = (
        "Each program runs against its problem's tests. Completions end at a stop (the function is "
        "over), at the end of the document, or at the length limit."
    )
    rows = []
    for name, score in scores.items():
        windows = score.get("distinct_windows")
        rows.append([
            escape(name), str(score["n"]), percent(score["pass_at_1"]),
            interval(score.get("pass_at_1_interval")),
            _counts(score.get("results")), _counts(score.get("finish_reasons")),
            f"{100 * windows:.0f} %" if windows is not None else "",
        ])  # fmt: skip
    head = ("suite", "problems", "pass@1", "95 % interval", "verdicts", "ended by", "distinct text")
    shown = picture(plots.score_bars(scores), "pass@1 and finish reasons by suite")
    below = table(rows, head, (1, 2, 3, 6), "full")
    return f'{title}<p class="quiet">{words}{_sent(scores)}</p>{shown}{below}{absent}'


def _sent(scores: Mapping[str, Json]) -> str:
    """Which form of the prompt, and which stops: both are part of the result."""
    found = set()
    for score in scores.values():
        stops = (score.get("complete") or {}).get("stops")
        if score.get("prompt_form"):
            found.add(f"prompt {score['prompt_form']}" + f", stops {stops}" * bool(stops))
    return f" Sent as: {escape('; '.join(sorted(found)))}." if found else ""


def _counts(counts: Mapping[str, int] | None) -> str:
    """Those that are not 0: "passed 3, timed out 2"."""
    found = (counts or {}).items()
    return ", ".join(f"{escape(name.replace('_', ' '))} {count}" for name, count in found if count)


def _stages(report: Json) -> str:
    stages = report["stages"]
    longest = (
        max([seconds for seconds in stages.values() if seconds is not None], default=1.0) or 1.0
    )
    rows = [
        [escape(name.replace("_", " ")), duration(seconds),
         f'<span class="time" style="width:{max(2, round(420 * seconds / longest))}px"></span>']
        for name, seconds in stages.items() if seconds is not None
    ]  # fmt: skip
    rows.append(["<b>together</b>", f"<b>{duration(sum(s for s in stages.values() if s))}</b>", ""])
    unknown = [
        escape(name.replace("_", " ")) for name, seconds in stages.items() if seconds is None
    ]
    rest = f'<p class="quiet small">Not known: {", ".join(unknown)}.</p>' if unknown else ""
    return "<h2>How long each stage took</h2>" + table(rows, numbers=(1,)) + rest


def _configuration(report: Json, files: Sequence[Json]) -> str:
    training = report["training"]
    tables = {
        "Model": training.get("model"),
        "Training options": training.get("train"),
        "Data": report["data"],
        "Machine": report["machine"],
        "Versions": report["versions"],
        "Commands": report["commands"],
    }
    folded = []
    for name, values in tables.items():
        if values:
            rows = [
                [escape(key), f"<code>{escape(_plain(value))}</code>"]
                for key, value in values.items()
            ]
            folded.append(
                f"<details><summary>{name}</summary>{table(rows, kind='facts')}</details>"
            )
    if files:
        rows = [
            [escape(file["name"]), f"{file['bytes']:,}", f"{file['heads_bpb'][0]:.3f}"]
            for file in files
        ]
        body = table(rows, ("file", "bytes", "bits per byte, head 1"), (1, 2))
        folded.append(f"<details><summary>Held-out files ({len(files)})</summary>{body}</details>")
    return "<h2>Configuration</h2>" + "".join(folded)


def _plain(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "none" if value is None else str(value)
