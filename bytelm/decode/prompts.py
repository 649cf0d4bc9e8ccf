"""What a model completes: a text, or a gap between two texts. Prompts are read from JSON lines.

A gap's prompt has a mark before each text and one at its end (PSM of Bavarian et al. 2022, arXiv
2207.14255, section 3); `bytelm.training.batches.texts` makes such texts for training:

    BOS FIM_PREFIX prefix FIM_SUFFIX suffix FIM_MIDDLE
"""

import base64
import binascii
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bytelm.alphabet import BOS, FIM_MIDDLE, FIM_PREFIX, FIM_SUFFIX
from bytelm.base.errors import InputError, option
from bytelm.files.jsonl import read_jsonl, text_of
from bytelm.files.streams import say

MARKS = 3
"""The marks in the prompt of a gap."""


@dataclass(frozen=True)
class Gap:
    """The text before a gap and the text after it. Its length is that of the prompt, in ids."""

    prefix: bytes
    suffix: bytes

    def __len__(self) -> int:
        return len(self.prefix) + len(self.suffix) + MARKS

    def within(self, room: int) -> "Gap":
        """The gap, with so much text around it that its prompt has at most `room` ids.

        The prefix loses its beginning and the suffix its end. Each keeps half of the room, and what
        one does not need is the other's. Without room for the marks, no text is left.
        """
        room = max(0, room - MARKS)
        if len(self.prefix) + len(self.suffix) <= room:
            return self
        after = min(len(self.suffix), max(room // 2, room - len(self.prefix)))
        before = room - after
        return Gap(self.prefix[len(self.prefix) - before :], self.suffix[:after])

    def fitted(self, context: int, max_bytes: int) -> "Gap":
        """The gap, with less text around it if a model with `context` positions cannot read all.

        Then there is room for a middle of `max_bytes`, but of half the context at most. A prompt
        that fits stays whole, however little room is left.
        """
        # One place is BOS's, and the decoder wants room for one byte.
        if len(self) <= context - 2:
            return self
        return self.within(context - 1 - min(max_bytes, context // 2))


Prompt = bytes | Gap
"""What a model completes: a text that it goes on with, or a gap that it fills."""


def prompt_ids(prompt: Prompt) -> list[int]:
    """The ids of a prompt, with BOS: one more than its length."""
    if isinstance(prompt, Gap):
        return [BOS, FIM_PREFIX, *prompt.prefix, FIM_SUFFIX, *prompt.suffix, FIM_MIDDLE]
    return [BOS, *prompt]


def text_before(prompt: Prompt) -> bytes:
    """The text that the completion goes on from."""
    return prompt.prefix if isinstance(prompt, Gap) else prompt


def check_infilling(rate: float, checkpoint: Path) -> None:
    """Raise InputError if the model of `checkpoint` was not trained to fill gaps.

    `rate`: the share of documents that were rearranged in its training.
    """
    if not rate:
        raise InputError(
            f"{checkpoint} was trained without infilling, so it cannot fill a gap; give a model "
            f"trained with {option('train.infilling')} above 0, or complete the prefix alone"
        )


def fitted_gap(gap: Gap, context: int, max_bytes: int) -> Gap:
    """`Gap.fitted`, and a message on stderr if text is left out."""
    found = gap.fitted(context, max_bytes)
    if found != gap:
        before, after = (
            len(whole) - len(kept)
            for whole, kept in ((gap.prefix, found.prefix), (gap.suffix, found.suffix))
        )
        say(
            f"the first {before} bytes of the prefix and the last {after} of the suffix are left "
            f"out, to fit the context of {context} bytes"
        )
    return found


@dataclass(frozen=True)
class Prompts:
    """The prompts of a file, and their ids. `sha256`: of the file's bytes."""

    ids: list[object]
    texts: list[bytes]
    sha256: str


def read_prompts(path: Path, ids: bool = True) -> Prompts:
    """Read a file of prompts: each row has "prompt" or "prompt_base64", and "id" if `ids` is set.

    Raises InputError that names the line of a wrong row, or if there is no row.
    """
    lines = read_jsonl(path)
    if not lines.rows:
        raise InputError(f"{path} holds no prompts")
    texts = [_text(row, f"{path}:{number}") for number, row in lines.rows]
    for number, row in lines.rows if ids else []:
        if "id" not in row:
            raise InputError(f'{path}:{number}: a row must be an object with "id" and "prompt"')
    return Prompts([row.get("id") for _, row in lines.rows], texts, lines.sha256)


def _text(row: dict[str, Any], where: str) -> bytes:
    if ("prompt" in row) == ("prompt_base64" in row):
        raise InputError(f'{where}: a row has either "prompt" or "prompt_base64"')
    if "prompt" in row:
        return text_of(row, "prompt", where).encode()
    try:
        return base64.b64decode(text_of(row, "prompt_base64", where), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InputError(f"{where}: prompt_base64 cannot be read: {error}") from error
