"""Tables for the pages, each made from one or more sealed results."""

from typing import Any

from eval.measure.bench_tables import BenchResult, bench_table
from eval.measure.peers.decoders import NATIVE
from eval.report.record import Report
from eval.report.terminal import terminal_table
from eval.study.sweep import SweepResult, sweep_table

Figures = dict[str, Any]
"""What one file in results/ holds."""
# Versions that stand under a table. Of llama.cpp they say which build the rows are of.
ENGINES = {
    "torch": "torch",
    "xllamacpp": "llama.cpp: the wheel xllamacpp",
    NATIVE: f"{NATIVE}:",
    "transformers": "transformers",
}


def measured(report: Figures) -> str:
    """The terminal's table of a whole run, and the machine that it was measured on."""
    return (
        f"{_text(terminal_table(Report.model_validate(report)))}\n\nMeasured on {_where(report)}."
    )


def bench(figures: Figures) -> str:
    """The decoder's tables, and the machine and packages that they were measured with."""
    machine, versions = figures["machine"], {**figures["versions"], **figures["peer_versions"]}
    packages = ", ".join(
        f"{said} {versions[name]}" for name, said in ENGINES.items() if name in versions
    )
    where = f"{_processor(machine)}{_unrecorded(machine)}, {figures['dtype']}, {packages}"
    return f"{_text(bench_table(BenchResult.model_validate(figures)))}\n\nMeasured on {where}."


def peers(figures: Figures) -> str:
    """The decoder beside both builds of llama.cpp, in sentences, as README says it.

    A build that was not measured is named as such: a ratio is of one build and no other.
    """
    rows = BenchResult.model_validate(figures).peers
    own = next((row for row in rows if (row.engine, row.dtype) == ("bytelm", "bfloat16")), None)
    if own is None:
        return "Other programs were not measured."
    lines = []
    if own.ratio_to_llamacpp is not None:
        lines.append(
            "With all heads, beside llama.cpp on the same weights "
            f"(`{figures['checkpoint']['path']}`, bfloat16, one thread, batch 1), prompts counted "
            f"in: {own.ratio_to_llamacpp:.1f} times the bytes a second of its wheel, which is "
            "built for any processor."
        )
    native = own.ratios.get(NATIVE)
    if native is None:
        lines.append("No llama.cpp built for the machine itself was measured.")
    else:
        parts = {"decoding": native.decoding, "reading prompts": native.reading}
        said = [f"{part} {ratio:.1f}" for part, ratio in parts.items() if ratio is not None]
        apart = f" ({', '.join(said)})" if said else ""
        lines.append(
            f"Beside llama.cpp built for the machine itself: {native.whole:.1f} times{apart}."
        )
    return " ".join([*lines, f"Measured on {_where(figures)}."])


def sweep(figures: Figures) -> str:
    """The comparison of runs of different n."""
    return _text(sweep_table(SweepResult.model_validate(figures).rows))


