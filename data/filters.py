"""Filters for documents. Each is a function of the bytes, and gives a reason to leave one out.

The limits on lines and letters are StarCoder's (Li et al. 2023, section 3.3). They count bytes, not
characters, because documents need not be valid UTF-8.
"""

from collections.abc import Callable

from data.steps.literals import literal_share

LONGEST_LINE = 1000
MEAN_LINE = 100
LEAST_ALPHANUMERIC = 0.25
MOST_LITERAL = 0.75

_ALPHANUMERIC = bytes(byte for byte in range(256) if bytes([byte]).isalnum() or byte >= 128)


def longest_line(content: bytes) -> bool:
    """Whether a line has more than 1000 bytes: minified or generated code."""
    return max(map(len, content.splitlines()), default=0) > LONGEST_LINE


def mean_line(content: bytes) -> bool:
    """Whether lines have more than 100 bytes on average."""
    lines = content.splitlines()
    return sum(map(len, lines)) / max(1, len(lines)) > MEAN_LINE


def few_alphanumeric(content: bytes) -> bool:
    """Whether under a quarter of the bytes are letters or digits. Non-ASCII bytes are letters."""
    other = len(content.translate(None, delete=_ALPHANUMERIC))
    return len(content) - other < LEAST_ALPHANUMERIC * len(content)


def data_table(content: bytes) -> bool:
    """Whether tables of literals make up most of a Python file: data rather than code."""
    return literal_share(content, MOST_LITERAL) > MOST_LITERAL


# In the order in which they are applied, cheap ones first.
FILTERS: dict[str, Callable[[bytes], bool]] = {
    "longest line": longest_line,
    "mean line": mean_line,
    "few alphanumeric": few_alphanumeric,
}
PYTHON_FILTERS: dict[str, Callable[[bytes], bool]] = {"data table": data_table}


def reason_to_reject(name: str, content: bytes) -> str | None:
    """The first reason to leave a document out, or None to keep it."""
    filters = dict(FILTERS)
    if name.endswith((".py", ".pyi")):
        filters |= PYTHON_FILTERS
    for reason, holds in filters.items():
        if holds(content):
            return reason
    return None
