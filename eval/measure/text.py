"""Text to measure with: prompts from shards, files and JSON lines, and how much a text repeats."""

from collections.abc import Sequence
from pathlib import Path
from typing import cast

from bytelm.toolkit import InputError, Split, cuts, option, setting
from eval.suites.problems import load_suite
from eval.suites.stops import OWN, StopsName, stops_of

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


def suite_prompts(name: str, count: int) -> tuple[list[bytes], tuple[bytes, ...]]:
    """`count` prompts of a suite, evenly spread over it, or all if it has no more; and its stops.

    Raises InputError if there is no such suite, its file is not here, or each of its problems has
    stops of its own.
    """
    suite = load_suite(name)
    if suite.stops == OWN:
        raise InputError(f"{setting('suite', name)}: each of its problems has stops of its own")
    problems = suite.problems
    if len(problems) > count:
        problems = [problems[place * len(problems) // count] for place in range(count)]
    stops = stops_of(problems[0], cast(StopsName, suite.stops))
    return [problem.prompt.encode() for problem in problems], stops


def read_text(path: Path) -> bytes:
    """The bytes of a text file. Raises InputError where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{setting('text', path)}: {error.strerror}") from error
