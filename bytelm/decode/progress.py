"""Decoding many prompts with a progress bar."""

from collections.abc import Sequence

from tqdm import tqdm

from bytelm.decode.generate import generate_rows
from bytelm.decode.options import DecodeOptions
from bytelm.decode.row import Completion
from bytelm.model.model import Model


def generate_with_progress(
    model: Model, prompts: Sequence[bytes], options: DecodeOptions, label: str = "completing"
) -> list[Completion]:
    """`generate`, with a tqdm bar on stderr: prompts done, bytes a second and a forward."""
    found: dict[int, Completion] = {}
    size = forwards = 0
    with tqdm(total=len(prompts), desc=label, unit=" prompts", dynamic_ncols=True) as bar:
        for index, completion in generate_rows(model, prompts, options):
            found[index] = completion
            size, forwards = size + len(completion.text), forwards + completion.forwards
            rate = size / max(bar.format_dict["elapsed"], 1e-9)
            bar.set_postfix_str(
                f"{rate:.0f} bytes/s, {size / max(forwards, 1):.2f} bytes a forward", refresh=False
            )
            bar.update()
    return [found[index] for index in range(len(prompts))]
