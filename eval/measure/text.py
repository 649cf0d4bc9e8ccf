"""Text to measure with: prompts from shards, files and JSON lines, and how much a text repeats."""

from collections.abc import Sequence
from pathlib import Path

from bytelm.toolkit import InputError, Split, cuts, option, setting

WINDOW_BYTES = 32


def distinct_windows(texts: Sequence[bytes]) -> float:
    """The share (0 to 1) of distinct 32-byte windows in `texts`; 1 where all are shorter.

    It is low where a model writes the same text again and again. Such text is easy to draft.
    """
    last = WINDOW_BYTES - 1
    windows = [text[at : at + WINDOW_BYTES] for text in texts for at in range(len(text) - last)]
    return len(set(windows)) / len(windows) if windows else 1.0


def cut_prompts(data: Path | None, text: Path | None, count: int, size: int) -> list[bytes]:
    """`count` prompts of `size` bytes, evenly spread over a shard folder's held-out documents or
    over a text file.

    Raises InputError unless exactly one of the two is given, and where it has too few bytes.
    """
    if (data is None) == (text is None):
        raise InputError(f"give either {option('data')} or {option('text')}")
    if data is not None:
        return Split(data, "held_out").cuts(count, size)
    assert text is not None
    return cuts(read_text(text), count, size, str(text))


def read_text(path: Path) -> bytes:
    """The bytes of a text file. Raises InputError where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{setting('text', path)}: {error.strerror}") from error
