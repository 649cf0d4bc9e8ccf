"""What a run scores itself on while it trains: a sample of the held-out text."""

import numpy as np

from bytelm.shards import Split

# Bytes of a piece: enough that most of them are read in context.
PIECE = 1024


def held_out_sample(split: Split, total_bytes: int) -> list[bytes]:
    """Pieces from places spread evenly over the text, of PIECE bytes; all documents if few.

    Where documents are shorter than that, whole ones that lie side by side. Not one piece of each
    document: of many, each would be too short to say anything. Nor beginnings alone: licences and
    imports are not what the rest is like.
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
        places[document, max(0, min(middle - PIECE // 2, length - PIECE))] = None
        room = PIECE - length
        while document + 1 < len(split) and (length := int(split.lengths_N[document + 1])) <= room:
            document, room = document + 1, room - length
            places[document, 0] = None
    return [split.document(document)[start:][:PIECE].tobytes() for document, start in places]
