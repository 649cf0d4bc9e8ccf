"""The report of an experiment: what was expected, what came out, table, plot and command.

All figures in it are taken from the results.
"""

from collections.abc import Mapping
from typing import Any

from eval.study.summary import kinds, percent, verdict


def page(
    title: str,
    paper: str,
    what: str,
    plot: str,
    results: dict[str, Any],
    columns: Mapping[str, str],
) -> list[str]:
    """The lines of report.md. `columns` maps the table's figures to titles, the main one first."""
    machine, options = results["machine"], results["options"]
    main = next(iter(columns))
    return [
        f"# {title}",
        "",
        f"**Expected, from the paper.** {paper}",
        "",
        f"**What was done.** {what}",
        "",
        f"**What came out.** {columns[main].capitalize()}, compared with n = 1, mean of "
        f"{options['seeds']} seeds:",
        "",
        *findings(results, main),
        "",
        f"![{title}]({plot})",
        "",
        *table(results, columns),
        "",
        "Mean over seeds, with lowest and highest value in brackets. Models of one width start "
        "from the same weights in trunk and head 1, and read the same bytes in the same order. "
        "Only head 1 is measured. The models differ in the other heads' parameters: "
        f"{extra(results)}. In training, the losses of heads 2 and above have weight "
        f"{head_weight(results)}, and head 1's loss has weight 1.",
        "",
        f"{machine['processor']}, {machine['cores']} cores, torch {results['versions']['torch']}; "
        f"training took {sum(row['train_s'] for row in results['rows']) / 60:.0f} minutes in all.",
        "",
        f"    {results['command']}",
    ]


def findings(results: dict[str, Any], figure: str) -> list[str]:
    """One line for each data set and width: how more heads changed `figure`."""
    lines = []
    for data, width in kinds(results["summary"]):
        own = [e for e in results["summary"] if (e["data"], e["width"]) == (data, width)]
        base = next((e for e in own if e["n"] == 1), None)
        where = f"- {data}, width {width}: "
        if base is None or len(own) == 1:
            lines.append(where + "nothing to compare")
            continue
        lines.append(f"{where}n = 1 has {percent(base[figure]['mean'])}; {verdict(own, figure)}.")
    return lines


def table(results: dict[str, Any], columns: Mapping[str, str]) -> list[str]:
    """The summary as the lines of a Markdown table."""
    lines = [
        "| data | width | n | parameters | " + " | ".join(columns.values()) + " |",
        "|---|---|---|---|" + "---|" * len(columns),
    ]
    for entry in results["summary"]:
        cells = [_cell(entry[figure]) for figure in columns]
        lines.append(
            f"| {entry['data']} | {entry['width']} | {entry['n']} | "
            f"{entry['parameters'] / 1e6:.2f}M | " + " | ".join(cells) + " |"
        )
    return lines


def _cell(value: dict[str, Any]) -> str:
    return f"{percent(value['mean'])} ({100 * value['low']:.1f} to {100 * value['high']:.1f})"


def extra(results: dict[str, Any]) -> str:
    """Parameters per additional head, by width, computed from the models' sizes."""
    said = []
    for width in dict.fromkeys(entry["width"] for entry in results["summary"]):
        own = sorted({(e["n"], e["parameters"]) for e in results["summary"] if e["width"] == width})
        (low, fewest), (high, most) = own[0], own[-1]
        if high > low:
            said.append(f"{(most - fewest) // (high - low):,} a head at width {width}")
    return ", ".join(said) or "none"


def head_weight(results: dict[str, Any]) -> str:
    """The loss weight of heads 2..n, as trained: a changed option overrides the recipe."""
    settings = [*results["recipe"], *results["options"]["set"]]
    chosen = [text.partition("=")[2] for text in settings if text.startswith("train.head_weight")]
    return chosen[-1]
