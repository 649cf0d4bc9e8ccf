"""Decoding many prompts with a progress bar."""

from collections.abc import Sequence

from tqdm import tqdm

from bytelm.decode.generate import generate_rows
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
    """`generate`, with a tqdm bar on stderr: completions done, bytes a second and a forward.

    `found` is filled as completions end, for a caller who wants them if the rest is interrupted.
    """
    found = {} if found is None else found
    size = forwards = 0
    total = len(prompts) * options.samples
    with tqdm(total=total, desc=label, unit=" completions", dynamic_ncols=True) as bar:
        for index, completion in generate_rows(model, prompts, options):
            found[index] = completion
            size, forwards = size + len(completion.text), forwards + completion.forwards
            rate = size / max(bar.format_dict["elapsed"], 1e-9)
            bar.set_postfix_str(
                f"{rate:.0f} bytes/s, {size / max(forwards, 1):.2f} bytes a forward", refresh=False
            )
            bar.update()
    return [found[index] for index in range(total)]