def speed(*machines: Figures) -> str:
    """Speed of self-speculation by k, as README shows it: a row for each machine and batch."""
    lines = [
        "| machine | batch | plain decoding | k = 2 | k = 4 | k = 8 | bytes a forward, k = 8 |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for figures in machines:
        rows = {(row["batch"], row["k"]): row for row in figures["rows"]}
        for batch in sorted({batch for batch, _ in rows}):
            plain, most = rows[batch, 1], rows[batch, 8]
            ratios = " | ".join(f"{rows[batch, k]['speedup']:.2f}x" for k in (2, 4, 8))
            lines.append(
                f"| {_device(figures)} | {batch} | {plain['bytes_per_s']:.0f} bytes/s | {ratios} | "
                f"{most['bytes_per_forward']:.2f} |"
            )
    return "\n".join(lines)


def speed_ranges(*machines: Figures) -> str:
    """The same in full: rates, the range of the speedup over the rounds, and what was decoded."""
    lines = [
        "| machine | batch | k | bytes a forward | bytes/s | speedup | range | share | same bytes "
        "| prompts | bytes in, out | distinct windows |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---|---:|---:|---:|",
    ]
    for figures in machines:
        for row in figures["rows"]:
            low, high = row["speedup_range"]
            same = "yes" if row["identical"] else "no"
            lines.append(
                f"| {_device(figures)}{_solved(figures)} | {row['batch']} | {row['k']} "
                f"| {row['bytes_per_forward']:.2f} | {row['bytes_per_s']:.0f} "
                f"| {row['speedup']:.2f}x | {low:.2f} to {high:.2f} | {row['share']:.2f} | {same} "
                f"| {row['prompts']} | {row['prompt_bytes']}, {row['max_bytes']} "
                f"| {100 * row['distinct_windows']:.0f} % |"
            )
    where = ". ".join(
        f"{_where(figures)}, {figures['dtype']}, {figures['rounds']} rounds" for figures in machines
    )
    return "\n".join([*lines, "", f"Measured on {where}."])


def _solved(figures: Figures) -> str:
    """What was written, where it was no text of a library."""
    return f", solutions of {figures['suite']}" if figures.get("suite") else ""


def bits(figures: Figures) -> str:
    """Bits per byte of every head, beside the compressors."""
    heads = figures["heads_bpb"]
    lines = [
        f"| {' | '.join(f'head {number}' for number in range(1, len(heads) + 1))} |",
        f"|{'---:|' * len(heads)}",
        f"| {' | '.join(f'{bpb:.3f}' for bpb in heads)} |",
        "",
        "| compressor | file by file | all files together |",
        "|---|---:|---:|",
    ]
    for name, found in figures["compressors"].items():
        lines.append(f"| {name} | {found['each']:.3f} | {found['together']:.3f} |")
    size = f"{figures['documents']} files, {figures['bytes']} bytes"
    forward = figures["forecast"][str(len(heads))]
    return "\n".join(
        [*lines, "", f"{size}. With every draft fed, the true text gives {forward:.2f} bytes a "
         "forward."]
    )  # fmt: skip


def suites(*scores: Figures) -> str:
    """pass@1 of each suite."""
    lines = [
        "| suite | solved | pass@1 | 95 % interval | ended by its length | ended by a stop |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for figures in scores:
        low, high = figures["pass_at_1_interval"]
        ends = figures["finish_reasons"]
        lines.append(
            f"| {figures['suite']} | {figures['results']['passed']} of {figures['n']} "
            f"| {figures['pass_at_1']:.1%} | {low:.1%} to {high:.1%} "
            f"| {ends.get('length', 0)} | {ends.get('stop', 0)} |"
        )
    return "\n".join(lines)


def agreement(figures: Figures) -> str:
    """Our verdicts beside another grader's, and where both have the same word."""
    other = figures["other"]
    lines = [f"| here | {other} | programs |", "|---|---|---:|"]
    for row in figures["verdicts"]:
        lines.append(f"| {row['ours']} | {row['other']} | {row['count']} |")
    seconds = figures["seconds"]
    tasks = sorted({row["task_id"] for row in figures["differences"]})
    return "\n".join(
        [
            *lines,
            "",
            f"{figures['mutants']} mutants of {figures['suite']}'s references. "
            f"{figures['same_text']} have the same word, with the same text of an error. The "
            f"verdicts differ in {', '.join(tasks)}. Here they took {seconds['ours']:.0f} s on two "
            f"processes, there {seconds['other']:.0f} s on one.",
        ]
    )


def steps(figures: Figures) -> str:
    """Milliseconds of a decoding step by its width, and their ratio to a step of width 1."""
    rows = {(row["batch"], row["width"]): row["step_s"] for row in figures["rows"]}
    widths = sorted({width for _, width in rows})
    lines = [
        f"| batch | {' | '.join(f'width {width}' for width in widths)} |",
        f"|---:|{'---:|' * len(widths)}",
    ]
    for batch in sorted({batch for batch, _ in rows}):
        cells = [
            f"{1000 * rows[batch, width]:.2f} ms ({rows[batch, width] / rows[batch, 1]:.2f})"
            for width in widths
        ]
        lines.append(f"| {batch} | {' | '.join(cells)} |")
    position = figures["rows"][0]["position"]
    where = f"`{figures['preset']}`, {figures['parameters'] / 1e9:.2f}B parameters, random weights"
    return "\n".join(
        [*lines, "", f"{where}, position {position}, {figures['dtype']}; {_where(figures)}."]
    )


def training(*machines: Figures) -> str:
    """What heads cost, in full: a table of each machine, beside the plain sum of the losses."""
    return "\n\n".join(_training_table(figures) for figures in machines)


def training_heads(*machines: Figures) -> str:
    """What heads cost, as README shows it: time and memory of n = 2, 4 and 8 to n = 1."""
    lines = [
        "| machine | parameters | kind of heads | time, n = 2 | n = 4 | n = 8 | memory, n = 8 |",
        "|---|---:|---|---:|---:|---:|---:|",
    ]
    for figures in machines:
        rows = {
            (row["kind"], row["n"]): row for row in figures["rows"] if row["way"] == "sequential"
        }
        size = f"{figures['rows'][0]['params'] / 1e6:.1f}M"
        for kind in dict.fromkeys(kind for kind, _ in rows):
            times = " | ".join(f"{rows[kind, n]['ratio']:.2f}" for n in (2, 4, 8))
            lines.append(
                f"| {_device(figures)} | {size} | `{kind}` | {times} "
                f"| {rows[kind, 8]['peak_ratio']:.2f} |"
            )
    return "\n".join(lines)


def _training_table(times: Figures) -> str:
    train, first = times["train"], times["rows"][0]
    compiled = all(row["compiled"] for row in times["rows"] if row["way"] == "sequential")
    lines = [
        f"{first['params'] / 1e6:.1f}M parameters, {times['model']['layers']} layers, "
        f"{train['batch']} blocks of {train['block']}" + ("" if compiled else ", not compiled"),
        _where(times),
        "              time of a step, to n = 1     peak memory, to n = 1     share of a",
        "kind      n  (quartiles)     plain sum              plain sum     product's rate",
    ]
    ways = {(row["kind"], row["n"], row["way"]): row for row in times["rows"]}
    for (kind, n, way), row in ways.items():
        if way != "sequential":
            continue
        plain = ways.get((kind, n, "plain"))
        low, high = row["ratio_quartiles"]
        spread = f"({low:.2f}-{high:.2f})" if n > 1 else ""
        sums = [f"{plain[key]:.2f}" if plain else "" for key in ("ratio", "peak_ratio")]
        lines.append(
            f"{kind:8s} {n:2d}  {row['ratio']:.2f} {spread:12s}  {sums[0]:8s}     "
            f"{row['peak_ratio']:.2f}     {sums[1]:14s}{row['matmul_share']:.2f}"
        )
    return _text(lines)


def _device(figures: Figures) -> str:
    """The GPU, or the processor and its cores. A GPU that the command did not use is left out.

    A report has no command: it is of a run on a processor.
    """
    machine = figures["machine"]
    if "--device cuda" in figures.get("command", ""):
        return str(machine["gpu"])
    return _processor(machine)


def _processor(machine: Figures) -> str:
    """The processor, its vector units if they are known, and its cores."""
    units = ", ".join(machine.get("vector_units") or ())
    return f"{machine['processor']}{f' ({units})' * bool(units)}, {machine['cores']} cores"


def _unrecorded(machine: Figures) -> str:
    """What to say of a result that is older than the record of vector units."""
    return "" if "vector_units" in machine else ", vector units not recorded"


def _where(figures: Figures) -> str:
    """The device and torch's version: nobody shall take figures for another machine's."""
    on_gpu = "--device cuda" in figures.get("command", "")
    unknown = "" if on_gpu else _unrecorded(figures["machine"])
    return f"{_device(figures)}{unknown}, torch {figures['versions']['torch']}"


def _text(lines: list[str]) -> str:
    table = "\n".join(line.rstrip() for line in lines)
    return f"```text\n{table}\n```"
