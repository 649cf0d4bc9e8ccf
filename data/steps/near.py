"""Near duplicates: documents that share most of their runs of five words, by MinHash.

A signature has 256 values. Of two documents the share of equal values estimates their similarity,
which is the number of runs that both have by the number that at least one has. Documents are
compared that agree on all values of a band (LSH). StarCoder's threshold is 0.7. But a copy in which
one line in ten was replaced by another has about 0.68, and some have less. So a pair counts from an
estimate of 0.55 on: documents of one size then share 71 % of their runs.

Words of comments do not count, since many files begin with the same licence, nor do those of a
first docstring that speaks of a copyright. Documents of few words get no signature: they have few
runs, and tiny files are alike by chance.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from bytelm.toolkit import InputError
from data.steps.windows import without_comments

PERMUTATIONS, RUN_WORDS = 256, 5
LEAST_ESTIMATE = 0.55
# Documents of fewer words are compared whole only.
LEAST_WORDS = 20
# 51 bands of 5 values: a pair of similarity 0.6 agrees on one with a probability of 0.984.
BANDS, ROWS = 51, 5
# In a band with many documents, each is compared with so many of the first and of those before it.
_FIRST, _BEFORE = 4, 4
# Pairs that are compared at once: 2 x 512 bytes each.
_AT_ONCE = 4096
_SEED = 1

Signatures_ND = npt.NDArray[np.uint16]
"""D = PERMUTATIONS values of each of N documents: the lower half of each MinHash."""

_WORD_BYTES = frozenset(b"_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
# Bytes outside of ASCII are letters.
_SPACED = bytes(byte if byte in _WORD_BYTES or byte >= 128 else 32 for byte in range(256))


def _rensa() -> Any:
    try:
        import rensa
    except ImportError as error:
        raise InputError(
            "near duplicates are found with the package rensa, which is not installed: "
            "install it with pip install '.[corpus]', or give --near-duplicates keep"
        ) from error
    return rensa


def check_installed() -> None:
    """Raise InputError if signatures cannot be made here."""
    _rensa()


def _without_licence(content: bytes) -> bytes:
    """The bytes without a first docstring that is a licence. `content` has no comments."""
    code = content.lstrip().removeprefix(b"r")
    quotes = code[:3]
    end = code.find(quotes, 3) if quotes in (b'"""', b"'''") else -1
    return code[end + 3 :] if end >= 0 and b"copyright" in code[:end].lower() else content


def signature(content: bytes) -> npt.NDArray[np.uint16] | None:
    """The signature of a document; None if it has too few words."""
    words = _without_licence(without_comments(content)).translate(_SPACED).split()
    if len(words) < LEAST_WORDS:
        return None
    runs = zip(*(words[start:] for start in range(RUN_WORDS)), strict=False)
    found = _rensa().RMinHash(PERMUTATIONS, _SEED)
    found.update([b" ".join(run) for run in runs])
    return np.asarray(found.digest(), dtype=np.uint32).astype(np.uint16)


def copies(signatures_ND: Signatures_ND) -> Iterator[tuple[int, int]]:
    """(document, an earlier one that is kept) for each near duplicate, in the documents' order."""
    dropped: set[int] = set()
    for later, earlier in _alike(signatures_ND, _candidates(signatures_ND)):
        if later not in dropped and earlier not in dropped:
            dropped.add(later)
            yield later, earlier


def _candidates(signatures_ND: Signatures_ND) -> npt.NDArray[np.int64]:
    """Pairs that agree on a band: later document x N + earlier one, sorted."""
    count = len(signatures_ND)
    pairs = np.zeros(0, dtype=np.int64)
    for band in range(BANDS):
        values_NR = np.ascontiguousarray(signatures_ND[:, band * ROWS : (band + 1) * ROWS])
        keys_N = values_NR.view(np.dtype((np.void, values_NR.itemsize * ROWS))).ravel()
        _, group_N = np.unique(keys_N, return_inverse=True)
        order_N = np.argsort(group_N, kind="stable")
        pairs = np.union1d(pairs, _within(order_N, group_N[order_N], count))
    return pairs


def _within(
    order_N: npt.NDArray[np.int64], group_N: npt.NDArray[np.int64], count: int
) -> npt.NDArray[np.int64]:
    """The pairs of a band: documents sorted by group, and within a group by their order."""
    start_N = np.searchsorted(group_N, group_N, side="left")
    place_N = np.arange(len(order_N))
    others = [start_N + step for step in range(_FIRST)]
    others += [place_N - step for step in range(1, _BEFORE + 1)]
    found = []
    for other_N in others:
        fits_N = (other_N >= start_N) & (other_N < place_N)
        found.append(order_N[fits_N] * count + order_N[other_N[fits_N]])
    return np.unique(np.concatenate(found)).astype(np.int64)


def _alike(signatures_ND: Signatures_ND, pairs: npt.NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """The pairs whose estimated similarity is high enough, in order."""
    count = len(signatures_ND)
    for start in range(0, len(pairs), _AT_ONCE):
        later, earlier = np.divmod(pairs[start : start + _AT_ONCE], count)
        estimate = (signatures_ND[later] == signatures_ND[earlier]).mean(axis=1)
        for at in np.flatnonzero(estimate >= LEAST_ESTIMATE):
            yield int(later[at]), int(earlier[at])
