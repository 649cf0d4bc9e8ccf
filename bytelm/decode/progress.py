"""Complete many prompts with a progress bar, on one or several ranks."""

from collections.abc import Sequence

from tqdm import tqdm

from bytelm.base import ranks
from bytelm.decode.generate import check_request, generate_rows
from bytelm.decode.options import DecodeOptions
from bytelm.decode.row import Completion
from bytelm.model.model import Model


def generate_with_progress(
    model: Model,
    prompts: Sequence[bytes],
    options: DecodeOptions,
    label: str = "completing",
    found: dict[int, Completion] | None = None,
) -> list[Completion]:
    """`generate`, with a tqdm bar on stderr: completions, bytes per second, bytes per forward.

    Several ranks divide the completions among them. Every rank returns all of them, and they are
    the same as those of one process, since no completion depends on the others in its batch. The
    bar shows the first rank's share.

    `label`: the text of the bar. `found`: a dict that is filled while completions end, so that the
    caller keeps them after an interruption. Completions of other ranks are added at the end.
    """
    check_request(model, prompts, options)
    found = {} if found is None else found
    size = accepted = forwards = 0
    total = len(prompts) * options.samples
    mine = ranks.share(range(total))
    with tqdm(
        total=len(mine),
        desc=label if ranks.world_size() == 1 else f"{label} (1 of {ranks.world_size()} shares)",
        unit=" completions",
        dynamic_ncols=True,
        disable=not ranks.is_first(),
    ) as bar:
        for index, completion in generate_rows(model, prompts, options, only=mine):
            found[index] = completion
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
