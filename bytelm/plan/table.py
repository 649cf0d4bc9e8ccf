"""Print a plan as a table: a row for each figure, a column for each number of GPUs."""

from typing import Any

# The labels of the memory figures, by key.
MEMORY = {
    "weights": "weights, float32",
    "gradients": "gradients, float32",
    "optimizer": "optimizer state",
    "copies": "weights gathered, bfloat16",
    "reducing": "gradients on their way",
    "activations": "activations of the trunk",
    "working": "one head, or one layer's backward",
    "total": "sum",
    "activations_recomputed": "if layers are recomputed: their inputs",
    "working_recomputed": "one head, or one layer and its backward",
    "total_recomputed": "sum, layers recomputed",
}


def _gb(value: float) -> str:
    return f"{value / 1e9:.2f}" if value < 1e11 else f"{value / 1e9:.0f}"


def _seconds(value: float) -> str:
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def rows(figures: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """The rows: a label, and a cell for each number of GPUs. A heading has no cells."""
    plans = figures["plans"]

    def row(what: str, cell: Any) -> tuple[str, list[str]]:
        return what, [cell(plan) for plan in plans]

    memory = [
        row(what, lambda plan, key=key: _gb(plan["memory_bytes"][key]))
        for key, what in MEMORY.items()
    ]
    room = f"{figures['memory_gb']:g} GB"
    return [
        row("rows a GPU", lambda plan: str(plan["rows"])),
        row("micro batches a step", lambda plan: str(plan["micro_batches"])),
        ("memory of a GPU, GB", []),
        *memory,
        row(f"fits {room}", lambda plan: _yes(plan["fits"])),
        row(f"fits {room}, layers recomputed", lambda plan: _yes(plan["fits_recomputed"])),
        ("time", []),
        row("seconds a step", lambda plan: _seconds(plan["step_s"])),
        row("days in all", lambda plan: _seconds(plan["days"])),
        row("Muon's products, s a step", lambda plan: _seconds(plan["muon_s_per_step"])),
        ("traffic", []),
        row("GB a GPU and step", lambda plan: _gb(plan["traffic_bytes_per_step"])),
        row("seconds, if nothing hides it", lambda plan: _seconds(plan["traffic_s_per_step"])),
    ]


def opening(figures: dict[str, Any]) -> list[str]:
    """Sentences with the figures that do not depend on the number of GPUs."""
    parts = figures["parameters"]
    split = ", ".join(f"{name} {parts[name]:,}" for name in parts if name != "total")
    return [
        f"{figures['preset']}: {figures['params']:,} parameters ({split})",
        f"{figures['flops_per_byte'] / 1e9:.4g} GFLOP a byte, {figures['flops']:.3g} in "
        f"{figures['bytes'] / 1e9:.4g} GB: {figures['steps']:,} steps of "
        f"{figures['global_batch_bytes']:,} bytes, in rows of {figures['plans'][0]['block']:,}",
        f"a checkpoint on disk has {figures['checkpoint_bytes'] / 1e9:.4g} GB",
        f"at {100 * figures['mfu']:g} % of {figures['peak_tflops']:g} TFLOPs and "
        f"{figures['bandwidth_gb_s']:g} GB/s a GPU",
    ]


def text_table(figures: dict[str, Any]) -> list[str]:
    """The table as aligned lines, for a terminal."""
    body = [("GPUs", [str(plan["gpus"]) for plan in figures["plans"]]), *rows(figures)]
    indented = [(what if not cells else f"  {what}", cells) for what, cells in body]
    wide = max(len(what) for what, _ in indented)
    column = max(len(cell) for _, cells in indented for cell in cells) + 2
    lines = [
        what.ljust(wide) + "".join(cell.rjust(column) for cell in cells) for what, cells in indented
    ]
    return [*opening(figures), "", *(line.rstrip() for line in lines)]


def markdown_table(figures: dict[str, Any]) -> str:
    """The same as a list and a table in Markdown."""
    head = ["GPUs", *(str(plan["gpus"]) for plan in figures["plans"])]
    lines = [f"- {line}" for line in opening(figures)]
    lines += ["", "| " + " | ".join(head) + " |", "|---|" + "---:|" * (len(head) - 1)]
    for what, cells in rows(figures):
        shown = cells or [""] * (len(head) - 1)
        lines.append("| " + " | ".join([what if cells else f"**{what}**", *shown]) + " |")
    return "\n".join(lines)
