"""Complete many prompts with a progress bar and a journal, on one or several ranks."""

import base64
from collections.abc import Sequence
from typing import Any

from bytelm.base import ranks
from bytelm.decode.generate import check_request, generate_rows
from bytelm.decode.options import DecodeOptions
from bytelm.decode.prompts import Prompt
from bytelm.decode.row import Completion
from bytelm.files.journal import Journal
from bytelm.files.streams import progress_bar
from bytelm.model.model import Model


def generate_with_progress(
    model: Model,
    prompts: Sequence[Prompt],
    options: DecodeOptions,
    label: str = "completing",
    journal: Journal | None = None,
    first: int = 0,
) -> list[Completion]:
    """`generate`, with a tqdm bar on stderr: completions, bytes per second, bytes per forward.

    Several ranks divide the completions among them. Every rank returns all of them, and they are
    the same as those of one process, since no completion depends on the others in its batch. The
    bar shows the first rank's share.

    `label`: the text of the bar. `journal`: completions in it are not made again, and finished ones
    are added to it. `first`: the number that the first completion has in the journal, so that
    several calls can share one.
    """
    check_request(model, prompts, options)
    size = accepted = forwards = 0
    total = len(prompts) * options.samples
    kept = kept_completions(journal).items()
    found = {index - first: row for index, row in kept if first <= index < first + total}
    mine = ranks.share([index for index in range(total) if index not in found])
    with progress_bar(
        total=len(mine),
        desc=label if ranks.world_size() == 1 else f"{label} (1 of {ranks.world_size()} shares)",
        unit=" completions",
        disable=not ranks.is_first(),
    ) as bar:
        for index, completion in generate_rows(model, prompts, options, only=mine):
            found[index] = completion
            if journal is not None:
                journal.append({"index": first + index, **_plain(completion)})
            size, forwards = size + len(completion.text), forwards + completion.forwards
            accepted += completion.accepted_bytes
            if bar.disable:
                continue
            rate = size / max(bar.format_dict["elapsed"], 1e-9)
            bar.set_postfix_str(
                f"{rate:.0f} bytes/s, {accepted / max(forwards, 1):.2f} bytes a forward",
                refresh=False,
            )
            bar.update()
    for theirs in ranks.gather_objects(dict(found)):
        found.update(theirs)
    return [found[index] for index in range(total)]


def kept_completions(journal: Journal | None) -> dict[int, Completion]:
    """The completions in a journal, by index."""
    rows = journal.rows if journal is not None else []
    return {row["index"]: _completion(row) for row in rows}


def _plain(completion: Completion) -> dict[str, Any]:
    # Not `asdict`, which copies every number of `accepted`.
    return {**vars(completion), "text": base64.b64encode(completion.text).decode()}


def _completion(row: dict[str, Any]) -> Completion:
    values = {key: value for key, value in row.items() if key != "index"}
    for key, value in values.items():
        # JSON has lists where a completion has tuples.
        values[key] = tuple(value) if isinstance(value, list) else value
    values["text"] = base64.b64decode(row["text"])
    return Completion(**values)
