"""What a run scores itself on while it trains: a sample of the held-out text."""

import numpy as np

from bytelm.shards import Split

# Bytes that a held-out piece has at least, where its document does: enough to be read in context.
PIECE = 1024


def held_out_sample(split: Split, total_bytes: int) -> list[bytes]:
    """Pieces of PIECE bytes from places spread evenly over the text, or all documents if few.

    Not one piece of each document: of many, each would be too short to say anything. Nor
    beginnings alone: licences and imports are not what the rest is like.
    """
    if split.bytes <= total_bytes:
        return [document.tobytes() for document in split]
    ends = np.cumsum(split.lengths_N)
    count = max(1, total_bytes // PIECE)
    places: dict[tuple[int, int], None] = {}
    for index in range(count):
        at = (2 * index + 1) * split.bytes // (2 * count)
        document = int(np.searchsorted(ends, at, side="right"))
        length = int(split.lengths_N[document])
        middle = at - (int(ends[document]) - length)
        # A short document may be met twice, and counts once.
        places[document, max(0, min(middle - PIECE // 2, length - PIECE))] = None
    return [split.document(document)[start:][:PIECE].tobytes() for document, start in places]
