"""Whether a program that reads its standard input printed what was wanted."""

import math


def same_output(wanted: str, printed: str) -> bool:
    """Whether a program printed what was wanted: word for word, numbers within 1e-6.

    As the graders of APPS and CodeContests do, white space counts for nothing but to part words.
    """
    one, other = wanted.split(), printed.split()
    return len(one) == len(other) and all(map(_same_word, one, other))


def _same_word(one: str, other: str) -> bool:
    if one == other:
        return True
    try:
        wanted, got = float(one), float(other)
    except ValueError:
        return False
    if math.isinf(wanted) or math.isinf(got) or "_" in one + other:
        return False
    # An integer has one spelling only.
    if one.lstrip("+-").isdecimal() and other.lstrip("+-").isdecimal():
        return False
    return abs(wanted - got) <= 1e-6 * max(1.0, abs(wanted))
